-- Commission by vendor adds up to commission by day, sales to the lines of revenue orders, bids and
-- reviews to their facts, per currency. A row here is a currency with something lost or doubled.
with

vendors as (

    select * from {{ ref('vendor_performance') }}

),

days as (

    select * from {{ ref('daily_revenue') }}

),

order_items as (

    select * from {{ ref('fct_order_items') }}
    where is_revenue

),

bids as (

    select * from {{ ref('fct_bids') }}

),

vendor_totals as (

    select
        currency_code,
        sum(commission_amount) as commission_amount,
        sum(gross_amount) as gross_amount,
        sum(bid_count) as bid_count
    from vendors
    group by currency_code

),

day_totals as (

    select
        currency_code,
        sum(commission_amount) as commission_amount
    from days
    group by currency_code

),

item_totals as (

    select
        currency_code,
        sum(item_amount) as gross_amount
    from order_items
    group by currency_code

),

bid_totals as (

    select
        currency_code,
        count(*) as bid_count
    from bids
    group by currency_code

)

select
    vendor_totals.currency_code as vendor_currency_code,
    day_totals.currency_code as day_currency_code,
    vendor_totals.commission_amount as vendor_commission_amount,
    day_totals.commission_amount as day_commission_amount
from vendor_totals
full outer join day_totals
    on vendor_totals.currency_code = day_totals.currency_code
left join item_totals
    on vendor_totals.currency_code = item_totals.currency_code
left join bid_totals
    on vendor_totals.currency_code = bid_totals.currency_code
where
    vendor_totals.commission_amount is distinct from day_totals.commission_amount
    or vendor_totals.gross_amount is distinct from coalesce(item_totals.gross_amount, 0)
    or vendor_totals.bid_count is distinct from coalesce(bid_totals.bid_count, 0)
