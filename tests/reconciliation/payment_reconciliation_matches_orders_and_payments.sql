-- Money received and given back by month adds up to the payments themselves, and the differences
-- to the open items, per currency. A row here is a currency in which money is counted twice or
-- nowhere.
with

months as (

    select * from {{ ref('payment_reconciliation') }}

),

payments as (

    select * from {{ ref('fct_payments') }}

),

open_items as (

    select * from {{ ref('payment_open_items') }}

),

orders as (

    select * from {{ ref('fct_orders') }}

),

amounts as (

    select
        currency_code,
        paid_amount as month_paid_amount,
        refunded_amount as month_refunded_amount,
        difference_amount as month_difference_amount,
        order_count as month_order_count,
        0 as paid_amount,
        0 as refunded_amount,
        0 as difference_amount,
        0 as order_count
    from months
    union all
    select
        currency_code,
        0 as month_paid_amount,
        0 as month_refunded_amount,
        0 as month_difference_amount,
        0 as month_order_count,
        received_amount as paid_amount,
        refunded_amount,
        0 as difference_amount,
        0 as order_count
    from payments
    union all
    select
        currency_code,
        0 as month_paid_amount,
        0 as month_refunded_amount,
        0 as month_difference_amount,
        0 as month_order_count,
        0 as paid_amount,
        0 as refunded_amount,
        difference_amount,
        0 as order_count
    from open_items
    union all
    select
        currency_code,
        0 as month_paid_amount,
        0 as month_refunded_amount,
        0 as month_difference_amount,
        0 as month_order_count,
        0 as paid_amount,
        0 as refunded_amount,
        0 as difference_amount,
        1 as order_count
    from orders

)

select
    currency_code,
    sum(month_paid_amount) - sum(paid_amount) as paid_difference,
    sum(month_refunded_amount) - sum(refunded_amount) as refunded_difference,
    sum(month_difference_amount) - sum(difference_amount) as open_difference,
    sum(month_order_count) - sum(order_count) as order_difference
from amounts
group by currency_code
having
    sum(month_paid_amount) is distinct from sum(paid_amount)
    or sum(month_refunded_amount) is distinct from sum(refunded_amount)
    or sum(month_difference_amount) is distinct from sum(difference_amount)
    or sum(month_order_count) is distinct from sum(order_count)
