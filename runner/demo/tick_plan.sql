-- What happens on the day, decided from the state before it: each row is in at most one plan, so
-- no row changes twice. Rows with a planted fault are in none.

create temp table turn on commit drop as
select
    tick_number + 1 as turn_no,
    today + 1 as day,
    (today + 1)::timestamp at time zone 'UTC' as day_start,
    scale
from haven_demo.state;

-- How much happens, at least a little at any scale. Deletes of rows that must not be referred to
-- stay a handful: the database looks through the largest tables for each.
create temp table quotas on commit drop as
select
    greatest(3, round(12 * scale))::bigint as new_customers,
    greatest(3, round(15 * scale))::bigint as new_products,
    greatest(8, round(125 * scale))::bigint as new_orders,
    greatest(2, round(4 * scale))::bigint as backdated_orders,
    greatest(6, round(150 * scale))::bigint as new_bids,
    greatest(3, round(40 * scale))::bigint as new_reviews,
    greatest(8, round(300 * scale))::bigint as new_sessions,
    greatest(1, round(5 * scale))::bigint as late_payments,
    greatest(2, round(4 * scale))::bigint as late_items,
    greatest(3, round(15 * scale))::bigint as moves,
    greatest(3, round(25 * scale))::bigint as price_changes,
    greatest(1, round(4 * scale))::bigint as ended_listings,
    greatest(1, round(2 * scale))::bigint as commission_changes,
    greatest(1, round(3 * scale))::bigint as deleted_orders,
    greatest(2, round(10 * scale))::bigint as deleted_bids,
    greatest(2, round(6 * scale))::bigint as deleted_reviews,
    greatest(1, least(3, round(2 * scale)))::bigint as deleted_customers,
    greatest(1, least(3, round(2 * scale)))::bigint as deleted_products
from turn;

-- Filled by the statements themselves, with the rows they really touched.
create temp table counts (
    action text not null,
    subject text not null,
    row_count bigint not null
) on commit drop;

create temp table order_plan on commit drop as
with candidates as (
    select
        orders.order_id,
        case
            when orders.order_status = 'pending'
                then
                    case
                        when orders.ordered_at >= turn.day_start - interval '3 days' then 'unpaid'
                        when orders.ordered_at >= turn.day_start - interval '40 days' then 'overdue'
                        when
                            orders.ordered_at < turn.day_start - interval '45 days'
                            and not exists (
                                select 1 from payments
                                where payments.order_id = orders.order_id
                            )
                            then 'abandoned'
                    end
            when orders.order_status <> 'delivered' then orders.order_status::text
            when orders.updated_at >= turn.day_start - interval '10 days' then 'delivered'
            else 'settled'
        end as pool
    from orders
    cross join turn
    where
        orders.order_status in ('pending', 'paid', 'shipped', 'delivered')
        and orders.updated_at >= turn.day_start - interval '60 days'
        and not exists (
            select 1 from haven_demo.marks
            where
                marks.row_id = orders.order_id
                and marks.kind in (
                    'orders_without_payment', 'payments_amount_mismatch', 'late_payments'
                )
        )
),

ranked as (
    select
        candidates.order_id,
        candidates.pool,
        row_number() over (
            partition by candidates.pool
            order by
                haven_demo.uniform(candidates.order_id, 'order plan', turn.turn_no),
                candidates.order_id
        ) as place,
        count(*) over (partition by candidates.pool) as pool_size
    from candidates
    cross join turn
    where candidates.pool is not null
),

actions as (
    select
        ranked.order_id,
        case
            when ranked.pool = 'unpaid' and ranked.place <= floor(0.25 * ranked.pool_size)
                then 'pay'
            when ranked.pool = 'overdue' and ranked.place <= quotas.late_payments then 'pay late'
            when ranked.pool = 'abandoned' then 'cancel'
            when ranked.pool = 'paid' and ranked.place <= ceil(0.5 * ranked.pool_size) then 'ship'
            when ranked.pool = 'shipped' and ranked.place <= ceil(0.3 * ranked.pool_size)
                then 'deliver'
            when ranked.pool = 'delivered' and ranked.place <= ceil(0.01 * ranked.pool_size)
                then 'refund'
            when ranked.pool = 'settled' and ranked.place = 1 then 'reassign'
            when ranked.pool = 'settled' and ranked.place <= 1 + quotas.deleted_orders then 'delete'
            when
                ranked.pool = 'settled'
                and ranked.place <= 1 + quotas.deleted_orders + quotas.late_items
                then 'late item'
        end as action
    from ranked
    cross join quotas
)

