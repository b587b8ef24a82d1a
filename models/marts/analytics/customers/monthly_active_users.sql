with

orders as (

    select * from {{ ref('fct_orders') }}

),

bids as (

    select * from {{ ref('fct_bids') }}

),

listing_views as (

    select * from {{ ref('stg_clutter_haven__listing_views') }}
    where is_signed_in and not is_deleted

),

viewers as (

    -- Distinct before the union below: by far the largest input shrinks to a row per customer.
    select distinct
        customer_id,
        date_trunc('month', viewed_at at time zone 'UTC')::date as month_start_date
    from listing_views

),

activities as (

    select
        customer_id,
        date_trunc('month', ordered_at at time zone 'UTC')::date as month_start_date,
        'order' as activity
    from orders
    union all
    select
        customer_id,
        date_trunc('month', bid_at at time zone 'UTC')::date as month_start_date,
        'bid' as activity
    from bids
    union all
    select
        customer_id,
        month_start_date,
        'view' as activity
    from viewers

),

final as (

    select
        -- numerics
        count(distinct customer_id) as active_customer_count,
        count(distinct customer_id) filter (where activity = 'order') as ordering_customer_count,
        count(distinct customer_id) filter (where activity = 'bid') as bidding_customer_count,
        count(distinct customer_id) filter (where activity = 'view') as viewing_customer_count,

        -- dates
        month_start_date
    from activities
    group by month_start_date

)

select * from final
