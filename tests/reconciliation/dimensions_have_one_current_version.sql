-- Each customer, vendor and product in staging has exactly one current version in its dimension,
-- and no other entity has one. A row here is an entity the snapshot missed, or one with two
-- current versions.
with

customers as (

    select * from {{ ref('stg_clutter_haven__customers') }}

),

vendors as (

    select * from {{ ref('stg_clutter_haven__vendors') }}

),

products as (

    select * from {{ ref('stg_clutter_haven__products') }}

),

dim_customers as (

    select * from {{ ref('dim_customers') }}
    where is_current and customer_id <> -1

),

dim_vendors as (

    select * from {{ ref('dim_vendors') }}
    where is_current and vendor_id <> -1

),

dim_products as (

    select * from {{ ref('dim_products') }}
    where is_current and product_id <> -1

),

entities as (

    select
        'customer' as entity_name,
        customer_id as entity_id,
        1 as staging_count,
        0 as current_count
    from customers
    union all
    select
        'vendor' as entity_name,
        vendor_id as entity_id,
        1 as staging_count,
        0 as current_count
    from vendors
    union all
    select
        'product' as entity_name,
        product_id as entity_id,
        1 as staging_count,
        0 as current_count
    from products
    union all
    select
        'customer' as entity_name,
        customer_id as entity_id,
        0 as staging_count,
        1 as current_count
    from dim_customers
    union all
    select
        'vendor' as entity_name,
        vendor_id as entity_id,
        0 as staging_count,
        1 as current_count
    from dim_vendors
    union all
    select
        'product' as entity_name,
        product_id as entity_id,
        0 as staging_count,
        1 as current_count
    from dim_products

)

select
    entity_name,
    entity_id,
    sum(staging_count) as staging_count,
    sum(current_count) as current_count
from entities
group by
    entity_name,
    entity_id
having
    sum(staging_count) is distinct from 1
    or sum(current_count) is distinct from 1
