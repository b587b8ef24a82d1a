{{
    config(
        materialized='incremental',
        incremental_strategy='touched_keys',
        unique_key=['vendor_id', 'version_number'],
        on_schema_change='fail',
        indexes=[
            {'columns': ['vendor_key'], 'unique': true},
            {'columns': ['vendor_id', 'version_number'], 'unique': true},
            {'columns': ['vendor_id', 'valid_from'], 'unique': true},
        ]
    )
}}

with

snapshot_rows as (

    select
        vendor_id,
        vendor_name,
        state_code,
        commission_rate,
        is_active,
        created_at as onboarded_at,
        created_at,
        updated_at,
        is_deleted,
        _deleted_at,
        _load_id,
        _loaded_at,
        dbt_valid_from,
        dbt_scd_id
    from {{ ref('vendors_snapshot') }}
    where {{ is_touched('vendor_id') }}

),

vendor_versions as (

    {{ scd2_versions('snapshot_rows', 'vendor_id') }}

),

known_members as (

    select
        vendor_id,
        vendor_name,
        state_code,
        commission_rate,
        version_number,
        is_active,
        is_current,
        is_deleted,
        onboarded_at,
        valid_from,
        valid_to,
        _load_id
    from vendor_versions

),

unknown_member as (

    select
        -1::bigint as vendor_id,
        'Unknown' as vendor_name,
        null::text as state_code,
        0::numeric as commission_rate,
        0 as version_number,
        false as is_active,
        true as is_current,
        false as is_deleted,
        null::timestamptz as onboarded_at,
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
        {{ dbt_utils.generate_surrogate_key(['vendor_id', 'version_number']) }} as vendor_key,
        vendor_id,

        -- strings
        vendor_name,
        state_code,

        -- numerics
        commission_rate,
        version_number,

        -- booleans
        is_active,
        is_current,
        is_deleted,

        -- timestamps
        onboarded_at,
        valid_from,
        valid_to,

        -- load metadata
        _load_id
    from members
    where {{ is_touched('vendor_id') }}

)

select * from final
