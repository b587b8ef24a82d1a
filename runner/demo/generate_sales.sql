-- Orders, items and payments.

-- Keys and indexes are checked and built once, after the rows: many times faster than row by row.
create temp table set_aside on commit drop as
select
    format('alter table %s drop constraint %I', conrelid::regclass, conname) as removal,
    format(
        'alter table %s add constraint %I %s',
        conrelid::regclass, conname, pg_get_constraintdef(oid)
    ) as restoration
from pg_constraint
where contype = 'f' and connamespace = 'public'::regnamespace
union all
select
    format('drop index %s', pg_index.indexrelid::regclass) as removal,
    pg_get_indexdef(pg_index.indexrelid) as restoration
from pg_index
inner join pg_class
    on pg_index.indrelid = pg_class.oid
where pg_class.relnamespace = 'public'::regnamespace and not pg_index.indisprimary;

do $$
declare
    change record;
begin
    for change in select removal from set_aside loop
        execute change.removal;
    end loop;
end
$$;

-- What becomes of each order. Steps that would fall after the end of history have not happened yet.
create temp table order_draft on commit drop as
with choices as (
    select
        ids.order_id,
        business_days.day,
        business_days.customer_slots,
        business_days.usd_slots,
        sizes.history_end,
        business_days.day::timestamp at time zone 'UTC'
        + haven_demo.time_of_day(ids.order_id, 'ordered') as ordered_at,
        case
            when haven_demo.uniform(ids.order_id, 'currency') < 0.05 and business_days.gbp_slots > 0
                then 'GBP'
            when haven_demo.uniform(ids.order_id, 'currency') < 0.14 and business_days.eur_slots > 0
                then 'EUR'
            else 'USD'
        end as currency_code,
        case
            when haven_demo.uniform(ids.order_id, 'fate') < 0.02 then 'cancelled'
            when haven_demo.uniform(ids.order_id, 'fate') < 0.06 then 'unpaid'
            when haven_demo.uniform(ids.order_id, 'fate') < 0.10 then 'refunded'
            when haven_demo.uniform(ids.order_id, 'fate') < 0.22 then 'slow'
            else 'delivered'
        end as fate,
        (array[
            'card', 'card', 'card', 'card', 'card', 'card', 'paypal', 'paypal', 'wallet',
            'bank_transfer'
        ])[
            1 + floor(haven_demo.uniform(ids.order_id, 'method') * 10)::integer
        ]::payment_method as payment_method,
        business_days.eur_slots,
        business_days.gbp_slots
    from sizes
    cross join business_days
    cross join lateral generate_series(
        1 + floor(business_days.share_before * sizes.orders)::bigint,
        floor(business_days.share_after * sizes.orders)::bigint
    ) as ids (order_id)
),

paid as (
    select
        choices.*,
        case
            when choices.fate in ('cancelled', 'unpaid') then null
            when choices.fate = 'slow'
                then choices.ordered_at + make_interval(
                    secs => 86400 + floor(haven_demo.uniform(choices.order_id, 'slow') * 3456000)
                )
            when choices.payment_method = 'bank_transfer'
                then choices.ordered_at + make_interval(
                    secs => 86400 + floor(
                        haven_demo.uniform(choices.order_id, 'transfer') * 259200
                    )
                )
            else choices.ordered_at + make_interval(
                secs => 5 + floor(haven_demo.uniform(choices.order_id, 'payment') * 115)
            )
        end as paid_at,
        choices.ordered_at + case
            when choices.fate = 'unpaid' then interval '45 days'
            when choices.fate = 'cancelled' then make_interval(
                secs => 3600 + floor(haven_demo.uniform(choices.order_id, 'cancel') * 169200)
            )
        end as cancelled_at
    from choices
),

shipped as (
    select
        paid.*,
        paid.paid_at + make_interval(
            secs => 21600 + floor(haven_demo.uniform(paid.order_id, 'ship') * 194400)
        ) as shipped_at
    from paid
),

delivered as (
    select
        shipped.*,
        shipped.shipped_at + make_interval(
            secs => 86400 + floor(haven_demo.uniform(shipped.order_id, 'deliver') * 518400)
        ) as delivered_at
    from shipped
),

refunded as (
    select
        delivered.*,
        case when delivered.fate = 'refunded' then delivered.delivered_at + make_interval(
            secs => 86400 + floor(haven_demo.uniform(delivered.order_id, 'refund') * 1728000)
        ) end as refunded_at
    from delivered
)

