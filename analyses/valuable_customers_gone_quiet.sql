-- Which of our best customers have not bought for 90 days?
with

customers as (

    select * from {{ ref('customer_lifetime_value') }}

),

ranked as (

    select
        *,
        ntile(10) over (
            partition by currency_code
            order by net_amount desc, customer_id asc
        ) as tenth,
        max(last_order_date) over () as newest_order_date
    from customers

),

final as (

    select
        customer_id,
        currency_code,
        net_amount,
        order_count,
        last_order_date,
        newest_order_date - last_order_date as quiet_days
    from ranked
    where tenth = 1 and newest_order_date - last_order_date > 90

)

select * from final
order by
    net_amount desc,
    customer_id asc
