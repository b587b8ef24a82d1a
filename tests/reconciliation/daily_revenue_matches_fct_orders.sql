-- Revenue by day adds up to the orders, per currency. A row here is a currency whose total
-- differs: an order was left out of a day or counted in two.
with

days as (

    select * from {{ ref('daily_revenue') }}

),

orders as (

    select * from {{ ref('fct_orders') }}

),

day_totals as (

    select
        currency_code,
        sum(order_count) as order_count,
        sum(gross_amount) as gross_amount,
        sum(net_amount) as net_amount
    from days
    group by currency_code

),

order_totals as (

    select
        currency_code,
        count(*) as order_count,
        coalesce(sum(order_amount) filter (where is_revenue), 0) as gross_amount,
        coalesce(sum(order_amount - refunded_amount) filter (where is_revenue), 0) as net_amount
    from orders
    group by currency_code

)

select
    day_totals.currency_code as day_currency_code,
    order_totals.currency_code as order_currency_code,
    day_totals.gross_amount as day_gross_amount,
    order_totals.gross_amount as order_gross_amount
from day_totals
full outer join order_totals
    on day_totals.currency_code = order_totals.currency_code
where
    day_totals.order_count is distinct from order_totals.order_count
    or day_totals.gross_amount is distinct from order_totals.gross_amount
    or day_totals.net_amount is distinct from order_totals.net_amount
