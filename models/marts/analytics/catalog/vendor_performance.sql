with

order_items as (

    select * from {{ ref('fct_order_items') }}
    where is_revenue

),

bids as (

    select * from {{ ref('fct_bids') }}

),

reviews as (

    select * from {{ ref('fct_reviews') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

sales as (

    select
        vendor_id,
        currency_code,
        date_trunc('month', order_date::timestamp)::date as month_start_date,
        count(distinct order_id) as order_count,
        count(distinct customer_id) as customer_count,
        sum(quantity)::bigint as sold_quantity,
        sum(item_amount) as gross_amount,
        coalesce(sum(item_amount) filter (where order_status = 'refunded'), 0.00)
            as refunded_amount,
        coalesce(sum(commission_amount) filter (where order_status <> 'refunded'), 0.00)
            as commission_amount
    from order_items
    group by
        vendor_id,
        currency_code,
        date_trunc('month', order_date::timestamp)::date

),

bids_received as (

    select
        products.vendor_id,
        bids.currency_code,
        date_trunc('month', bids.bid_date::timestamp)::date as month_start_date,
        count(*) as bid_count,
        count(*) filter (where bids.is_won) as won_bid_count
    from bids
    inner join products
        on bids.product_key = products.product_key
    group by
        products.vendor_id,
        bids.currency_code,
        date_trunc('month', bids.bid_date::timestamp)::date

),

ratings as (

    -- A review has no currency of its own: it counts where the listing was sold.
    select
        reviews.vendor_id,
        products.currency_code,
        date_trunc('month', reviews.review_date::timestamp)::date as month_start_date,
        count(*) as review_count,
        round(avg(reviews.rating), 2) as average_rating
    from reviews
    inner join products
        on reviews.product_id = products.product_id and products.is_current
    where products.currency_code is not null
    group by
        reviews.vendor_id,
        products.currency_code,
        date_trunc('month', reviews.review_date::timestamp)::date

),

vendor_months as (

    select
        vendor_id,
        currency_code,
        month_start_date
    from sales
    union distinct
    select
        vendor_id,
        currency_code,
        month_start_date
    from bids_received
    union distinct
    select
        vendor_id,
        currency_code,
        month_start_date
    from ratings

),

final as (

    select
        -- ids
        vendor_months.vendor_id,

        -- strings
        vendor_months.currency_code,

        -- numerics
        coalesce(sales.order_count, 0) as order_count,
        coalesce(sales.customer_count, 0) as customer_count,
        coalesce(sales.sold_quantity, 0) as sold_quantity,
        coalesce(sales.gross_amount, 0.00) as gross_amount,
        coalesce(sales.refunded_amount, 0.00) as refunded_amount,
        coalesce(sales.gross_amount - sales.refunded_amount, 0.00) as net_amount,
        coalesce(sales.commission_amount, 0.00) as commission_amount,
        round(100.0 * sales.refunded_amount / nullif(sales.gross_amount, 0), 2) as refunded_pct,
        coalesce(bids_received.bid_count, 0) as bid_count,
        coalesce(bids_received.won_bid_count, 0) as won_bid_count,
        coalesce(ratings.review_count, 0) as review_count,
        ratings.average_rating,

        -- dates
        vendor_months.month_start_date
    from vendor_months
    left join sales
        on
            vendor_months.vendor_id = sales.vendor_id
            and vendor_months.currency_code = sales.currency_code
            and vendor_months.month_start_date = sales.month_start_date
    left join bids_received
        on
            vendor_months.vendor_id = bids_received.vendor_id
            and vendor_months.currency_code = bids_received.currency_code
            and vendor_months.month_start_date = bids_received.month_start_date
    left join ratings
        on
            vendor_months.vendor_id = ratings.vendor_id
            and vendor_months.currency_code = ratings.currency_code
            and vendor_months.month_start_date = ratings.month_start_date

)

select * from final
