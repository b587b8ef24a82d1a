-- Money kept should be money owed. Every order, and every order id that only payments know, for
-- which that is not so, has a row here.
with

orders as (

    select * from {{ ref('fct_orders') }}

),

payments as (

    select * from {{ ref('fct_payments') }}
    where is_received or refunded_amount <> 0

),

-- Money that no order counts: its order is not there, or is in another currency.
uncounted_payments as (

    select payments.*
    from payments
    left join orders
        on
            payments.order_id = orders.order_id
            and payments.currency_code = orders.currency_code
    where orders.order_id is null

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
        true as has_order,
        true as is_counted_in_order,
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
        bool_or(has_order) as has_order,
        false as is_counted_in_order,
        min(payment_date) as opened_date
    from uncounted_payments
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
            when not has_order then 'no_order'
            when not is_counted_in_order then 'other_currency'
            when paid_amount - refunded_amount > expected_amount and expected_amount > 0
                then 'overpaid'
            when paid_amount - refunded_amount > expected_amount and is_revenue
                then 'refund_missing'
            when paid_amount - refunded_amount > expected_amount then 'paid_not_due'
            when paid_amount = 0 then 'unpaid'
            else 'underpaid'
        end as item_kind,

        -- numerics
        expected_amount,
        paid_amount,
        refunded_amount,
        paid_amount - refunded_amount as kept_amount,
        paid_amount - refunded_amount - expected_amount as difference_amount,

        -- dates
        opened_date
    from balances
    where paid_amount - refunded_amount <> expected_amount

)

select * from final
