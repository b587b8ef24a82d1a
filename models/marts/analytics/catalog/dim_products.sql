{{
    config(
        materialized='incremental',
        incremental_strategy='touched_keys',
        unique_key=['product_id', 'version_number'],
        on_schema_change='fail',
        indexes=[
            {'columns': ['product_key'], 'unique': true},
            {'columns': ['product_id', 'version_number'], 'unique': true},
            {'columns': ['product_id', 'valid_from'], 'unique': true},
            {'columns': ['category_id']},
        ],
        meta={
            'touched_by': {
                'stg_clutter_haven__categories': {'column': 'category_id', 'through': 'this'},
            }
        }
    )
}}

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

    {{ scd2_versions('snapshot_rows', 'product_id') }}

),

categories as (

    select * from {{ ref('stg_clutter_haven__categories') }}

),

known_members as (

    select
        product_versions.product_id,
        product_versions.vendor_id,
        product_versions.category_id,
        product_versions.product_title,
        categories.category_name,
        product_versions.product_condition,
        product_versions.listing_status,
        product_versions.currency_code,
        product_versions.price_amount,
        product_versions.version_number,
        product_versions.is_current,
        product_versions.is_deleted,
        product_versions.listed_at,
        product_versions.valid_from,
        product_versions.valid_to,
        product_versions._load_id
    from product_versions
    left join categories
        on product_versions.category_id = categories.category_id

),

unknown_member as (

    select
        -1::bigint as product_id,
        -1::bigint as vendor_id,
        -1::bigint as category_id,
        'Unknown' as product_title,
        'Unknown' as category_name,
        null::text as product_condition,
        null::text as listing_status,
        null::text as currency_code,
        null::numeric as price_amount,
        0 as version_number,
        true as is_current,
        false as is_deleted,
        null::timestamptz as listed_at,
        '-infinity'::timestamptz as valid_from,
        '9999-12-31 00:00:00+00'::timestamptz as valid_to,
        0::bigint as _load_id

),

members as (

    select * from known_members
    union all
    select * from unknown_member

),

final as (

    select
        -- ids
        {{ dbt_utils.generate_surrogate_key(['product_id', 'version_number']) }} as product_key,
        product_id,
        vendor_id,
        category_id,

        -- strings
        product_title,
        category_name,
        product_condition,
        listing_status,
        currency_code,

        -- numerics
        price_amount,
        version_number,

        -- booleans
        is_current,
        is_deleted,

        -- timestamps
        listed_at,
        valid_from,
        valid_to,

        -- load metadata
        _load_id
    from members
    where {{ is_touched('product_id') }}

)

select * from final
