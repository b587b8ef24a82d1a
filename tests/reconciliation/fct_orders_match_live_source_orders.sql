-- Every live order is in fct_orders, and nothing else is. A row here is an order that was lost
-- (missing), or one that is gone from the source and was not taken out (extra): the increments
-- have missed a change.
with

source_orders as (

    select * from {{ ref('stg_clutter_haven__orders') }}
    where not is_deleted

),

fact_orders as (

    select * from {{ ref('fct_orders') }}

)

select
    source_orders.order_id as source_order_id,
    fact_orders.order_id as fact_order_id
from source_orders
full outer join fact_orders
    on
        source_orders.order_id = fact_orders.order_id
        and source_orders.customer_id = fact_orders.customer_id
        and source_orders.order_status = fact_orders.order_status
        and source_orders.ordered_at = fact_orders.ordered_at
where source_orders.order_id is null or fact_orders.order_id is null
