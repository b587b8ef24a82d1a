{% set max_change = var('profile_max_null_share_change', 0.1) %}
with

profiles as (

    select * from {{ ref('column_profiles') }}

),

compared as (

    select
        profiles.*,
        lag(profiles.data_type) over each_column as previous_data_type,
        lag(profiles.row_count) over each_column as previous_row_count,
        lag(profiles.null_share) over each_column as previous_null_share,
        lag(profiles.key_share) over each_column as previous_key_share,
        lag(profiles.distinct_count) over each_column as previous_distinct_count,
        lag(profiles.mean) over each_column as previous_mean,
        lag(profiles.profiled_on) over each_column as previous_profiled_on,
        max(profiles.profiled_at)
            over (partition by profiles.raw_schema, profiles.raw_table)
            as last_profiled_at
    from profiles
    window each_column as (
        partition by raw_schema, raw_table, column_name
        order by profiled_on
    )

),

final as (

    select
        -- ids
        profile_id,

        -- strings
        source_name,
        table_name,
        raw_schema,
        raw_table,
        column_name,
        data_type,
        previous_data_type,
        nullif(
            concat_ws(
                ', ',
                case
                    when abs(null_share - previous_null_share) > {{ max_change }}
                        then
                            'share of nulls ' || round(100 * previous_null_share::numeric, 1)
                            || '% -> ' || round(100 * null_share::numeric, 1) || '%'
                end,
                case
                    when previous_key_share = 1 and key_share < 1 then 'is not unique any more'
                end,
                case
                    when previous_distinct_count > 1 and distinct_count = 1
                        then 'has only one value now'
                end,
                case
                    when data_type <> previous_data_type
                        then 'type ' || previous_data_type || ' -> ' || data_type
                end,
                case
                    when row_count * 2 < previous_row_count
                        then 'rows ' || previous_row_count || ' -> ' || row_count
                end
            ),
            ''
        ) as what_changed,

        -- numerics
        row_count,
        previous_row_count,
        null_share,
        previous_null_share,
        key_share,
        previous_key_share,
        distinct_count,
        previous_distinct_count,
        mean,
        previous_mean,

        -- dates
        profiled_on,
        previous_profiled_on
    from compared
    where profiled_at = last_profiled_at and previous_profiled_on is not null

)

select * from final
