-- Where do our customers live, and what do they spend there?
with

orders as (

    select * from {{ ref('fct_orders') }}

),

customers as (

    select * from {{ ref('dim_customers') }}

),

states as (

    select * from {{ ref('us_states') }}

),

final as (

    select
        states.region_name,
        orders.currency_code,
        count(*) as order_count,
        count(distinct orders.customer_id) as customer_count,
        sum(orders.order_amount - orders.refunded_amount) as net_amount
    from orders
    inner join customers
        on orders.customer_key = customers.customer_key
    left join states
        on customers.state_code = states.state_code
    where orders.is_revenue
    group by
        states.region_name,
        orders.currency_code

)

select * from final
order by
    currency_code asc,
    net_amount desc
