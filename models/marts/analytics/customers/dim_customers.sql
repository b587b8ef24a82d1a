{{
    config(
        materialized='incremental',
        incremental_strategy='touched_keys',
        unique_key=['customer_id', 'version_number'],
        on_schema_change='fail',
        indexes=[
            {'columns': ['customer_key'], 'unique': true},
            {'columns': ['customer_id', 'version_number'], 'unique': true},
            {'columns': ['customer_id', 'valid_from'], 'unique': true},
        ]
    )
}}

with

snapshot_rows as (

    select
        customer_id,
        case when is_email_valid then split_part(email, '@', 2) end as email_domain,
        city,
        state_code,
        country_code,
        is_marketing_opt_in,
        created_at as registered_at,
        created_at,
        updated_at,
        is_deleted,
        _deleted_at,
        _load_id,
        _loaded_at,
        dbt_valid_from,
        dbt_scd_id
    from {{ ref('customers_snapshot') }}
    where {{ is_touched('customer_id') }}

),

customer_versions as (

    {{ scd2_versions('snapshot_rows', 'customer_id') }}

),

known_members as (

    select
        customer_id,
        email_domain,
        city,
        state_code,
        country_code,
        version_number,
        is_marketing_opt_in,
        is_current,
        is_deleted,
        registered_at,
        valid_from,
        valid_to,
        _load_id
    from customer_versions

),

unknown_member as (

    select
        -1::bigint as customer_id,
        null::text as email_domain,
        null::text as city,
        null::text as state_code,
        null::text as country_code,
        0 as version_number,
        false as is_marketing_opt_in,
        true as is_current,
        false as is_deleted,
        null::timestamptz as registered_at,
        '-infinity'::timestamptz as valid_from,
        '9999-12-31 00:00:00+00'::timestamptz as valid_to,
        0::bigint as _load_id

),

members as (

    select * from known_members
    union all
    select * from unknown_member

),

final as (

    select
        -- ids
        {{ dbt_utils.generate_surrogate_key(['customer_id', 'version_number']) }} as customer_key,
        customer_id,

        -- strings
        email_domain,
        city,
        state_code,
        country_code,

        -- numerics
        version_number,

        -- booleans
        is_marketing_opt_in,
        is_current,
        is_deleted,

        -- timestamps
        registered_at,
        valid_from,
        valid_to,

        -- load metadata
        _load_id
    from members
    where {{ is_touched('customer_id') }}

)

select * from final
