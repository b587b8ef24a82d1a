-- New rows of the day, and the orders of three days ago that become visible only now: their
-- created_at and updated_at lie behind every watermark.

with added as (
    insert into customers (
        customer_id, email, full_name, phone, city, state_code, postal_code, is_marketing_opt_in,
        preferences, created_at, updated_at
    )
    select
        people.customer_id,
        people.email,
        people.full_name,
        people.phone,
        people.city,
        people.state_code,
        people.postal_code,
        people.is_marketing_opt_in,
        people.preferences,
        moments.created_at,
        moments.created_at as updated_at
    from quotas
    cross join turn
    cross join (select max(customer_id) as customer_id from customers) as newest
    cross join
        lateral haven_demo.new_customers(
            newest.customer_id + 1, newest.customer_id + quotas.new_customers
        ) as people
    cross join
        lateral (
            select
                turn.day_start + haven_demo.time_of_day(people.customer_id, 'arrival') as created_at
        ) as moments
    returning 1
)

insert into counts
select
    'inserted' as action,
    'customers' as subject,
    count(*) as row_count
from added;

with shops as (
    select
        vendor_id,
        row_number() over (
            order by haven_demo.popularity(vendor_id, 'vendor') desc, vendor_id
        ) as place,
        count(*) over () as pool_size
    from vendors
),

added as (
    insert into products (
        product_id, vendor_id, category_id, title, price, currency_code, condition,
        listing_status, tags, attributes, listed_at, created_at, updated_at
    )
    select
        listed.product_id,
        shops.vendor_id,
        listed.category_id,
        listed.title,
        listed.price,
        haven_demo.currency_of(shops.vendor_id) as currency_code,
        listed.condition,
        listed.listing_status,
        listed.tags,
        listed.attributes,
        moments.listed_at,
        moments.listed_at as created_at,
        moments.listed_at as updated_at
    from quotas
    cross join turn
    cross join (select max(product_id) as product_id from products) as newest
    cross join
        lateral haven_demo.new_products(
            newest.product_id + 1, newest.product_id + quotas.new_products
        ) as listed
    inner join shops
        on shops.place = 1 + floor(
            power(haven_demo.uniform(listed.product_id, 'vendor'), 2) * shops.pool_size
        )::bigint
    cross join
        lateral (
            select
                turn.day_start + haven_demo.time_of_day(listed.product_id, 'arrival') as listed_at
        ) as moments
    returning 1
)

insert into counts
select
    'inserted' as action,
    'products' as subject,
    count(*) as row_count
from added;

-- The first ones of the day are the backdated ones.
create temp table sales on commit drop as
select
    choices.*,
    buyers.customer_id,
    choices.ordered_at + interval '2 seconds' as created_at,
    choices.ordered_at + make_interval(
        secs => 5 + floor(haven_demo.uniform(choices.order_id, 'payment') * 115)
    ) as paid_at
from (
    select
        newest.order_id + place_no as order_id,
        place_no <= quotas.backdated_orders as is_backdated,
        place_no <= quotas.backdated_orders
        or haven_demo.uniform(newest.order_id + place_no, 'fate') >= 0.3 as is_paid,
        turn.day_start
        - case when place_no <= quotas.backdated_orders then interval '3 days' else '0' end
        + haven_demo.time_of_day(newest.order_id + place_no, 'ordered') as ordered_at,
        pools.currency_code,
        pools.offer_count,
        pools.buyer_count
    from quotas
    cross join turn
    cross join (select max(order_id) as order_id from orders) as newest
    cross join
        lateral generate_series(
            1, quotas.backdated_orders + quotas.new_orders
        ) as places (place_no)
    inner join pools
        on pools.wish = haven_demo.pick_currency(newest.order_id + place_no)
) as choices
inner join buyers
    on buyers.place = 1 + floor(
        power(haven_demo.uniform(choices.order_id, 'customer'), 3) * choices.buyer_count
    )::bigint;

create temp table sale_items on commit drop as
select
    lines.order_item_id,
    lines.order_id,
    offers.product_id,
    greatest(1, floor(4 * power(haven_demo.uniform(lines.order_item_id, 'quantity'), 3)))::integer
        as quantity,
    offers.price as unit_price,
    lines.created_at,
    lines.is_backdated
from (
    select
        sales.*,
        sales.order_id * 10 + line_no as order_item_id
    from sales
    cross join lateral generate_series(
        1, 1 + floor(4 * power(haven_demo.uniform(sales.order_id, 'lines'), 1.8))::integer
    ) as line_nos (line_no)
) as lines
inner join offers
    on
        lines.currency_code = offers.currency_code
        and offers.place = 1 + floor(
            power(haven_demo.uniform(lines.order_item_id, 'product'), 3) * lines.offer_count
        )::bigint;

with totals as (
    select
        order_id,
        sum(quantity * unit_price) as amount
    from sale_items
    group by order_id
),

added as (
    insert into orders (
        order_id, customer_id, order_status, currency_code, shipping_amount, discount_amount,
        shipping_address, ordered_at, created_at, updated_at
    )
    select
        sales.order_id,
        sales.customer_id,
        case when sales.is_paid then 'paid' else 'pending' end::order_status as order_status,
        sales.currency_code,
        (array[0, 4.99, 4.99, 7.99, 12.5])[
            1 + floor(haven_demo.uniform(sales.order_id, 'shipping') * 5)::integer
        ] as shipping_amount,
        case
            when haven_demo.uniform(sales.order_id, 'discount') < 0.12
                then round(totals.amount / 10, 2)
            else 0
        end as discount_amount,
        haven_demo.shipping_address(sales.order_id, customers, words.streets) as shipping_address,
        sales.ordered_at,
        sales.created_at,
        case when sales.is_paid then sales.paid_at else sales.created_at end as updated_at
    from sales
    inner join totals
        on sales.order_id = totals.order_id
    inner join customers
        on sales.customer_id = customers.customer_id
    cross join haven_demo.words
    returning orders.order_id
)

insert into counts
select
    actions.action,
    actions.subject,
    case
        when actions.action = 'inserted' then (select count(*) from added)
        else
            (
                select count(*)
                from added
                inner join sales
                    on added.order_id = sales.order_id
                where sales.is_backdated
            )
    end as row_count
from (values ('inserted', 'orders'), ('late', 'backdated_orders')) as actions (action, subject);

with added as (
    insert into order_items (
        order_item_id, order_id, product_id, quantity, unit_price, created_at, updated_at
    )
    select
        order_item_id,
        order_id,
        product_id,
        quantity,
        unit_price,
        created_at,
        created_at as updated_at
    from sale_items
    returning order_items.order_item_id
)

insert into counts
select
    actions.action,
    actions.subject,
    case
        when actions.action = 'inserted' then (select count(*) from added)
        else
            (
                select count(*)
                from added
                inner join sale_items
                    on added.order_item_id = sale_items.order_item_id
                where sale_items.is_backdated
            )
    end as row_count
from (
    values ('inserted', 'order_items'), ('late', 'backdated_order_items')
) as actions (action, subject);
