with

bids as (

    select * from {{ ref('stg_clutter_haven__bids') }}
    where not is_deleted and {{ is_touched('bid_id') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

customers as (

    select * from {{ ref('dim_customers') }}

),

final as (

    select
        -- ids
        bids.bid_id,
        bids.customer_id,
        bids.product_id,
        coalesce(customers.customer_key, {{ unknown_member_key() }}) as customer_key,
        coalesce(products.product_key, {{ unknown_member_key() }}) as product_key,

        -- strings
        bids.bid_status,
        bids.currency_code,

        -- numerics
        bids.bid_amount,
        products.price_amount as product_price_amount,

        -- booleans
        bids.bid_status = 'won' as is_won,
        coalesce(
            bids.currency_code = products.currency_code
            and bids.bid_amount < products.price_amount,
            false
        ) as is_below_price,

        -- dates
        (bids.bid_at at time zone 'UTC')::date as bid_date,

        -- timestamps
        bids.bid_at
    from bids
    left join products
        on
            bids.product_id = products.product_id
            and bids.bid_at >= products.valid_from
            and bids.bid_at < products.valid_to
    left join customers
        on
            bids.customer_id = customers.customer_id
            and bids.bid_at >= customers.valid_from
            and bids.bid_at < customers.valid_to

)

select * from final
