-- Row by row on purpose (no aggregate, no window): a filter on the keys that an incremental model
-- was touched by then reaches the tables below through this view.
with

order_items as (

    select * from {{ ref('stg_clutter_haven__order_items') }}
    where not is_deleted

),

orders as (

    select * from {{ ref('stg_clutter_haven__orders') }}
    where not is_deleted

),

final as (

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
    from order_items
    inner join orders
        on order_items.order_id = orders.order_id

)

select * from final
