-- Every live page view is in fct_listing_views once, on its day. A row here is a view that was
-- lost, doubled by a join, left in a wrong partition, or not taken out though gone from the source.
with

source_views as (

    select
        view_id,
        customer_id,
        (viewed_at at time zone 'UTC')::date as view_date
    from {{ ref('stg_clutter_haven__listing_views') }}
    where not is_deleted

),

fact_views as (

    select * from {{ ref('fct_listing_views') }}

)

select
    source_views.view_id as source_view_id,
    fact_views.view_id as fact_view_id
from source_views
full outer join fact_views
    on
        source_views.view_id = fact_views.view_id
        and source_views.customer_id = fact_views.customer_id
        and source_views.view_date = fact_views.view_date
where source_views.view_id is null or fact_views.view_id is null
