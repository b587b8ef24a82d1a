select
    -- ids
    review_id,
    product_id,
    customer_id,

    -- strings
    trim(review_text) as review_text,

    -- numerics
    rating::integer as rating,

    -- timestamps
    reviewed_at,
    created_at,
    updated_at,

    -- load metadata
    _deleted_at is not null as is_deleted,
    _deleted_at,
    _load_id,
    _loaded_at
from {{ source('clutter_haven', 'reviews') }}
