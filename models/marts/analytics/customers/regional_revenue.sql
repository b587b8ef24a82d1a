with

orders as (

    select * from {{ ref('fct_orders') }}
    where is_revenue

),

customers as (

    select * from {{ ref('dim_customers') }}

),

states as (

    select * from {{ ref('us_states') }}

),

final as (

    select
        -- strings
        states.region_name,
        customers.state_code,
        orders.currency_code,

        -- numerics
        count(*) as order_count,
        sum(orders.order_amount - orders.refunded_amount) as net_amount,

        -- dates
        date_trunc('month', orders.order_date::timestamp)::date as month_start_date
    from orders
    inner join customers
        on orders.customer_key = customers.customer_key
    left join states
        on customers.state_code = states.state_code
    group by
        states.region_name,
        customers.state_code,
        orders.currency_code,
        date_trunc('month', orders.order_date::timestamp)::date

)

select * from final
