with

order_items as (

    select * from {{ ref('fct_order_items') }}
    where is_revenue

),

products as (

    select * from {{ ref('dim_products') }}

),

final as (

    select
        -- ids
        products.category_id,

        -- strings
        products.category_name,
        order_items.currency_code,

        -- numerics
        count(*) as order_line_count,
        sum(order_items.quantity)::bigint as sold_quantity,
        sum(order_items.item_amount) as gross_amount,
        coalesce(
            sum(order_items.item_amount) filter (where order_items.order_status = 'refunded'), 0
        ) as refunded_amount,

        -- dates
        date_trunc('month', order_items.order_date::timestamp)::date as month_start_date
    from order_items
    inner join products
        on order_items.product_key = products.product_key
    group by
        products.category_id,
        products.category_name,
        order_items.currency_code,
        date_trunc('month', order_items.order_date::timestamp)::date

)

select * from final
