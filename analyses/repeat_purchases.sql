-- How many customers come back, and how soon?
with

orders as (

    select * from {{ ref('fct_orders') }}

),

numbered as (

    select
        customer_id,
        order_date,
        row_number() over (partition by customer_id order by ordered_at, order_id) as order_number,
        count(*) over (partition by customer_id) as order_count
    from orders
    where is_revenue

),

per_customer as (

    select
        customer_id,
        least(max(order_count), 10) as order_count,
        max(order_date) filter (where order_number = 2)
        - max(order_date) filter (where order_number = 1) as days_to_second_order
    from numbered
    group by customer_id

),

final as (

    select
        order_count,
        count(*) as customer_count,
        percentile_cont(0.5) within group (order by days_to_second_order)
            as median_days_to_second_order
    from per_customer
    group by order_count

)

-- 10 stands for 10 and more.
select * from final
order by order_count
