-- How long do customers take to pay, by payment method?
with

orders as (

    select * from {{ ref('fct_orders') }}

),

payments as (

    select * from {{ ref('fct_payments') }}

),

final as (

    select
        payments.payment_method,
        count(*) as payment_count,
        percentile_cont(0.5) within group (
            order by extract(epoch from payments.paid_at - orders.ordered_at) / 3600
        ) as median_hours,
        percentile_cont(0.95) within group (
            order by extract(epoch from payments.paid_at - orders.ordered_at) / 3600
        ) as p95_hours,
        count(*) filter (where payments.is_late) as reported_late_count
    from payments
    inner join orders
        on payments.order_id = orders.order_id
    where payments.is_received
    group by payments.payment_method

)

select * from final
order by payment_method
