-- Bids by month, category and currency add up to the facts. A row here is a currency with a bid
-- that was lost in the join with its category, or doubled by it.
with

win_rates as (

    select * from {{ ref('bid_win_rate') }}

),

bids as (

    select * from {{ ref('fct_bids') }}

),

counted as (

    select
        currency_code,
        sum(bid_count) as bid_count,
        sum(won_bid_count) as won_bid_count,
        sum(won_amount) as won_amount
    from win_rates
    group by currency_code

),

expected as (

    select
        currency_code,
        count(*) as bid_count,
        count(*) filter (where is_won) as won_bid_count,
        coalesce(sum(bid_amount) filter (where is_won), 0) as won_amount
    from bids
    group by currency_code

)

select
    counted.currency_code as counted_currency_code,
    expected.currency_code as expected_currency_code
from counted
full outer join expected
    on counted.currency_code = expected.currency_code
where
    counted.bid_count is distinct from expected.bid_count
    or counted.won_bid_count is distinct from expected.won_bid_count
    or counted.won_amount is distinct from expected.won_amount
