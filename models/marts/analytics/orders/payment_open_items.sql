-- Money kept should be money owed. Every order, and every order id that only payments know, for
-- which that is not so, has a row here.
with

orders as (

    select * from {{ ref('fct_orders') }}

),

payments as (

    select * from {{ ref('fct_payments') }}
    where not has_order and is_received

),

balances as (

    select
        order_id,
        customer_id,
        order_status,
        currency_code,
        paid_amount,
        refunded_amount,
        case
            when is_revenue and order_status <> 'refunded' then order_amount else 0
        end as expected_amount,
        is_revenue,
        order_date as opened_date
    from orders
    union all
    select
        order_id,
        min(customer_id) as customer_id,
        null::text as order_status,
        currency_code,
        sum(received_amount) as paid_amount,
        sum(refunded_amount) as refunded_amount,
        0 as expected_amount,
        false as is_revenue,
        min(payment_date) as opened_date
    from payments
    group by
        order_id,
        currency_code

),

final as (

    select
        -- ids
        order_id,
        customer_id,

        -- strings
        order_status,
        currency_code,
        case
            when order_status is null then 'no_order'
            when paid_amount - refunded_amount > expected_amount and expected_amount > 0
                then 'overpaid'
            when paid_amount - refunded_amount > expected_amount and is_revenue
                then 'refund_missing'
            when paid_amount - refunded_amount > expected_amount then 'paid_not_due'
            when paid_amount = 0 then 'unpaid'
            else 'underpaid'
        end as item_kind,

        -- numerics
        expected_amount::numeric(18, 2) as expected_amount,
        paid_amount::numeric(18, 2) as paid_amount,
        refunded_amount::numeric(18, 2) as refunded_amount,
        (paid_amount - refunded_amount)::numeric(18, 2) as kept_amount,
        (paid_amount - refunded_amount - expected_amount)::numeric(18, 2) as difference_amount,

        -- dates
        opened_date
    from balances
    where paid_amount - refunded_amount <> expected_amount

)

select * from final
