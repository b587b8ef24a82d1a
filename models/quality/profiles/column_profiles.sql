{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='profile_id',
    on_schema_change='append_new_columns',
    full_refresh=false,
    tags=['profiles'],
    indexes=[{'columns': ['profile_id'], 'unique': true}],
    pre_hook="select set_config('jit', 'off', false)",
    post_hook="reset jit"
) }}

{% set kinds = personal_data() %}
{% set tables = loaded_tables(kinds) if profiles_are_selected() else [] %}
{#- Read when the model runs, these cost no new parsing. -#}
{% set only = fromjson(env_var('HAVEN_PROFILE_TABLES', '[]')) if tables else [] %}
{% set default_rows = var('profile_sample_rows', 1000000) %}
{% set sample_rows = env_var('HAVEN_PROFILE_SAMPLE', default_rows) if tables else 0 %}
with

profiles as (

    {% for table in tables if not only or table.label in only %}
        (
            {{ profile_sql(table, kinds, sample_rows | int) }}
        )
        union all
    {% endfor %}
    {{ no_profiles_sql() }}

),

-- A column whose frequent values are all those of one personal column refers to it.
shown_values as (

    select
        profiles.raw_schema,
        profiles.raw_table,
        profiles.column_name,
        top_values.entry ->> 'value' as shown_value,
        jsonb_array_length(profiles.top_values) as shown_count
    from profiles
    cross join lateral jsonb_array_elements(profiles.top_values) as top_values (entry)
    where
        profiles.personal_reason is null
        and (profiles.kind = 'text' or profiles.data_type = 'uuid')

),

references_to_personal as (

    select
        shown_values.raw_schema,
        shown_values.raw_table,
        shown_values.column_name
    from shown_values
    where false
    {% for table in tables %}
        {% for column in table.columns
            if column.personal_reason and (column.kind == 'text' or column.type_name == 'uuid') %}
            union all
            select
                shown_values.raw_schema,
                shown_values.raw_table,
                shown_values.column_name
            from shown_values
            inner join {{ table.relation }} as loaded
                on shown_values.shown_value = loaded.{{ column.quoted }}::text
            group by
                shown_values.raw_schema,
                shown_values.raw_table,
                shown_values.column_name,
                shown_values.shown_count
            having count(distinct shown_values.shown_value) = shown_values.shown_count
        {% endfor %}
    {% endfor %}

),

judged as (

    select
        profiles.*,
        coalesce(
            profiles.personal_reason,
            case when exists (
                select 1 from references_to_personal
                where
                    profiles.raw_schema = references_to_personal.raw_schema
                    and profiles.raw_table = references_to_personal.raw_table
                    and profiles.column_name = references_to_personal.column_name
            ) then 'its values are those of a personal column' end
        ) as hidden_because
    from profiles

),

final as (

    select
        -- ids
        md5(
            concat_ws(
                '.',
                raw_schema,
                raw_table,
                column_name,
                '{{ run_started_at.strftime("%Y-%m-%d") }}'
            )
        ) as profile_id,

        -- strings
        source_name,
        table_name,
        raw_schema,
        raw_table,
        column_name,
        data_type,
        kind,
        hidden_because as personal_reason,
        case
            when not is_sampled then 'exact'
            when planned_distinct_count is null then 'sample'
            else 'statistics'
        end as distinct_basis,
        case when hidden_because is null then min_value end as min_value,
        case when hidden_because is null then max_value end as max_value,
        case when hidden_because is null then first_quartile end as first_quartile,
        case when hidden_because is null then median end as median,
        case when hidden_because is null then third_quartile end as third_quartile,

        -- numerics
        column_position,
        size_bytes,
        row_count,
        profiled_row_count,
        sample_pct,
        duplicate_row_count,
        profiled_row_count - value_count as null_count,
        (
            1 - value_count / nullif(profiled_row_count, 0)::numeric
        )::double precision as null_share,
        coalesce(planned_distinct_count, profiled_distinct_count) as distinct_count,
        value_count - profiled_distinct_count as duplicate_count,
        (
            profiled_distinct_count / nullif(profiled_row_count, 0)::numeric
        )::double precision as key_share,
        case when hidden_because is null then mean end as mean,
        case when hidden_because is null then standard_deviation end as standard_deviation,
        outlier_count,
        case when kind in ('number', 'time') then not_finite_count end as not_finite_count,
        case when kind = 'number' then negative_count end as negative_count,
        case when kind = 'text' then shortest_length end as shortest_length,
        case when kind = 'text' then longest_length end as longest_length,
        case when kind = 'text' then blank_count end as blank_count,
        case when kind = 'text' then untrimmed_count end as untrimmed_count,
        case when kind = 'text' then case_variant_count end as case_variant_count,

        -- documents
        case when hidden_because is null then histogram end as histogram,
        case when hidden_because is null then top_values end as top_values,

        -- booleans
        is_key,
        is_sampled,

        -- dates and timestamps
        '{{ run_started_at.strftime("%Y-%m-%d") }}'::date as profiled_on,
        '{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") }}+00'::timestamptz as profiled_at
    from judged

)

select * from final
