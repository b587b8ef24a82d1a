with

orders as (

    select * from {{ ref('fct_orders') }}

),

payments as (

    select * from {{ ref('fct_payments') }}
    where is_received

),

final as (

    select
        -- strings
        payments.payment_method,

        -- numerics
        floor(extract(epoch from payments.paid_at - orders.ordered_at) / 3600)::bigint
            as delay_hours,
        count(*) as payment_count,
        count(*) filter (where payments.is_late) as late_count
    from payments
    inner join orders
        on payments.order_id = orders.order_id
    group by
        payments.payment_method,
        floor(extract(epoch from payments.paid_at - orders.ordered_at) / 3600)::bigint

)

select * from final
