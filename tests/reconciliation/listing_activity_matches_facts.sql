-- Views, bids, won bids and units by listing and month add up to the facts, per month, and the bids
-- to bid_win_rate. A row here is a month in which something was lost or doubled.
with

activity as (

    select * from {{ ref('monthly_listing_activity') }}

),

listing_views as (

    select * from {{ ref('fct_listing_views') }}

),

win_rates as (

    select * from {{ ref('bid_win_rate') }}

),

order_items as (

    select * from {{ ref('fct_order_items') }}

),

counted as (

    select
        month_start_date,
        sum(view_count) as view_count,
        sum(bid_count) as bid_count,
        sum(won_bid_count) as won_bid_count,
        sum(sold_quantity) as sold_quantity
    from activity
    group by month_start_date

),

expected as (

    select
        month_start_date,
        sum(view_count) as view_count,
        sum(bid_count) as bid_count,
        sum(won_bid_count) as won_bid_count,
        sum(sold_quantity) as sold_quantity
    from (
        select
            date_trunc('month', view_date::timestamp)::date as month_start_date,
            1 as view_count,
            0 as bid_count,
            0 as won_bid_count,
            0 as sold_quantity
        from listing_views
        union all
        select
            month_start_date,
            0 as view_count,
            bid_count,
            won_bid_count,
            0 as sold_quantity
        from win_rates
        union all
        select
            date_trunc('month', order_date::timestamp)::date as month_start_date,
            0 as view_count,
            0 as bid_count,
            0 as won_bid_count,
            case when is_revenue then quantity else 0 end as sold_quantity
        from order_items
    ) as facts
    group by month_start_date

)

select
    counted.month_start_date as counted_month_start_date,
    expected.month_start_date as expected_month_start_date
from counted
full outer join expected
    on counted.month_start_date = expected.month_start_date
where
    counted.view_count is distinct from expected.view_count
    or counted.bid_count is distinct from expected.bid_count
    or counted.won_bid_count is distinct from expected.won_bid_count
    or counted.sold_quantity is distinct from expected.sold_quantity
