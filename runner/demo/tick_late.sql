-- Late rows, payments, and the numbers of the day.

-- A forgotten line of an old order: one more of its first product at the price of then. The order
-- itself is not touched, its payment is corrected.
create temp table late_items on commit drop as
select
    order_items.order_id,
    lines.last_item_id + 1 as order_item_id,
    order_items.product_id,
    order_items.unit_price,
    order_plan.happens_at
from order_plan
inner join (
    select
        order_id,
        min(order_item_id) as first_item_id,
        max(order_item_id) as last_item_id
    from order_items
    group by order_id
) as lines
    on order_plan.order_id = lines.order_id
inner join order_items
    on lines.first_item_id = order_items.order_item_id
where order_plan.action = 'late item' and lines.last_item_id % 10 < 9;

with added as (
    insert into order_items (
        order_item_id, order_id, product_id, quantity, unit_price, created_at, updated_at
    )
    select
        order_item_id,
        order_id,
        product_id,
        1 as quantity,
        unit_price,
        happens_at as created_at,
        happens_at as updated_at
    from late_items
    returning 1
)

insert into counts
select
    actions.action,
    'order_items' as subject,
    (select count(*) from added) as row_count
from (values ('inserted'), ('late')) as actions (action);

with changed as (
    update payments set
        amount = payments.amount + late_items.unit_price,
        updated_at = late_items.happens_at
    from late_items
    where payments.order_id = late_items.order_id and payments.payment_status = 'captured'
    returning 1
)

insert into counts
select
    'updated' as action,
    'payments' as subject,
    count(*) as row_count
from changed;

-- Payments of the day's orders, of older ones that are paid today, and of older ones that were paid
-- within minutes but are reported only today.
create temp table new_payments on commit drop as
select
    sales.order_id,
    case when sales.is_paid then 'captured' else 'failed' end::payment_status as payment_status,
    sales.paid_at,
    sales.paid_at + interval '3 seconds' as created_at,
    case when sales.is_backdated then 'backdated_payments' end as late_kind
from sales
where sales.is_paid or haven_demo.uniform(sales.order_id, 'attempt') < 0.3
union all
select
    orders.order_id,
    'captured' as payment_status,
    case
        when order_plan.action = 'pay' then order_plan.happens_at - interval '3 seconds'
        else orders.ordered_at + interval '2 minutes'
    end as paid_at,
    order_plan.happens_at as created_at,
    case when order_plan.action = 'pay late' then 'payments' end as late_kind
from order_plan
inner join orders
    on order_plan.order_id = orders.order_id
where order_plan.action in ('pay', 'pay late');

with added as (
    insert into payments (
        payment_id, order_id, customer_id, payment_method, payment_status, amount, currency_code,
        paid_at, created_at, updated_at
    )
    select
        newest.payment_id + row_number() over (order by new_payments.order_id) as payment_id,
        orders.order_id,
        orders.customer_id,
        (array['card', 'card', 'card', 'paypal', 'wallet'])[
            1 + floor(haven_demo.uniform(orders.order_id, 'method') * 5)::integer
        ]::payment_method as payment_method,
        new_payments.payment_status,
        totals.amount + orders.shipping_amount - orders.discount_amount as amount,
        orders.currency_code,
        new_payments.paid_at,
        new_payments.created_at,
        new_payments.created_at as updated_at
    from new_payments
    inner join orders
        on new_payments.order_id = orders.order_id
    cross join
        lateral (
            select sum(order_items.quantity * order_items.unit_price) as amount
            from order_items
            where order_items.order_id = orders.order_id
        ) as totals
    cross join (select max(payment_id) as payment_id from payments) as newest
    returning payments.order_id
)

insert into counts
select
    actions.action,
    actions.subject,
    (
        select count(*)
        from added
        inner join new_payments
            on added.order_id = new_payments.order_id
        where actions.action = 'inserted' or new_payments.late_kind = actions.subject
    ) as row_count
from (
    values ('inserted', 'payments'), ('late', 'payments'), ('late', 'backdated_payments')
) as actions (action, subject);

insert into haven_demo.marks (kind, row_id)
select
    'late_payments' as kind,
    order_id
from new_payments
where late_kind = 'payments';

-- A review deleted on an earlier day returns exactly as it was, its updated_at included.
with chosen as (
    select deleted_reviews.review_id
    from haven_demo.deleted_reviews
    cross join turn
    where
        deleted_reviews.tick_number < turn.turn_no
        and exists (
            select 1 from customers
            where customers.customer_id = deleted_reviews.customer_id
        )
        and exists (
            select 1 from products
            where products.product_id = deleted_reviews.product_id
        )
    order by
        haven_demo.uniform(deleted_reviews.review_id, 'restored', turn.turn_no),
        deleted_reviews.review_id
    limit 1
),

returning_rows as (
    delete from haven_demo.deleted_reviews
    using chosen
    where deleted_reviews.review_id = chosen.review_id
    returning deleted_reviews.*
),

added as (
    insert into reviews (
        review_id, product_id, customer_id, rating, review_text, reviewed_at, created_at,
        updated_at
    )
    select
        review_id,
        product_id,
        customer_id,
        rating,
        review_text,
        reviewed_at,
        created_at,
        updated_at
    from returning_rows
    returning 1
)

insert into counts
select
    actions.action,
    actions.subject,
    (select count(*) from added) as row_count
from (values ('inserted', 'reviews'), ('late', 'undeleted_reviews')) as actions (action, subject);

update haven_demo.state set
    tick_number = turn.turn_no,
    today = turn.day,
    planted = jsonb_set(
        state.planted,
        '{late_payments}',
        to_jsonb(
            (state.planted ->> 'late_payments')::bigint
            + (
                select counts.row_count from counts
                where action = 'late' and subject = 'payments'
            )
        )
    )
from turn;

with totals as (
    select
        action,
        subject,
        sum(row_count) as row_count
    from counts
    group by action, subject
),

per_action as (
    select
        action,
        json_object_agg(subject, row_count order by subject) as numbers
    from totals
    group by action
)

select
    json_build_object(
        'tick', state.tick_number,
        'day', state.today,
        'inserted', (
            select numbers from per_action
            where action = 'inserted'
        ),
        'updated', (
            select numbers from per_action
            where action = 'updated'
        ),
        'deleted', (
            select numbers from per_action
            where action = 'deleted'
        ),
        'late', (
            select numbers from per_action
            where action = 'late'
        ),
        'scd2', (
            select numbers from per_action
            where action = 'scd2'
        ),
        'planted', state.planted
    )
from haven_demo.state;
