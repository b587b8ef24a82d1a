-- Deleted rows stay, with the time of the deletion: before it, they were known.
with

orders as (

    select * from {{ ref('stg_clutter_haven__orders') }}
    where {{ is_touched('order_id') }}

),

order_items as (

    select * from {{ ref('stg_clutter_haven__order_items') }}
    where {{ is_touched('order_id') }}

),

final as (

    select
        -- ids
        order_items.order_item_id,
        order_items.order_id,
        orders.customer_id,
        order_items.product_id,

        -- strings
        orders.currency_code,

        -- numerics
        order_items.quantity,
        order_items.quantity * order_items.unit_price_amount as item_amount,

        -- timestamps
        orders.ordered_at,
        greatest(orders.created_at, order_items.created_at) as created_at,

        -- load metadata
        least(orders._deleted_at, order_items._deleted_at) as _deleted_at
    from order_items
    inner join orders
        on order_items.order_id = orders.order_id

)

select * from final
