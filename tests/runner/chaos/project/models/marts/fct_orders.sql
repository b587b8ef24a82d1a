{{ config(
    materialized='incremental',
    incremental_strategy='touched_keys',
    unique_key=['order_id'],
    indexes=[{'columns': ['order_id'], 'unique': true}],
    meta={'touched_by': {
        'stg_orders': {'column': 'order_id', 'moves': false},
        'stg_lines': {'column': 'order_id', 'row_id': 'line_id'},
    }},
) }}

with

orders as (

    select * from {{ ref('stg_orders') }} where {{ is_touched('order_id') }}

),

lines as (

    select * from {{ ref('stg_lines') }} where {{ is_touched('order_id') }}

)

select
    orders.order_id,
    orders.customer,
    count(lines.line_id) as line_count,
    coalesce(sum(lines.amount), 0) as order_amount
from orders
left join lines on orders.order_id = lines.order_id and lines._deleted_at is null
where orders._deleted_at is null
group by orders.order_id, orders.customer
