with

orders as (

    select * from {{ ref('fct_orders') }}
    where {{ is_touched('order_date', 'currency_code') }}

),

order_items as (

    select * from {{ ref('fct_order_items') }}
    where {{ is_touched('order_date', 'currency_code') }}

),

orders_per_day as (

    select
        order_date,
        currency_code,
        count(*) as order_count,
        count(*) filter (where is_revenue) as revenue_order_count,
        coalesce(sum(order_amount) filter (where is_revenue), 0.00) as gross_amount,
        coalesce(sum(refunded_amount) filter (where is_revenue), 0.00) as refunded_amount
    from orders
    group by
        order_date,
        currency_code

),

commission_per_day as (

    select
        order_date,
        currency_code,
        sum(commission_amount) as commission_amount
    from order_items
    where is_revenue and order_status <> 'refunded'
    group by
        order_date,
        currency_code

),

final as (

    select
        -- strings
        orders_per_day.currency_code,

        -- numerics
        orders_per_day.order_count,
        orders_per_day.revenue_order_count,
        orders_per_day.gross_amount,
        orders_per_day.refunded_amount,
        orders_per_day.gross_amount - orders_per_day.refunded_amount as net_amount,
        coalesce(commission_per_day.commission_amount, 0.00) as commission_amount,

        -- dates
        orders_per_day.order_date
    from orders_per_day
    left join commission_per_day
        on
            orders_per_day.order_date = commission_per_day.order_date
            and orders_per_day.currency_code = commission_per_day.currency_code

)

select * from final
