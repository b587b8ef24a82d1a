with

views as (

    select * from {{ ref('stg_clutter_haven__listing_views') }}
    where
        not is_deleted
        and {{ is_touched('view_id') }}
        and {{ in_partition_window('viewed_at') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

vendors as (

    select * from {{ ref('dim_vendors') }}

),

customers as (

    select * from {{ ref('dim_customers') }}

),

final as (

    select
        -- ids
        views.view_id,
        views.customer_id,
        views.product_id,
        coalesce(products.vendor_id, -1) as vendor_id,
        views.session_id,
        coalesce(customers.customer_key, {{ unknown_member_key() }}) as customer_key,
        coalesce(products.product_key, {{ unknown_member_key() }}) as product_key,
        coalesce(vendors.vendor_key, {{ unknown_member_key() }}) as vendor_key,

        -- strings
        views.device,
        views.referrer,

        -- numerics
        views.duration_seconds,

        -- booleans
        views.is_signed_in,

        -- dates
        (views.viewed_at at time zone 'UTC')::date as view_date,

        -- timestamps
        views.viewed_at
    from views
    left join products
        on
            views.product_id = products.product_id
            and views.viewed_at >= products.valid_from
            and views.viewed_at < products.valid_to
    left join vendors
        on
            products.vendor_id = vendors.vendor_id
            and views.viewed_at >= vendors.valid_from
            and views.viewed_at < vendors.valid_to
    left join customers
        on
            views.customer_id = customers.customer_id
            and views.viewed_at >= customers.valid_from
            and views.viewed_at < customers.valid_to

)

select * from final
