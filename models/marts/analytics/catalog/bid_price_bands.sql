with

bids as (

    select * from {{ ref('fct_bids') }}
    where is_below_price

),

final as (

    select
        -- strings
        currency_code,

        -- numerics
        width_bucket(bid_amount / product_price_amount, 0, 1, 10) * 10 as up_to_price_pct,
        count(*) as bid_count,
        count(*) filter (where is_won) as won_bid_count,

        -- dates
        date_trunc('month', bid_date::timestamp)::date as month_start_date
    from bids
    group by
        currency_code,
        width_bucket(bid_amount / product_price_amount, 0, 1, 10),
        date_trunc('month', bid_date::timestamp)::date

)

select * from final
