with

profiles as (

    select * from {{ ref('column_profiles') }}

),

changes as (

    select * from {{ ref('profile_changes') }}

),

dated as (

    select
        profiles.*,
        max(profiles.profiled_at)
            over (partition by profiles.raw_schema, profiles.raw_table)
            as last_profiled_at
    from profiles

),

latest as (

    select
        dated.*,
        changes.what_changed,
        changes.previous_profiled_on,
        changes.previous_row_count
    from dated
    left join changes on dated.profile_id = changes.profile_id
    where dated.profiled_at = dated.last_profiled_at

),

noted as (

    select
        latest.*,
        array_remove(
            array[
                case
                    when
                        latest.profiled_row_count > 0
                        and latest.null_count = latest.profiled_row_count
                        then 'all null'
                    when
                        latest.distinct_count = 1 and latest.null_count > 0
                        then 'constant but for nulls'
                    when latest.distinct_count = 1 and latest.profiled_row_count > 1 then 'constant'
                    when
                        latest.duplicate_count = 0
                        and latest.profiled_row_count - latest.null_count > 1
                        then 'unique'
                end || case when latest.is_sampled then ' in the sample' else '' end,
                case when latest.blank_count > 0 then latest.blank_count || ' blank' end,
                case
                    when latest.untrimmed_count > 0 then latest.untrimmed_count || ' untrimmed'
                end,
                case
                    when latest.case_variant_count > 0 then 'mixed case: values differ by case only'
                end,
                case
                    when latest.not_finite_count > 0 then latest.not_finite_count || ' not finite'
                end,
                case when latest.negative_count > 0 then latest.negative_count || ' negative' end,
                case when latest.outlier_count > 0 then latest.outlier_count || ' outliers' end,
                case
                    when
                        latest.kind = 'number'
                        and latest.personal_reason is null
                        and latest.mean is null
                        and latest.max_value is not null
                        then 'too large for a mean'
                end,
                latest.what_changed
            ],
            null
        ) as notes
    from latest

),

final as (

    select
        -- strings
        source_name,
        table_name,
        raw_schema,
        raw_table,

        -- numerics
        size_bytes,
        row_count,
        max(previous_row_count) as previous_row_count,
        profiled_row_count,
        duplicate_row_count,
        sample_pct,

        -- documents
        jsonb_agg(
            jsonb_build_object(
                'name', column_name,
                'type', data_type,
                'kind', kind,
                'personal', personal_reason,
                'is_key', is_key,
                'null_count', null_count,
                'null_share', null_share,
                'distinct_count', distinct_count,
                'distinct_basis', distinct_basis,
                'duplicate_count', duplicate_count,
                'key_share', key_share,
                'min', min_value,
                'max', max_value,
                'mean', mean,
                'standard_deviation', standard_deviation,
                'first_quartile', first_quartile,
                'median', median,
                'third_quartile', third_quartile,
                'outlier_count', outlier_count,
                'shortest_length', shortest_length,
                'longest_length', longest_length,
                'top', coalesce(top_values, '[]'),
                'histogram', coalesce(histogram, '[]'),
                'notes', to_jsonb(notes)
            )
            order by column_position
        ) as profiled_columns,

        -- booleans
        is_sampled,

        -- dates and timestamps
        max(previous_profiled_on) as previous_profiled_on,
        profiled_at
    from noted
    group by
        source_name,
        table_name,
        raw_schema,
        raw_table,
        size_bytes,
        row_count,
        profiled_row_count,
        duplicate_row_count,
        sample_pct,
        is_sampled,
        profiled_at

)

select * from final
