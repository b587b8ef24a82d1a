select
    -- ids
    view_id,
    product_id,
    coalesce(customer_id, -1) as customer_id,
    session_id::text as session_id,

    -- strings
    {{ lower_ascii('trim(device)') }} as device,
    {{ lower_ascii('trim(referrer)') }} as referrer,

    -- numerics
    duration_seconds,

    -- booleans
    customer_id is not null as is_signed_in,

    -- timestamps
    viewed_at,
    created_at,

    -- load metadata
    _deleted_at is not null as is_deleted,
    _deleted_at,
    _load_id,
    _loaded_at
from {{ source('clutter_haven', 'listing_views') }}
