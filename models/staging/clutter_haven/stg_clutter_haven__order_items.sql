select
    -- ids
    order_item_id,
    order_id,
    product_id,

    -- numerics
    quantity,
    unit_price as unit_price_amount,

    -- timestamps
    created_at,
    updated_at,

    -- load metadata
    _deleted_at is not null as is_deleted,
    _deleted_at,
    _load_id,
    _loaded_at
from {{ source('clutter_haven', 'order_items') }}
