-- Row by row on purpose (no aggregate, no window, no `with`): the keys that an incremental model
-- was touched by then reach the tables below through this view (docs/late_data.md).
select
    -- ids
    order_items.order_item_id,
    order_items.order_id,
    orders.customer_id,
    order_items.product_id,

    -- strings
    orders.order_status,
    orders.currency_code,

    -- numerics
    order_items.quantity,
    order_items.unit_price_amount,
    order_items.quantity * order_items.unit_price_amount as item_amount,

    -- timestamps
    orders.ordered_at
from {{ ref('stg_clutter_haven__order_items') }} as order_items
inner join {{ ref('stg_clutter_haven__orders') }} as orders
    on order_items.order_id = orders.order_id
where not order_items.is_deleted and not orders.is_deleted
