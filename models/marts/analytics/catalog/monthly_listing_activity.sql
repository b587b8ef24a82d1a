with

listing_views as (

    select * from {{ ref('fct_listing_views') }}

),

bids as (

    select * from {{ ref('fct_bids') }}

),

order_items as (

    select * from {{ ref('fct_order_items') }}

),

orders as (

    select * from {{ ref('fct_orders') }}

),

viewed as (

    select
        product_id,
        date_trunc('month', view_date::timestamp)::date as month_start_date,
        count(*) as view_count,
        count(*) filter (where is_signed_in) as signed_in_view_count
    from listing_views
    group by
        product_id,
        date_trunc('month', view_date::timestamp)::date

),

bid_on as (

    select
        product_id,
        date_trunc('month', bid_date::timestamp)::date as month_start_date,
        count(*) as bid_count,
        count(*) filter (where is_won) as won_bid_count
    from bids
    group by
        product_id,
        date_trunc('month', bid_date::timestamp)::date

),

ordered as (

    select
        order_items.product_id,
        date_trunc('month', order_items.order_date::timestamp)::date as month_start_date,
        count(distinct order_items.order_id) as order_count,
        count(distinct order_items.order_id) filter (where orders.is_paid) as paid_order_count,
        sum(order_items.quantity) filter (where order_items.is_revenue) as sold_quantity
    from order_items
    inner join orders
        on order_items.order_id = orders.order_id
    group by
        order_items.product_id,
        date_trunc('month', order_items.order_date::timestamp)::date

),

listing_months as (

    select
        product_id,
        month_start_date
    from viewed
    union distinct
    select
        product_id,
        month_start_date
    from bid_on
    union distinct
    select
        product_id,
        month_start_date
    from ordered

),

final as (

    select
        -- ids
        listing_months.product_id,

        -- numerics
        coalesce(viewed.view_count, 0) as view_count,
        coalesce(viewed.signed_in_view_count, 0) as signed_in_view_count,
        coalesce(bid_on.bid_count, 0) as bid_count,
        coalesce(bid_on.won_bid_count, 0) as won_bid_count,
        coalesce(ordered.order_count, 0) as order_count,
        coalesce(ordered.paid_order_count, 0) as paid_order_count,
        coalesce(ordered.sold_quantity, 0)::bigint as sold_quantity,

        -- dates
        listing_months.month_start_date
    from listing_months
    left join viewed
        on
            listing_months.product_id = viewed.product_id
            and listing_months.month_start_date = viewed.month_start_date
    left join bid_on
        on
            listing_months.product_id = bid_on.product_id
            and listing_months.month_start_date = bid_on.month_start_date
    left join ordered
        on
            listing_months.product_id = ordered.product_id
            and listing_months.month_start_date = ordered.month_start_date

)

select * from final
