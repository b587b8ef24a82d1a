-- An increment reads the touched months only, by ranges that indexes answer.
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

{% if is_incremental() %}
    touched_months as (

        select
            touched.touched_key as month_start_date,
            (touched.touched_key + interval '1 month')::date as next_month_start_date
        from {{ touched_keys() }} as touched

    ),

{% endif %}
activities as (

    select
        orders.customer_id,
        date_trunc('month', orders.ordered_at at time zone 'UTC')::date as month_start_date,
        'order' as activity
    from orders
    {% if is_incremental() %}
        inner join touched_months
            on
                orders.order_date >= touched_months.month_start_date
                and orders.order_date < touched_months.next_month_start_date
    {% endif %}
    union all
    select
        bids.customer_id,
        date_trunc('month', bids.bid_at at time zone 'UTC')::date as month_start_date,
        'bid' as activity
    from bids
    {% if is_incremental() %}
        inner join touched_months
            on
                bids.bid_date >= touched_months.month_start_date
                and bids.bid_date < touched_months.next_month_start_date
    {% endif %}
    union all
    -- Distinct before the count below: by far the largest input shrinks to a row per customer.
    select distinct
        listing_views.customer_id,
        date_trunc('month', listing_views.viewed_at at time zone 'UTC')::date as month_start_date,
        'view' as activity
    from listing_views
    {% if is_incremental() %}
        inner join touched_months
            on
                listing_views.viewed_at
                >= touched_months.month_start_date::timestamp at time zone 'UTC'
                and listing_views.viewed_at
                < touched_months.next_month_start_date::timestamp at time zone 'UTC'
    {% endif %}

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
