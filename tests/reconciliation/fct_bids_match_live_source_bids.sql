-- Every live bid is in fct_bids once, with its amount. A row here is a bid that was lost,
-- doubled by a join, or is gone from the source and was not taken out.
with

source_bids as (

    select * from {{ ref('stg_clutter_haven__bids') }}
    where not is_deleted

),

fact_bids as (

    select * from {{ ref('fct_bids') }}

)

select
    source_bids.bid_id as source_bid_id,
    fact_bids.bid_id as fact_bid_id
from source_bids
full outer join fact_bids
    on
        source_bids.bid_id = fact_bids.bid_id
        and source_bids.customer_id = fact_bids.customer_id
        and source_bids.bid_amount = fact_bids.bid_amount
where source_bids.bid_id is null or fact_bids.bid_id is null
