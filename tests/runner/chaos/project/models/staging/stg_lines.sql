select line_id, order_id, amount, _load_id, _deleted_at from {{ source('shop', 'lines') }}
