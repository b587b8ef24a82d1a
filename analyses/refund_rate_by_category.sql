-- In which categories do orders come back?
with

order_items as (

    select * from {{ ref('fct_order_items') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

final as (

    select
        products.category_name,
        order_items.currency_code,
        sum(order_items.item_amount) as sold_amount,
        round(
            100 * {{
                dbt_utils.safe_divide(
                    "sum(order_items.item_amount) "
                    ~ "filter (where order_items.order_status = 'refunded')",
                    'sum(order_items.item_amount)'
                )
            }},
            2
        ) as refunded_pct
    from order_items
    inner join products
        on order_items.product_key = products.product_key
    where order_items.is_revenue
    group by
        products.category_name,
        order_items.currency_code

)

select * from final
order by refunded_pct desc nulls last
