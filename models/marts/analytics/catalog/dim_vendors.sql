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

    {{ scd2_versions('snapshot_rows', 'vendor_id', unknown={
        'vendor_name': "'Unknown'", 'commission_rate': '0', 'is_active': 'false'
    }) }}

),

final as (

    select
        -- ids
        vendor_key,
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
    from vendor_versions
    where {{ is_touched('vendor_id') }}

)

select * from final
