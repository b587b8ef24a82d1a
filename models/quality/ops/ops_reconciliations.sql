with

reconciliations as (

    select * from {{ source('haven', 'reconciliations') }}

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
        error as error_message,

        -- numerics
        source_rows as source_row_count,
        raw_rows as raw_row_count,
        missing_rows as missing_row_count,
        extra_rows as extra_row_count,
        different_rows as different_row_count,
        pending_rows as pending_row_count,
        match_pct,
        extract(epoch from finished_at - started_at) as duration_seconds,

        -- documents
        column_differences,
        lacking_columns,
        sample_keys,

        -- booleans
        row_number() over (
            partition by raw_schema, raw_table
            order by reconciliation_id desc
        ) = 1 as is_latest,

        -- timestamps
        finished_at as reconciled_at
    from reconciliations

)

select * from final