select
    actions.order_id,
    actions.action,
    turn.day_start + haven_demo.time_of_day(actions.order_id, 'order plan', turn.turn_no)
        as happens_at
from actions
cross join turn
where actions.action is not null;

create temp table customer_plan on commit drop as
select
    ranked.customer_id,
    ranked.action,
    turn.day_start + haven_demo.time_of_day(ranked.customer_id, 'customer plan', turn.turn_no)
        as happens_at
from (
    select
        customers.customer_id,
        case when haven_demo.is_dormant(customers.customer_id) then 'delete' else 'move' end
            as action,
        row_number() over (
            partition by haven_demo.is_dormant(customers.customer_id)
            order by
                haven_demo.uniform(customers.customer_id, 'customer plan', turn.turn_no),
                customers.customer_id
        ) as place
    from customers
    cross join turn
    where
        customers.created_at < turn.day_start - interval '10 days'
        and not exists (
            select 1 from haven_demo.marks
            where
                marks.row_id = customers.customer_id
                and marks.kind in (
                    'untrimmed_state_codes', 'lowercase_state_codes', 'broken_emails',
                    'duplicate_customers', 'original_customers'
                )
        )
) as ranked
cross join quotas
cross join turn
where ranked.place <= case ranked.action
    when 'delete' then quotas.deleted_customers else quotas.moves
end;

create temp table product_plan on commit drop as
select
    ranked.product_id,
    case
        when ranked.pool = 'draft' then 'delete'
        when ranked.place <= quotas.price_changes then 'new price'
        else 'end'
    end as action,
    turn.day_start + haven_demo.time_of_day(ranked.product_id, 'product plan', turn.turn_no)
        as happens_at
from (
    select
        products.product_id,
        products.listing_status as pool,
        row_number() over (
            partition by products.listing_status
            order by
                haven_demo.uniform(products.product_id, 'product plan', turn.turn_no),
                products.product_id
        ) as place
    from products
    cross join turn
    where
        products.listing_status in ('active', 'draft')
        and products.listed_at < turn.day_start - interval '10 days'
        and products.product_id > 3
        and products.product_id not in (
            select marks.row_id
            from haven_demo.marks
            where marks.kind = 'negative_prices'
            union all
            select bids.product_id
            from haven_demo.marks
            inner join bids
                on marks.row_id = bids.bid_id
            where marks.kind = 'bids_at_or_above_price'
        )
) as ranked
cross join quotas
cross join turn
where ranked.place <= case ranked.pool
    when 'draft' then quotas.deleted_products else quotas.price_changes + quotas.ended_listings
end;

create temp table bid_plan on commit drop as
with ranked as (
    select
        bids.bid_id,
        bids.bid_status = 'active' as is_open,
        row_number() over by_hash as place,
        count(*) over (partition by bids.bid_status = 'active') as pool_size
    from bids
    cross join turn
    where
        (
            bids.bid_status = 'active'
            and bids.updated_at >= turn.day_start - interval '60 days'
            or bids.bid_status in ('outbid', 'withdrawn')
            and bids.updated_at >= turn.day_start - interval '60 days'
            and bids.updated_at < turn.day_start - interval '10 days'
        )
        and not exists (
            select 1 from haven_demo.marks
            where marks.row_id = bids.bid_id and marks.kind = 'bids_at_or_above_price'
        )
    window by_hash as (
        partition by bids.bid_status = 'active'
        order by haven_demo.uniform(bids.bid_id, 'bid plan', turn.turn_no), bids.bid_id
    )
)

select
    ranked.bid_id,
    case
        when not ranked.is_open then 'delete'
        when ranked.place % 8 = 0 then 'win'
        else 'outbid'
    end as action,
    turn.day_start + haven_demo.time_of_day(ranked.bid_id, 'bid plan', turn.turn_no) as happens_at
from ranked
cross join quotas
cross join turn
where ranked.place <= case
    when ranked.is_open then ceil(0.12 * ranked.pool_size) else quotas.deleted_bids
end;

analyze turn, quotas, order_plan, customer_plan, product_plan, bid_plan;
