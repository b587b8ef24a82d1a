with

orders as (

    select * from {{ ref('fct_orders') }}
    where is_revenue

),

numbered as (

    select
        customer_id,
        order_date,
        row_number() over (partition by customer_id order by ordered_at, order_id) as order_number
    from orders

),

per_customer as (

    select
        customer_id,
        count(*) as order_count,
        max(order_date) filter (where order_number = 2)
        - max(order_date) filter (where order_number = 1) as days_to_second_order
    from numbered
    group by customer_id

),

final as (

    select
        least(order_count, 10)::integer as order_count,
        days_to_second_order,
        count(*) as customer_count
    from per_customer
    group by
        least(order_count, 10)::integer,
        days_to_second_order

)

select * from final
