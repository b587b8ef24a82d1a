-- Lines, units and amounts of live orders agree with the source, per order. A row here is an
-- order whose lines were lost, doubled by a join (fan-out), or not computed anew after a change.
with

source_items as (

    select * from {{ ref('stg_clutter_haven__order_items') }}
    where not is_deleted

),

source_orders as (

    select * from {{ ref('stg_clutter_haven__orders') }}
    where not is_deleted

),

fact_items as (

    select * from {{ ref('fct_order_items') }}

),

source_totals as (

    select
        source_items.order_id,
        count(*) as line_count,
        sum(source_items.quantity) as item_count,
        sum(source_items.quantity * source_items.unit_price_amount) as items_amount
    from source_items
    inner join source_orders
        on source_items.order_id = source_orders.order_id
    group by source_items.order_id

),

fact_totals as (

    select
        order_id,
        count(*) as line_count,
        sum(quantity) as item_count,
        sum(item_amount) as items_amount
    from fact_items
    group by order_id

)

select
    source_totals.order_id as source_order_id,
    fact_totals.order_id as fact_order_id,
    source_totals.items_amount as source_items_amount,
    fact_totals.items_amount as fact_items_amount
from source_totals
full outer join fact_totals
    on source_totals.order_id = fact_totals.order_id
where
    source_totals.line_count is distinct from fact_totals.line_count
    or source_totals.item_count is distinct from fact_totals.item_count
    or source_totals.items_amount is distinct from fact_totals.items_amount
