select
    -- ids
    payment_id,
    order_id,
    customer_id,

    -- strings
    payment_method,
    payment_status,
    {{ upper_ascii('trim(currency_code)') }} as currency_code,

    -- numerics
    amount as payment_amount,

    -- timestamps
    paid_at,
    created_at,
    updated_at,

    -- load metadata
    _deleted_at is not null as is_deleted,
    _deleted_at,
    _load_id,
    _loaded_at
from {{ source('clutter_haven', 'payments') }}
