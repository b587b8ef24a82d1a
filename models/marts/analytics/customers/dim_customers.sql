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

    {{ scd2_versions('snapshot_rows', 'customer_id', unknown={'is_marketing_opt_in': 'false'}) }}

),

final as (

    select
        -- ids
        customer_key,
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
    from customer_versions
    where {{ is_touched('customer_id') }}

)

select * from final
