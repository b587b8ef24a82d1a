-- Changes and deletes of rows that were there before the day.

with changed as (
    update orders set
        order_status = case order_plan.action
            when 'ship' then 'shipped'
            when 'deliver' then 'delivered'
            when 'refund' then 'refunded'
            when 'cancel' then 'cancelled'
            else 'paid'
        end::order_status,
        updated_at = order_plan.happens_at
    from order_plan
    where
        orders.order_id = order_plan.order_id
        and order_plan.action in ('pay', 'pay late', 'ship', 'deliver', 'refund', 'cancel')
    returning 1
)

insert into counts
select
    'updated' as action,
    'orders' as subject,
    count(*) as row_count
from changed;

with changed as (
    update payments set
        payment_status = 'refunded',
        updated_at = order_plan.happens_at
    from order_plan
    where
        payments.order_id = order_plan.order_id
        and payments.payment_status = 'captured'
        and order_plan.action = 'refund'
    returning 1
)

insert into counts
select
    'updated' as action,
    'payments' as subject,
    count(*) as row_count
from changed;

-- An order given to another customer, with its payments: as when two accounts become one.
create temp table heirs on commit drop as
select
    orders.order_id,
    order_plan.happens_at,
    (
        select buyers.customer_id
        from buyers
        where
            buyers.created_at < orders.ordered_at
            and buyers.customer_id <> orders.customer_id
        order by
            haven_demo.uniform(buyers.customer_id, 'heir', turn.turn_no),
            buyers.customer_id
        limit 1
    ) as customer_id
from orders
cross join turn
inner join order_plan
    on orders.order_id = order_plan.order_id
where order_plan.action = 'reassign';

with changed as (
    update orders set
        customer_id = heirs.customer_id,
        updated_at = heirs.happens_at
    from heirs
    where orders.order_id = heirs.order_id and heirs.customer_id is not null
    returning 1
)

insert into counts
select
    actions.action,
    actions.subject,
    (select count(*) from changed) as row_count
from (values ('updated', 'orders'), ('late', 'reassigned_orders')) as actions (action, subject);

with changed as (
    update payments set
        customer_id = heirs.customer_id,
        updated_at = heirs.happens_at
    from heirs
    where payments.order_id = heirs.order_id and heirs.customer_id is not null
    returning 1
)

insert into counts
select
    'updated' as action,
    'payments' as subject,
    count(*) as row_count
from changed;

with changed as (
    update customers set
        city = places.city,
        state_code = places.state_code,
        postal_code = places.postal_prefix || lpad(
            floor(
                haven_demo.uniform(customers.customer_id, 'postal code', turn.turn_no) * 100
            )::integer::text, 2, '0'
        ),
        updated_at = customer_plan.happens_at
    from customer_plan
    cross join turn
    inner join haven_demo.places
        on places.place_id = 1 + floor(
            (select count(*) from haven_demo.places)
            * haven_demo.uniform(customer_plan.customer_id, 'move', turn.turn_no)
        )::bigint
    where
        customers.customer_id = customer_plan.customer_id
        and customer_plan.action = 'move'
        and customers.city <> places.city
    returning 1
)

insert into counts
select
    actions.action,
    'customers' as subject,
    (select count(*) from changed) as row_count
from (values ('updated'), ('scd2')) as actions (action);

-- A new price stays above every honest bid on the product.
create temp table new_prices on commit drop as
select
    products.product_id,
    product_plan.happens_at,
    products.price as old_price,
    case
        when bounded.price = products.price then products.price + 1 else bounded.price
    end as new_price
from product_plan
cross join turn
inner join products
    on product_plan.product_id = products.product_id
cross join
    lateral (
        select
            greatest(
                round(
                    products.price
                    * (
                        0.85
                        + 0.35 * haven_demo.uniform(products.product_id, 'new price', turn.turn_no)
                    )::numeric,
                    2
                ),
                (
                    select max(bids.bid_amount) + 0.01 from bids
                    where bids.product_id = products.product_id
                )
            ) as price
    ) as bounded
where product_plan.action = 'new price';

insert into haven_demo.price_changes (product_id, changed_at, old_price, new_price)
select
    product_id,
    happens_at,
    old_price,
    new_price
from new_prices;

with repriced as (
    update products set
        price = new_prices.new_price,
        updated_at = new_prices.happens_at
    from new_prices
    where products.product_id = new_prices.product_id
    returning 1
),

ended as (
    update products set
        listing_status = case products.product_id % 2
            when 0 then 'sold' else 'withdrawn'
        end::listing_status,
        updated_at = product_plan.happens_at
    from product_plan
    where products.product_id = product_plan.product_id and product_plan.action = 'end'
    returning 1
)

insert into counts
select
    actions.action,
    'products' as subject,
    (select count(*) from repriced) + (select count(*) from ended) as row_count
from (values ('updated'), ('scd2')) as actions (action);

with chosen as (
    select
        vendors.vendor_id,
        turn.turn_no,
        turn.day_start + haven_demo.time_of_day(vendors.vendor_id, 'vendor plan', turn.turn_no)
            as happens_at
    from vendors
    cross join turn
    order by haven_demo.uniform(vendors.vendor_id, 'vendor plan', turn.turn_no), vendors.vendor_id
    limit (select commission_changes from quotas)
),

changed as (
    update vendors set
        commission_rate = vendors.commission_rate + case
            when vendors.commission_rate >= 0.2 then -0.01
            when vendors.commission_rate < 0.05 then 0.01
            when
                haven_demo.uniform(vendors.vendor_id, 'rate change', chosen.turn_no) < 0.5
                then -0.005
            else 0.005
        end,
        updated_at = chosen.happens_at
    from chosen
    where vendors.vendor_id = chosen.vendor_id
    returning 1
)

insert into counts
select
    actions.action,
    'vendors' as subject,
    (select count(*) from changed) as row_count
from (values ('updated'), ('scd2')) as actions (action);

with changed as (
    update bids set
        bid_status = case bid_plan.action when 'win' then 'won' else 'outbid' end::bid_status,
        updated_at = bid_plan.happens_at
    from bid_plan
    where bids.bid_id = bid_plan.bid_id and bid_plan.action in ('win', 'outbid')
    returning 1
)

insert into counts
select
    'updated' as action,
    'bids' as subject,
    count(*) as row_count
from changed;
