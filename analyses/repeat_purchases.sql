-- How many customers come back, and how soon?
with

intervals as (

    select * from {{ ref('purchase_intervals') }}

),

running as (

    select
        *,
        sum(customer_count) over (
            partition by order_count
            order by days_to_second_order
        ) as customers_so_far,
        sum(customer_count) over (partition by order_count) as all_customers
    from intervals

),

final as (

    select
        order_count,
        sum(customer_count) as customer_count,
        min(days_to_second_order) filter (where customers_so_far >= 0.5 * all_customers)
            as median_days_to_second_order
    from running
    group by order_count

)

-- 10 stands for 10 and more.
select * from final
order by order_count
