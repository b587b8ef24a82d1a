with

snapshot_rows as (

    select
        product_id,
        vendor_id,
        category_id,
        product_title,
        product_condition,
        listing_status,
        currency_code,
        price_amount,
        listed_at,
        created_at,
        updated_at,
        is_deleted,
        _deleted_at,
        _load_id,
        _loaded_at,
        dbt_valid_from,
        dbt_scd_id
    from {{ ref('products_snapshot') }}
    where {{ is_touched('product_id') }}

),

product_versions as (

    {{ scd2_versions('snapshot_rows', 'product_id', unknown={
        'vendor_id': '-1', 'category_id': '-1', 'product_title': "'Unknown'"
    }) }}

),

categories as (

    select * from {{ ref('stg_clutter_haven__categories') }}

),

final as (

    select
        -- ids
        product_versions.product_key,
        product_versions.product_id,
        product_versions.vendor_id,
        product_versions.category_id,

        -- strings
        product_versions.product_title,
        case
            when product_versions.product_id = -1 then 'Unknown'
            else categories.category_name
        end as category_name,
        product_versions.product_condition,
        product_versions.listing_status,
        product_versions.currency_code,

        -- numerics
        product_versions.price_amount,
        product_versions.version_number,

        -- booleans
        product_versions.is_current,
        product_versions.is_deleted,

        -- timestamps
        product_versions.listed_at,
        product_versions.valid_from,
        product_versions.valid_to,

        -- load metadata
        product_versions._load_id
    from product_versions
    left join categories
        on product_versions.category_id = categories.category_id
    where {{ is_touched('product_versions.product_id') }}

)

select * from final
