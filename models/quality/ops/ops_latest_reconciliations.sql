with

reconciliations as (

    select * from {{ ref('ops_reconciliations') }}

),

final as (

    select
        -- ids
        reconciliation_id,
        run_id,

        -- strings
        source_name,
        table_name,
        raw_schema,
        raw_table,
        status,
        error_message,

        -- numerics
        source_row_count,
        raw_row_count,
        missing_row_count,
        extra_row_count,
        different_row_count,
        pending_row_count,
        match_pct,

        -- documents
        column_differences,
        lacking_columns,
        sample_keys,

        -- timestamps
        reconciled_at
    from reconciliations
    where is_latest

)

select * from final
