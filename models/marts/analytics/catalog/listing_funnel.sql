with

activity as (

    select * from {{ ref('monthly_listing_activity') }}

),

products as (

    select * from {{ ref('dim_products') }}
    where is_current

),

steps as (

    -- A step counts only for listings that took every step before it.
    select
        activity.month_start_date,
        coalesce(products.category_id, -1) as category_id,
        coalesce(products.category_name, 'Unknown') as category_name,
        activity.view_count > 0 as is_viewed,
        activity.view_count > 0 and activity.bid_count > 0 as is_bid_on,
        activity.view_count > 0 and activity.bid_count > 0 and activity.order_count > 0
            as is_ordered,
        activity.view_count > 0 and activity.bid_count > 0 and activity.paid_order_count > 0
            as is_paid,
        activity.view_count > 0 and activity.bid_count = 0 and activity.order_count > 0
            as is_ordered_outright
    from activity
    left join products
        on activity.product_id = products.product_id

),

counts as (

    select
        month_start_date,
        category_id,
        category_name,
        count(*) filter (where is_viewed) as viewed_listing_count,
        count(*) filter (where is_bid_on) as bid_listing_count,
        count(*) filter (where is_ordered) as ordered_listing_count,
        count(*) filter (where is_paid) as paid_listing_count,
        count(*) filter (where is_ordered_outright) as outright_ordered_listing_count
    from steps
    group by
        month_start_date,
        category_id,
        category_name

),

final as (

    select
        -- ids
        category_id,

        -- strings
        category_name,

        -- numerics
        viewed_listing_count,
        bid_listing_count,
        ordered_listing_count,
        paid_listing_count,
        outright_ordered_listing_count,
        round(100.0 * bid_listing_count / nullif(viewed_listing_count, 0), 2)
            as view_to_bid_pct,
        round(100.0 * ordered_listing_count / nullif(bid_listing_count, 0), 2)
            as bid_to_order_pct,
        round(100.0 * paid_listing_count / nullif(ordered_listing_count, 0), 2)
            as order_to_paid_pct,

        -- dates
        month_start_date
    from counts

)

select * from final
