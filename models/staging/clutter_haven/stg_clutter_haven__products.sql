select
    -- ids
    product_id,
    vendor_id,
    category_id::bigint as category_id,

    -- strings
    trim(title) as product_title,
    {{ upper_ascii('trim(currency_code)') }} as currency_code,
    condition as product_condition,
    listing_status,

    -- semi-structured
    tags,
    attributes,

    -- numerics
    price as price_amount,

    -- timestamps
    listed_at,
    created_at,
    updated_at,

    -- load metadata
    _deleted_at is not null as is_deleted,
    _deleted_at,
    _load_id,
    _loaded_at
from {{ source('clutter_haven', 'products') }}
