-- The first step of the funnel holds each listing viewed in a month once. A row here is a month in
-- which listings were lost in the join with their category, or doubled by it.
with

funnel as (

    select * from {{ ref('listing_funnel') }}

),

activity as (

    select * from {{ ref('monthly_listing_activity') }}

),

counted as (

    select
        month_start_date,
        sum(viewed_listing_count) as viewed_listing_count
    from funnel
    group by month_start_date

),

expected as (

    select
        month_start_date,
        count(*) filter (where view_count > 0) as viewed_listing_count
    from activity
    group by month_start_date

)

select
    counted.month_start_date as counted_month_start_date,
    expected.month_start_date as expected_month_start_date
from counted
full outer join expected
    on counted.month_start_date = expected.month_start_date
where counted.viewed_listing_count is distinct from expected.viewed_listing_count
