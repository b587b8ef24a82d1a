select order_id, customer, updated_at, _load_id, _loaded_at, _deleted_at from {{ source('shop', 'orders') }}
