with

reviews as (

    select * from {{ ref('stg_clutter_haven__reviews') }}
    where not is_deleted

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
        reviews.review_id,
        reviews.customer_id,
        reviews.product_id,
        coalesce(products.vendor_id, -1) as vendor_id,
        coalesce(customers.customer_key, {{ unknown_member_key() }}) as customer_key,
        coalesce(products.product_key, {{ unknown_member_key() }}) as product_key,
        coalesce(vendors.vendor_key, {{ unknown_member_key() }}) as vendor_key,

        -- numerics
        reviews.rating,

        -- booleans
        coalesce(reviews.review_text, '') <> '' as has_review_text,

        -- dates
        (reviews.reviewed_at at time zone 'UTC')::date as review_date,

        -- timestamps
        reviews.reviewed_at
    from reviews
    left join products
        on
            reviews.product_id = products.product_id
            and reviews.reviewed_at >= products.valid_from
            and reviews.reviewed_at < products.valid_to
    left join vendors
        on
            products.vendor_id = vendors.vendor_id
            and reviews.reviewed_at >= vendors.valid_from
            and reviews.reviewed_at < vendors.valid_to
    left join customers
        on
            reviews.customer_id = customers.customer_id
            and reviews.reviewed_at >= customers.valid_from
            and reviews.reviewed_at < customers.valid_to

)

select * from final
