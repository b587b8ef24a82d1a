-- The small marts that answer questions add up to the facts they were made from. A row here names
-- one that lost or doubled rows in its join, or was not rebuilt with its fact.
with

sums as (

    select
        'category_performance' as summary_name,
        (select sum(gross_amount) from {{ ref('category_performance') }}) as found,
        (
            select sum(item_amount) from {{ ref('fct_order_items') }}
            where is_revenue
        ) as expected
    union all
    select
        'bid_price_bands' as summary_name,
        (select sum(bid_count) from {{ ref('bid_price_bands') }}) as found,
        (
            select count(*) from {{ ref('fct_bids') }}
            where is_below_price
        ) as expected
    union all
    select
        'payment_delays_by_hour' as summary_name,
        (select sum(payment_count) from {{ ref('payment_delays_by_hour') }}) as found,
        (
            select count(*) from {{ ref('fct_payments') }}
            where is_received and has_order
        ) as expected
    union all
    select
        'purchase_intervals' as summary_name,
        (select sum(customer_count) from {{ ref('purchase_intervals') }}) as found,
        (
            select count(distinct customer_id) from {{ ref('fct_orders') }}
            where is_revenue
        ) as expected
    union all
    select
        'regional_revenue' as summary_name,
        (select sum(net_amount) from {{ ref('regional_revenue') }}) as found,
        (
            select sum(order_amount - refunded_amount) from {{ ref('fct_orders') }}
            where is_revenue
        ) as expected
    union all
    select
        'vendor_performance' as summary_name,
        (select sum(review_count) from {{ ref('vendor_performance') }}) as found,
        (select count(*) from {{ ref('fct_reviews') }}) as expected
    union all
    select
        'payment_reconciliation' as summary_name,
        (select sum(kept_amount) from {{ ref('payment_reconciliation') }}) as found,
        (
            select sum(payments.payment_amount)
            from {{ ref('stg_clutter_haven__payments') }} as payments
            inner join {{ ref('payment_statuses') }} as payment_statuses
                on payments.payment_status = payment_statuses.payment_status
            where
                not payments.is_deleted
                and payment_statuses.is_money_received
                and not payment_statuses.is_money_returned
        ) as expected

)

select * from sums
where found is distinct from expected
