with

as_of_dates as (

    select * from {{ ref('int_features__as_of_dates') }}

),

order_lines as (

    select * from {{ ref('int_features__order_lines') }}

),

bids as (

    select * from {{ ref('stg_clutter_haven__bids') }}

),

reviews as (

    select * from {{ ref('stg_clutter_haven__reviews') }}

),

listing_views as (

    select * from {{ ref('stg_clutter_haven__listing_views') }}

),

dates as materialized (

    select
        as_of_dates.as_of_date,
        as_of_dates.as_of_at,
        {{ is_new_as_of_date('as_of_dates.as_of_date') }} as is_new
    from as_of_dates

),

products as materialized (

    -- Those that have a row in this build: all of them on a new date.
    select * from {{ ref('dim_products') }}
    where
        version_number > 0
        and not is_deleted
        and (
            {{ is_touched('product_id') }}
            or exists (
                select 1 from dates
                where dates.is_new
            )
        )

),

due as materialized (

    -- The rows of this build, each with the version of the product that held just before its time.
    select
        products.product_id,
        products.vendor_id,
        products.category_id,
        products.product_condition,
        products.listing_status,
        products.currency_code,
        products.price_amount,
        products.listed_at,
        dates.as_of_date,
        dates.as_of_at
    from dates
    inner join products
        on
            dates.as_of_at > products.valid_from
            and dates.as_of_at <= products.valid_to
            and dates.as_of_at > products.listed_at
    where dates.is_new or {{ is_touched('products.product_id') }}

),

sales_per_product as (

    {{ windowed_counts(
        'order_lines', 'ordered_at', 'product_id',
        {'order_line_count_30d': 30, 'order_line_count_90d': 90},
        others={
            'sold_quantity_90d':
                'sum(order_lines.quantity) filter (where '
                ~ in_last_days('order_lines.ordered_at', 90) ~ ')',
            'sold_quantity': 'sum(order_lines.quantity)',
            'last_ordered_at': 'max(order_lines.ordered_at)',
        }
    ) }}

),

bids_per_product as (

    {{ windowed_counts(
        'bids', 'bid_at', 'product_id',
        {'bid_count_30d': 30, 'bid_count_90d': 90},
        others={
            'bidder_count_90d': 'count(distinct bids.customer_id)',
            'highest_bid_amount_90d':
                'max(bids.bid_amount) filter (where bids.currency_code = due.currency_code)',
        },
        within=90
    ) }}

),

reviews_per_product as (

    {{ windowed_counts('reviews', 'reviewed_at', 'product_id', {'review_count': none}) }}

),

views_per_product as (

    {{ windowed_counts(
        'listing_views', 'viewed_at', 'product_id',
        {'view_count_7d': 7, 'view_count_30d': 30, 'view_count_90d': 90}, within=90
    ) }}

),

final as (

    select
        -- ids
        due.product_id,
        due.vendor_id,
        due.category_id,

        -- strings
        due.product_condition,
        due.listing_status,
        due.currency_code,

        -- numerics
        due.price_amount,
        coalesce(sales_per_product.order_line_count_30d, 0) as order_line_count_30d,
        coalesce(sales_per_product.order_line_count_90d, 0) as order_line_count_90d,
        coalesce(sales_per_product.sold_quantity_90d, 0) as sold_quantity_90d,
        coalesce(sales_per_product.sold_quantity, 0) as sold_quantity,
        coalesce(bids_per_product.bid_count_30d, 0) as bid_count_30d,
        coalesce(bids_per_product.bid_count_90d, 0) as bid_count_90d,
        coalesce(bids_per_product.bidder_count_90d, 0) as bidder_count_90d,
        bids_per_product.highest_bid_amount_90d,
        coalesce(reviews_per_product.review_count, 0) as review_count,
        coalesce(views_per_product.view_count_7d, 0) as view_count_7d,
        coalesce(views_per_product.view_count_30d, 0) as view_count_30d,
        coalesce(views_per_product.view_count_90d, 0) as view_count_90d,
        due.as_of_date - (due.listed_at at time zone 'UTC')::date as days_since_listed,
        due.as_of_date - (sales_per_product.last_ordered_at at time zone 'UTC')::date
            as days_since_last_order,

        -- dates
        due.as_of_date
    from due
    left join sales_per_product
        on
            due.product_id = sales_per_product.product_id
            and due.as_of_date = sales_per_product.as_of_date
    left join bids_per_product
        on
            due.product_id = bids_per_product.product_id
            and due.as_of_date = bids_per_product.as_of_date
    left join reviews_per_product
        on
            due.product_id = reviews_per_product.product_id
            and due.as_of_date = reviews_per_product.as_of_date
    left join views_per_product
        on
            due.product_id = views_per_product.product_id
            and due.as_of_date = views_per_product.as_of_date

)

select * from final
