with

listings as (

    -- As they were at the end of the as-of day.
    select * from {{ ref('dim_products') }}
    where
        product_id <> -1
        and not is_deleted
        and listing_status = 'active'
        and valid_from < ({{ as_of_date() }} + 1)::timestamp at time zone 'UTC'
        and valid_to >= ({{ as_of_date() }} + 1)::timestamp at time zone 'UTC'
        and listed_at < ({{ as_of_date() }} + 1)::timestamp at time zone 'UTC'

),

activity as (

    select * from {{ ref('monthly_listing_activity') }}
    where month_start_date <= {{ as_of_date() }}

),

bids as (

    select * from {{ ref('fct_bids') }}
    where bid_status = 'active' and bid_date <= {{ as_of_date() }}

),

activity_per_listing as (

    select
        product_id,
        sum(view_count)::bigint as view_count,
        sum(bid_count)::bigint as bid_count,
        sum(order_count)::bigint as order_count
    from activity
    group by product_id

),

open_bids as (

    select
        product_id,
        currency_code,
        count(*) as open_bid_count,
        max(bid_amount) as highest_open_bid_amount
    from bids
    group by
        product_id,
        currency_code

),

aged as (

    select
        listings.*,
        (listings.listed_at at time zone 'UTC')::date as listed_date,
        {{ as_of_date() }} - (listings.listed_at at time zone 'UTC')::date as age_days
    from listings

),

final as (

    select
        -- ids
        aged.product_id,
        aged.vendor_id,
        aged.category_id,

        -- strings
        aged.category_name,
        aged.product_condition,
        aged.currency_code,
        case
            when aged.age_days <= 30 then '0 to 30 days'
            when aged.age_days <= 90 then '31 to 90 days'
            when aged.age_days <= 180 then '91 to 180 days'
            when aged.age_days <= 365 then '181 to 365 days'
            else 'over 365 days'
        end as age_band,

        -- numerics
        aged.price_amount,
        aged.age_days,
        coalesce(activity_per_listing.view_count, 0) as view_count,
        coalesce(activity_per_listing.bid_count, 0) as bid_count,
        coalesce(activity_per_listing.order_count, 0) as order_count,
        coalesce(open_bids.open_bid_count, 0) as open_bid_count,
        open_bids.highest_open_bid_amount,

        -- booleans
        coalesce(activity_per_listing.order_count, 0) = 0 as is_never_ordered,

        -- dates
        aged.listed_date,
        {{ as_of_date() }} as as_of_date
    from aged
    left join activity_per_listing
        on aged.product_id = activity_per_listing.product_id
    left join open_bids
        on
            aged.product_id = open_bids.product_id
            and aged.currency_code = open_bids.currency_code

)

select * from final