select
    refunded.order_id,
    customer_slots.customer_id,
    case
        when refunded.refunded_at < refunded.history_end then 'refunded'
        when refunded.delivered_at < refunded.history_end then 'delivered'
        when refunded.shipped_at < refunded.history_end then 'shipped'
        when refunded.paid_at < refunded.history_end - interval '1 minute' then 'paid'
        when refunded.cancelled_at < refunded.history_end then 'cancelled'
        else 'pending'
    end::order_status as order_status,
    refunded.currency_code,
    case refunded.currency_code
        when 'USD' then refunded.usd_slots
        when 'EUR' then refunded.eur_slots
        else refunded.gbp_slots
    end as currency_slots,
    refunded.payment_method,
    refunded.ordered_at,
    refunded.ordered_at + make_interval(
        secs => floor(haven_demo.uniform(refunded.order_id, 'order delay') * 4)
    ) as created_at,
    refunded.paid_at,
    refunded.shipped_at,
    refunded.delivered_at,
    refunded.refunded_at,
    refunded.cancelled_at,
    (array[1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 6])[
        1 + floor(haven_demo.uniform(refunded.order_id, 'lines') * 20)::integer
    ] as line_count
from refunded
inner join customer_slots
    on customer_slots.slot = 1 + floor(
        haven_demo.uniform(refunded.order_id, 'customer') * refunded.customer_slots
    )::bigint;

analyze order_draft;

insert into haven_demo.marks (kind, row_id)
select
    faults.kind,
    ranked.order_id
from (
    select
        order_draft.order_id,
        row_number() over (
            order by haven_demo.uniform(order_draft.order_id, 'fault'), order_draft.order_id
        ) as place
    from order_draft
    cross join sizes
    where
        order_draft.order_status = 'delivered'
        and order_draft.ordered_at < sizes.history_end - interval '60 days'
) as ranked
inner join faults
    on faults.entity = 'orders' and ranked.place between faults.first_place and faults.last_place;

-- The id of an item is that of its order and the number of the line; 7 to 9 are for late ones.
insert into order_items (
    order_item_id, order_id, product_id, quantity, unit_price, created_at, updated_at
)
select
    lines.order_item_id,
    lines.order_id,
    product_slots.product_id,
    greatest(1, floor(4 * power(haven_demo.uniform(lines.order_item_id, 'quantity'), 3)))::integer
        as quantity,
    case
        when lines.ordered_at < product_slots.changed_at then product_slots.old_price
        else product_slots.price
    end as unit_price,
    lines.created_at,
    lines.created_at as updated_at
from (
    select
        order_draft.*,
        order_draft.order_id * 10 + line_no as order_item_id
    from order_draft
    cross join lateral generate_series(1, order_draft.line_count) as line_nos (line_no)
) as lines
inner join product_slots
    on
        lines.currency_code = product_slots.currency_code
        and product_slots.currency_slot = 1 + floor(
            haven_demo.uniform(lines.order_item_id, 'product') * lines.currency_slots
        )::bigint;

insert into orders (
    order_id, customer_id, order_status, currency_code, shipping_amount, discount_amount,
    shipping_address, ordered_at, created_at, updated_at
)
select
    order_draft.order_id,
    order_draft.customer_id,
    order_draft.order_status,
    order_draft.currency_code,
    (array[0, 4.99, 4.99, 7.99, 12.5])[
        1 + floor(haven_demo.uniform(order_draft.order_id, 'shipping') * 5)::integer
    ] as shipping_amount,
    case
        when haven_demo.uniform(order_draft.order_id, 'discount') < 0.12
            then round(totals.amount / 10, 2)
        else 0
    end as discount_amount,
    haven_demo.shipping_address(order_draft.order_id, customers, words.streets) as shipping_address,
    order_draft.ordered_at,
    order_draft.created_at,
    case order_draft.order_status
        when 'pending' then order_draft.created_at
        when 'cancelled' then order_draft.cancelled_at
        when 'paid' then order_draft.paid_at
        when 'shipped' then order_draft.shipped_at
        when 'delivered' then order_draft.delivered_at
        else order_draft.refunded_at
    end as updated_at
from order_draft
inner join (
    select
        order_id,
        sum(quantity * unit_price) as amount
    from order_items
    group by order_id
) as totals
    on order_draft.order_id = totals.order_id
inner join customers
    on order_draft.customer_id = customers.customer_id
cross join haven_demo.words;
