select
    -- ids
    order_id,
    customer_id,

    -- strings
    order_status,
    {{ upper_ascii('trim(currency_code)') }} as currency_code,

    -- semi-structured
    shipping_address,

    -- numerics
    shipping_amount,
    discount_amount,

    -- timestamps
    ordered_at,
    created_at,
    updated_at,

    -- load metadata
    _deleted_at is not null as is_deleted,
    _deleted_at,
    _load_id,
    _loaded_at
from {{ source('clutter_haven', 'orders') }}
