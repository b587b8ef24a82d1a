with

orders as (

    select * from {{ ref('fct_orders') }}

),

payments as (

    select * from {{ ref('fct_payments') }}
    where is_received or refunded_amount <> 0

),

open_items as (

    select * from {{ ref('payment_open_items') }}

),

orders_per_month as (

    select
        currency_code,
        date_trunc('month', order_date::timestamp)::date as month_start_date,
        count(*) as order_count,
        sum(case when is_revenue and order_status <> 'refunded' then order_amount else 0.00 end)
            as expected_amount,
        sum(paid_amount) as paid_amount,
        sum(refunded_amount) as refunded_amount
    from orders
    group by
        currency_code,
        date_trunc('month', order_date::timestamp)::date

),

open_items_per_month as (

    select
        currency_code,
        date_trunc('month', opened_date::timestamp)::date as month_start_date,
        count(*) filter (where item_kind = 'unpaid') as unpaid_order_count,
        count(*) filter (where item_kind = 'underpaid') as underpaid_order_count,
        count(*) filter (where item_kind = 'overpaid') as overpaid_order_count,
        count(*) filter (where item_kind = 'refund_missing') as refund_missing_order_count,
        count(*) filter (where item_kind = 'paid_not_due') as paid_not_due_order_count,
        count(*) filter (where item_kind = 'no_order') as orderless_count,
        count(*) filter (where item_kind = 'other_currency') as other_currency_count,
        count(*) filter (where item_kind not in ('no_order', 'other_currency')) as open_order_count
    from open_items
    group by
        currency_code,
        date_trunc('month', opened_date::timestamp)::date

),

-- Money that no order counts, also where it went back and opens no item: by the day the item has.
uncounted_payments as (

    select
        payments.currency_code,
        sum(payments.received_amount) as paid_amount,
        sum(payments.refunded_amount) as refunded_amount,
        min(payments.payment_date) as opened_date
    from payments
    left join orders
        on
            payments.order_id = orders.order_id
            and payments.currency_code = orders.currency_code
    where orders.order_id is null
    group by
        payments.order_id,
        payments.currency_code

),

uncounted_per_month as (

    select
        currency_code,
        date_trunc('month', opened_date::timestamp)::date as month_start_date,
        sum(paid_amount) as paid_amount,
        sum(refunded_amount) as refunded_amount
    from uncounted_payments
    group by
        currency_code,
        date_trunc('month', opened_date::timestamp)::date

),

months as (

    select
        currency_code,
        month_start_date
    from orders_per_month
    union distinct
    select
        currency_code,
        month_start_date
    from open_items_per_month
    union distinct
    select
        currency_code,
        month_start_date
    from uncounted_per_month

),

combined as (

    select
        months.currency_code,
        months.month_start_date,
        coalesce(orders_per_month.order_count, 0) as order_count,
        coalesce(open_items_per_month.unpaid_order_count, 0) as unpaid_order_count,
        coalesce(open_items_per_month.underpaid_order_count, 0) as underpaid_order_count,
        coalesce(open_items_per_month.overpaid_order_count, 0) as overpaid_order_count,
        coalesce(open_items_per_month.refund_missing_order_count, 0) as refund_missing_order_count,
        coalesce(open_items_per_month.paid_not_due_order_count, 0) as paid_not_due_order_count,
        coalesce(open_items_per_month.orderless_count, 0) as orderless_count,
        coalesce(open_items_per_month.other_currency_count, 0) as other_currency_count,
        coalesce(open_items_per_month.open_order_count, 0) as open_order_count,
        coalesce(orders_per_month.expected_amount, 0.00) as expected_amount,
        coalesce(orders_per_month.paid_amount, 0.00)
        + coalesce(uncounted_per_month.paid_amount, 0.00) as paid_amount,
        coalesce(orders_per_month.refunded_amount, 0.00)
        + coalesce(uncounted_per_month.refunded_amount, 0.00) as refunded_amount
    from months
    left join orders_per_month
        on
            months.currency_code = orders_per_month.currency_code
            and months.month_start_date = orders_per_month.month_start_date
    left join open_items_per_month
        on
            months.currency_code = open_items_per_month.currency_code
            and months.month_start_date = open_items_per_month.month_start_date
    left join uncounted_per_month
        on
            months.currency_code = uncounted_per_month.currency_code
            and months.month_start_date = uncounted_per_month.month_start_date

),

final as (

    select
        -- strings
        currency_code,

        -- numerics
        order_count,
        order_count - open_order_count as balanced_order_count,
        unpaid_order_count,
        underpaid_order_count,
        overpaid_order_count,
        refund_missing_order_count,
        paid_not_due_order_count,
        orderless_count,
        other_currency_count,
        expected_amount,
        paid_amount,
        refunded_amount,
        paid_amount - refunded_amount as kept_amount,
        paid_amount - refunded_amount - expected_amount as difference_amount,
        round(100.0 * (order_count - open_order_count) / nullif(order_count, 0), 2)
            as balanced_pct,

        -- dates
        month_start_date
    from combined

)

select * from final
