with

items as (

    select * from {{ ref('int_orders__items_joined') }}
    where {{ is_touched('order_item_id') }}

),

order_statuses as (

    select * from {{ ref('order_statuses') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

vendors as (

    select * from {{ ref('dim_vendors') }}

),

final as (

    select
        -- ids
        items.order_item_id,
        items.order_id,
        items.customer_id,
        items.product_id,
        coalesce(products.vendor_id, -1) as vendor_id,
        coalesce(products.product_key, {{ unknown_member_key() }}) as product_key,
        coalesce(vendors.vendor_key, {{ unknown_member_key() }}) as vendor_key,

        -- strings
        items.order_status,
        items.currency_code,

        -- numerics
        items.quantity,
        items.unit_price_amount,
        items.item_amount,
        coalesce(vendors.commission_rate, 0.0000) as commission_rate,
        round(items.item_amount * coalesce(vendors.commission_rate, 0), 2)
            as commission_amount,

        -- booleans
        coalesce(order_statuses.is_revenue, false) as is_revenue,

        -- dates
        (items.ordered_at at time zone 'UTC')::date as order_date,

        -- timestamps
        items.ordered_at
    from items
    left join order_statuses
        on items.order_status = order_statuses.order_status
    left join products
        on
            items.product_id = products.product_id
            and items.ordered_at >= products.valid_from
            and items.ordered_at < products.valid_to
    left join vendors
        on
            products.vendor_id = vendors.vendor_id
            and items.ordered_at >= vendors.valid_from
            and items.ordered_at < vendors.valid_to

)

select * from final
