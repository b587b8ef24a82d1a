-- How far below the price may a bid be and still win?
with

bands as (

    select * from {{ ref('bid_price_bands') }}

),

final as (

    select
        up_to_price_pct,
        sum(bid_count) as bid_count,
        sum(won_bid_count) as won_bid_count,
        round(100.0 * sum(won_bid_count) / sum(bid_count), 1) as won_pct
    from bands
    group by up_to_price_pct

)

select * from final
order by up_to_price_pct
