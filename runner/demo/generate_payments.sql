-- One payment for each order that was paid, failed attempts of pending ones, and the faulty ones.
-- Ids are odd; payments without an order take even ones.

insert into payments (
    payment_id, order_id, customer_id, payment_method, payment_status, amount, currency_code,
    paid_at, created_at, updated_at
)
with totals as (
    select
        order_items.order_id,
        sum(order_items.quantity * order_items.unit_price) as amount
    from order_items
    group by order_items.order_id
),

attempts as (
    select
        orders.order_id,
        orders.customer_id,
        orders.currency_code,
        drafts.payment_method,
        drafts.refunded_at,
        marks.kind,
        totals.amount + orders.shipping_amount - orders.discount_amount as order_amount,
        case orders.order_status
            when 'pending' then 'failed' when 'refunded' then 'refunded' else 'captured'
        end::payment_status as payment_status,
        case
            when orders.order_status = 'pending' then orders.ordered_at + interval '30 seconds'
            else drafts.paid_at
        end as paid_at,
        sizes.history_end
    from orders
    cross join sizes
    inner join order_draft as drafts
        on orders.order_id = drafts.order_id
    inner join totals
        on orders.order_id = totals.order_id
    left join haven_demo.marks
        on
            orders.order_id = marks.row_id
            and marks.kind in (
                'orders_without_payment', 'payments_amount_mismatch', 'late_payments'
            )
    where
        orders.order_status <> 'cancelled'
        and marks.kind is distinct from 'orders_without_payment'
        and (
            orders.order_status <> 'pending'
            or haven_demo.uniform(orders.order_id, 'attempt') < 0.4
        )
),

arrivals as (
    select
        attempts.*,
        attempts.paid_at + make_interval(
            secs => case
                when attempts.kind = 'late_payments'
                    then 259200 + floor(haven_demo.uniform(attempts.order_id, 'late') * 1468800)
                when
                    attempts.payment_status = 'captured'
                    and haven_demo.uniform(attempts.order_id, 'delayed') < 0.05
                    and attempts.paid_at < attempts.history_end - interval '1 day'
                    then 600 + floor(haven_demo.uniform(attempts.order_id, 'delay') * 71400)
                else 1 + floor(haven_demo.uniform(attempts.order_id, 'delay') * 20)
            end
        ) as created_at
    from attempts
)

select
    order_id * 2 + 1 as payment_id,
    order_id,
    customer_id,
    payment_method,
    payment_status,
    case
        when coalesce(kind, '') <> 'payments_amount_mismatch' then order_amount
        when order_id % 2 = 0 then order_amount + 10
        else round(order_amount * 0.9, 2)
    end as amount,
    currency_code,
    paid_at,
    created_at,
    case when payment_status = 'refunded' then refunded_at else created_at end as updated_at
from arrivals
union all
select
    2 * ids.place,
    1000000000000 + ids.place,
    customer_slots.customer_id,
    'card',
    'captured',
    round((10 + 90 * haven_demo.uniform(ids.place, 'stray amount'))::numeric, 2),
    'USD',
    moments.paid_at,
    moments.paid_at + interval '3 seconds',
    moments.paid_at + interval '3 seconds'
from faults
cross join lateral generate_series(1, faults.quantity) as ids (place)
inner join business_days
    on business_days.day
    = '2024-08-01'::date + floor(haven_demo.uniform(ids.place, 'stray day') * 660)::integer
inner join customer_slots
    on customer_slots.slot = 1 + floor(
        haven_demo.uniform(ids.place, 'stray customer') * business_days.customer_slots
    )::bigint
cross join lateral (
    select
        business_days.day::timestamp at time zone 'UTC'
        + haven_demo.time_of_day(ids.place, 'stray time') as paid_at
) as moments
where faults.kind = 'payments_without_order';

insert into haven_demo.marks (kind, row_id)
select
    'payments_without_order' as kind,
    payment_id
from payments
where payment_id % 2 = 0;
