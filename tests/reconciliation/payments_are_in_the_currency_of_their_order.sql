-- fct_orders adds up the payments of an order, which is right only in one currency. A row here is a
-- payment that was made in another currency than its order.
with

orders as (

    select * from {{ ref('fct_orders') }}

),

payments as (

    select * from {{ ref('fct_payments') }}

)

select
    payments.payment_id,
    payments.order_id,
    payments.currency_code,
    orders.currency_code as order_currency_code
from payments
inner join orders
    on payments.order_id = orders.order_id
where payments.currency_code is distinct from orders.currency_code
