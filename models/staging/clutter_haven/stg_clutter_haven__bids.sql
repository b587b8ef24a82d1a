select
    -- ids
    bid_id,
    product_id,
    customer_id,

    -- strings
    {{ upper_ascii('trim(currency_code)') }} as currency_code,
    bid_status,

    -- numerics
    bid_amount,

    -- timestamps
    bid_at,
    created_at,
    updated_at,

    -- load metadata
    _deleted_at is not null as is_deleted,
    _deleted_at,
    _load_id,
    _loaded_at
from {{ source('clutter_haven', 'bids') }}
