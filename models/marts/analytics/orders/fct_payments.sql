with

payments as (

    select * from {{ ref('int_orders__payments_classified') }}
    where {{ is_touched('payment_id') }}

),

orders as (

    select * from {{ ref('stg_clutter_haven__orders') }}
    where not is_deleted

),

customers as (

    select * from {{ ref('dim_customers') }}

),

final as (

    select
        -- ids
        payments.payment_id,
        payments.order_id,
        payments.customer_id,
        coalesce(customers.customer_key, {{ unknown_member_key() }}) as customer_key,

        -- strings
        payments.payment_method,
        payments.payment_status,
        payments.currency_code,

        -- numerics
        payments.payment_amount,
        payments.received_amount,
        payments.refunded_amount,

        -- booleans
        orders.order_id is not null as has_order,
        payments.is_received,
        payments.is_late,

        -- dates
        (payments.paid_at at time zone 'UTC')::date as payment_date,

        -- timestamps
        payments.paid_at,
        payments.created_at as reported_at
    from payments
    left join orders
        on payments.order_id = orders.order_id
    left join customers
        on
            payments.customer_id = customers.customer_id
            and payments.paid_at >= customers.valid_from
            and payments.paid_at < customers.valid_to

)

select * from final
