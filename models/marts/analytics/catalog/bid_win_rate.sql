with

bids as (

    select
        *,
        case
            when is_below_price and product_price_amount > 0
                then bid_amount / product_price_amount
        end as price_share
    from {{ ref('fct_bids') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

counts as (

    select
        products.category_id,
        products.category_name,
        bids.currency_code,
        date_trunc('month', bids.bid_date::timestamp)::date as month_start_date,
        count(*) as bid_count,
        count(distinct bids.customer_id) as bidder_count,
        count(distinct bids.product_id) as listing_count,
        count(*) filter (where bids.bid_status <> 'active') as decided_bid_count,
        count(*) filter (where bids.is_won) as won_bid_count,
        count(*) filter (where bids.bid_status = 'withdrawn') as withdrawn_bid_count,
        coalesce(sum(bids.bid_amount) filter (where bids.is_won), 0.00) as won_amount,
        avg(bids.price_share) as bid_share,
        avg(bids.price_share) filter (where bids.is_won) as won_bid_share
    from bids
    inner join products
        on bids.product_key = products.product_key
    group by
        products.category_id,
        products.category_name,
        bids.currency_code,
        date_trunc('month', bids.bid_date::timestamp)::date

),

final as (

    select
        -- ids
        category_id,

        -- strings
        category_name,
        currency_code,

        -- numerics
        bid_count,
        bidder_count,
        listing_count,
        decided_bid_count,
        won_bid_count,
        withdrawn_bid_count,
        won_amount,
        round(100.0 * won_bid_count / nullif(decided_bid_count, 0), 2) as win_rate_pct,
        round(100.0 * bid_share, 2) as average_bid_pct,
        round(100.0 * won_bid_share, 2) as average_won_bid_pct,

        -- dates
        month_start_date
    from counts

)

select * from final
