-- How far below the price may a bid be and still win?
with

bids as (

    select * from {{ ref('fct_bids') }}

),

final as (

    select
        width_bucket(bid_amount / product_price_amount, 0, 1, 10) * 10 as up_to_pct_of_price,
        count(*) as bid_count,
        count(*) filter (where is_won) as won_count,
        round(100.0 * count(*) filter (where is_won) / count(*), 1) as won_pct
    from bids
    where is_below_price
    group by width_bucket(bid_amount / product_price_amount, 0, 1, 10)

)

select * from final
order by up_to_pct_of_price
