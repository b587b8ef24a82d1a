{{
    config(
        materialized='incremental',
        incremental_strategy='touched_keys',
        unique_key=['month_start_date'],
        on_schema_change='fail',
        indexes=[{'columns': ['month_start_date'], 'unique': true}],
        meta={
            'touched_by': {
                'fct_orders': {
                    'column': "date_trunc('month', order_date::timestamp)::date",
                    'uses': 'customer_id',
                },
                'fct_bids': {
                    'column': "date_trunc('month', bid_date::timestamp)::date",
                    'uses': 'customer_id',
                },
                'stg_clutter_haven__listing_views': {
                    'column': "date_trunc('month', viewed_at at time zone 'UTC')::date",
                    'row_id': 'view_id',
                },
            }
        }
    )
}}

-- An increment reads the touched months only, by ranges that the indexes on days and moments answer.
with

{% if is_incremental() %}
touched_months as (

    select
        touched.touched_key as month_start_date,
        (touched.touched_key + interval '1 month')::date as next_month_start_date
    from {{ touched_keys() }} as touched

),

{% endif %}
orders as (

    select orders.* from {{ ref('fct_orders') }} as orders
    {% if is_incremental() %}
        inner join touched_months
            on
                orders.order_date >= touched_months.month_start_date
                and orders.order_date < touched_months.next_month_start_date
    {% endif %}

),

bids as (

    select bids.* from {{ ref('fct_bids') }} as bids
    {% if is_incremental() %}
        inner join touched_months
            on
                bids.bid_date >= touched_months.month_start_date
                and bids.bid_date < touched_months.next_month_start_date
    {% endif %}

),

listing_views as (

    select views.* from {{ ref('stg_clutter_haven__listing_views') }} as views
    {% if is_incremental() %}
        inner join touched_months
            on
                views.viewed_at >= touched_months.month_start_date::timestamp at time zone 'UTC'
                and views.viewed_at
                < touched_months.next_month_start_date::timestamp at time zone 'UTC'
    {% endif %}
    where views.is_signed_in and not views.is_deleted

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
