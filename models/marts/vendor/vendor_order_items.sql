{{ config(post_hook='alter view {{ this }} set (security_barrier = true)') }}
{#- Who asks is session_user, the login: neither `set role` nor a setting changes it. The operator
    says in privacy.vendor_logins which vendors a login may see; without that table (`haven access`),
    and in what a developer builds, nobody sees anything. -#}
{% set has_logins = execute and run_query(
    "select exists (select from pg_catalog.pg_class inner join pg_catalog.pg_namespace "
    ~ "on pg_class.relnamespace = pg_namespace.oid where pg_namespace.nspname = 'privacy' "
    ~ "and pg_class.relname = 'vendor_logins' and has_schema_privilege(pg_namespace.oid, 'usage') "
    ~ "and has_table_privilege(pg_class.oid, 'select'))"
)[0][0] %}

with

order_items as (

    select * from {{ ref('fct_order_items') }}

),

logins as (

    {% if has_logins %}
        select vendor_id from privacy.vendor_logins
        where login = session_user
    {% else %}
        select null::bigint as vendor_id
        where false
    {% endif %}

),

final as (

    select
        -- ids
        order_items.order_item_id,
        order_items.order_id,
        order_items.product_id,
        order_items.vendor_id,

        -- strings
        order_items.order_status,
        order_items.currency_code,

        -- numerics
        order_items.quantity,
        order_items.unit_price_amount,
        order_items.item_amount,
        order_items.commission_rate,
        order_items.commission_amount,

        -- timestamps
        order_items.ordered_at
    from order_items
    inner join logins
        on order_items.vendor_id = logins.vendor_id

)

select * from final
