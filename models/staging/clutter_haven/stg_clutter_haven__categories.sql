select
    -- ids
    category_id::bigint as category_id,
    parent_category_id::bigint as parent_category_id,

    -- strings
    trim(category_name) as category_name,

    -- timestamps
    created_at,
    updated_at,

    -- load metadata
    _deleted_at is not null as is_deleted,
    _deleted_at,
    _load_id,
    _loaded_at
from {{ source('clutter_haven', 'categories') }}
