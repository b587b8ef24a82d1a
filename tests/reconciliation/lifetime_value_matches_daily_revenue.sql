-- What the customers brought in is what the days brought in, per currency. A row here means that
-- the two marts tell different stories about the same orders.
with

customers as (

    select * from {{ ref('customer_lifetime_value') }}

),

days as (

    select * from {{ ref('daily_revenue') }}
    where revenue_order_count > 0

),

customer_totals as (

    select
        currency_code,
        sum(order_count) as order_count,
        sum(net_amount) as net_amount
    from customers
    group by currency_code

),

day_totals as (

    select
        currency_code,
        sum(revenue_order_count) as order_count,
        sum(net_amount) as net_amount
    from days
    group by currency_code

)

select
    customer_totals.currency_code as customer_currency_code,
    day_totals.currency_code as day_currency_code,
    customer_totals.net_amount as customer_net_amount,
    day_totals.net_amount as day_net_amount
from customer_totals
full outer join day_totals
    on customer_totals.currency_code = day_totals.currency_code
where
    customer_totals.order_count is distinct from day_totals.order_count
    or customer_totals.net_amount is distinct from day_totals.net_amount
