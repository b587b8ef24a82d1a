-- Who buys and what is bought on the day: nothing that changes on it, and nothing newer than the
-- backdated rows, whose prices are then those of today.
create temp table buyers on commit drop as
select
    customers.customer_id,
    customers.created_at,
    row_number() over (
        order by
            haven_demo.popularity(customers.customer_id, 'customer') desc,
            haven_demo.uniform(customers.customer_id, 'buyer', turn.turn_no),
            customers.customer_id
    ) as place
from customers
cross join turn
where
    customers.created_at < turn.day_start - interval '3 days'
    and not haven_demo.is_dormant(customers.customer_id);

create temp table offers on commit drop as
select
    products.product_id,
    products.currency_code,
    products.price,
    least(
        products.price,
        (
            select min(least(price_changes.old_price, price_changes.new_price))
            from haven_demo.price_changes
            where price_changes.product_id = products.product_id
        )
    ) as lowest_price,
    row_number() over (
        partition by products.currency_code
        order by
            haven_demo.popularity(products.product_id, 'product') desc,
            haven_demo.uniform(products.product_id, 'offer', turn.turn_no),
            products.product_id
    ) as place
from products
cross join turn
where
    products.listing_status = 'active'
    and products.price > 0
    and products.updated_at < turn.day_start - interval '3 days'
    and not exists (
        select 1 from product_plan
        where product_plan.product_id = products.product_id
    );

-- The currency of a purchase, and how many there are to choose from: dollars where a currency has
-- no offer today.
create temp table pools on commit drop as
with offered as (
    select
        currency_code,
        count(*) as offer_count
    from offers
    group by currency_code
)

select
    wishes.wish,
    offered.currency_code,
    offered.offer_count,
    (select count(*) from buyers) as buyer_count
from (values ('USD'), ('EUR'), ('GBP')) as wishes (wish)
inner join offered
    on offered.currency_code = coalesce(
        (
            select same.currency_code from offered as same
            where same.currency_code = wishes.wish
        ),
        'USD'
    );

analyze pools, buyers, offers;
