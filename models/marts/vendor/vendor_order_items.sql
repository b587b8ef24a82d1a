{#- Who asks is session_user, the login: neither `set role` nor a setting changes it. The operator
    says in privacy.vendor_logins which vendors a login may see; without that table (`haven access`),
    and in what a developer builds, nobody sees anything. Their rows come out of a function, so that no plan tells of others' rows. -#}
{{
    config(
        pre_hook="{{ create_rows_of_login(ref('fct_order_items'), 'vendor_id', 'privacy.vendor_logins') }}",
        post_hook=[
            'alter view {{ this }} set (security_barrier = true)',
            '{{ drop_old_rows_of_login() }}',
        ]
    )
}}
-- depends_on: {{ ref('fct_order_items') }}

with

order_items as (

    select * from {{ rows_of_login() }}()

),

final as (

    select
        -- ids
        order_item_id,
        order_id,
        product_id,
        vendor_id,

        -- strings
        order_status,
        currency_code,

        -- numerics
        quantity,
        unit_price_amount,
        item_amount,
        commission_rate,
        commission_amount,

        -- timestamps
        ordered_at
    from order_items

)

select * from final
