select
    -- ids
    customer_id,

    -- strings
    {{ lower_ascii('trim(email)') }} as email,
    trim(full_name) as full_name,
    trim(phone) as phone,
    trim(city) as city,
    {{ upper_ascii('trim(state_code)') }} as state_code,
    trim(postal_code) as postal_code,
    {{ upper_ascii('trim(country_code)') }} as country_code,

    -- semi-structured
    preferences,

    -- booleans
    ({{ lower_ascii('trim(email)') }}) ~ '{{ var("email_pattern") }}' as is_email_valid,
    is_marketing_opt_in,

    -- timestamps
    created_at,
    updated_at,

    -- load metadata
    _deleted_at is not null as is_deleted,
    _deleted_at,
    _load_id,
    _loaded_at
from {{ source('clutter_haven', 'customers') }}
