with

orders as (

    select * from {{ ref('fct_orders') }}
    where is_revenue and {{ is_touched('customer_id', 'currency_code') }}

),

final as (

    select
        -- ids
        customer_id,

        -- strings
        currency_code,

        -- numerics
        count(*) as order_count,
        sum(item_count)::bigint as item_count,
        sum(order_amount) as gross_amount,
        sum(refunded_amount) as refunded_amount,
        sum(order_amount) - sum(refunded_amount) as net_amount,
        round(avg(order_amount), 2) as average_order_amount,

        -- dates
        min(order_date) as first_order_date,
        max(order_date) as last_order_date
    from orders
    group by
        customer_id,
        currency_code

)

select * from final
