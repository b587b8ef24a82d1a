select
    -- ids
    vendor_id,

    -- strings
    trim(vendor_name) as vendor_name,
    {{ lower_ascii('trim(contact_email)') }} as contact_email,
    {{ upper_ascii('trim(state_code)') }} as state_code,

    -- semi-structured
    specialties,

    -- numerics
    commission_rate,

    -- booleans
    is_active,

    -- timestamps
    created_at,
    updated_at,

    -- load metadata
    _deleted_at is not null as is_deleted,
    _deleted_at,
    _load_id,
    _loaded_at
from {{ source('clutter_haven', 'vendors') }}
