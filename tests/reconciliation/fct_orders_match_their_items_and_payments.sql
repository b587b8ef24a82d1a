-- The sums in fct_orders agree with fct_order_items and, in the order's currency, with
-- fct_payments. A row here is an order that was not computed anew when one of its items or payments
-- changed, moved or vanished.
with

orders as (

    select * from {{ ref('fct_orders') }}

),

items as (

    select * from {{ ref('fct_order_items') }}

),

payments as (

    select * from {{ ref('fct_payments') }}

),

item_totals as (

    select
        order_id,
        sum(item_amount) as items_amount
    from items
    group by order_id

),

payment_totals as (

    select
        order_id,
        currency_code,
        sum(received_amount) as paid_amount,
        sum(refunded_amount) as refunded_amount
    from payments
    where has_order
    group by
        order_id,
        currency_code

)

select
    orders.order_id,
    orders.items_amount,
    item_totals.items_amount as items_amount_of_lines,
    orders.paid_amount,
    payment_totals.paid_amount as paid_amount_of_payments
from orders
left join item_totals
    on orders.order_id = item_totals.order_id
left join payment_totals
    on
        orders.order_id = payment_totals.order_id
        and orders.currency_code = payment_totals.currency_code
where
    orders.items_amount is distinct from coalesce(item_totals.items_amount, 0)
    or orders.paid_amount is distinct from coalesce(payment_totals.paid_amount, 0)
    or orders.refunded_amount is distinct from coalesce(payment_totals.refunded_amount, 0)
