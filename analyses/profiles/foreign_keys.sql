{% set columns = profiled_columns()
    | selectattr('can_refer') | selectattr('distinct_count', 'gt', 0) | list %}
{% set keys = columns
    | selectattr('key_share', 'eq', 1) | selectattr('null_count', 'eq', 0)
    | rejectattr('is_sampled') | list %}
with

candidates as (

    select
        null::text as table_label,
        null::text as column_name,
        null::text as refers_to_table,
        null::text as refers_to_column,
        null::boolean as is_by_name,
        null::numeric as row_count,
        null::numeric as orphan_count
    where false
    {% for column in columns %}
        {% set is_key = column in keys %}
        {% set named, covered = [], [] %}
        {#- A primary key refers to a primary key only: it is rather the other way round. And two keys of one table
            number the same rows. -#}
        {% for key in keys
            if key.data_type == column.data_type
            and (key.is_key or not (is_key and column.is_key))
            and (key.relation != column.relation or not is_key and key.name != column.name) %}
            {% if is_named_after(column.name, key.name, key.table_name, is_key) %}
                {% do named.append(key) %}
            {#- All counters begin at 1, so that numbers have to cover half of the other's. -#}
            {% elif 20 <= column.distinct_count <= key.distinct_count
                and (column.kind != 'number' or not is_key and column.distinct_count * 2 >= key.distinct_count) %}
                {% do covered.append(key) %}
            {% endif %}
        {% endfor %}
        {% for key in named or covered %}
            union all
            select
                {{ sql_literal(column.label) }},
                {{ sql_literal(column.name) }},
                {{ sql_literal(key.label) }},
                {{ sql_literal(key.name) }},
                {{ (named | length > 0) | lower }},
                coalesce(sum(given.row_count), 0),
                coalesce(sum(given.row_count) filter (
                    where not exists (
                        select 1 from {{ key.relation }} as referred
                        where referred._deleted_at is null and referred.{{ key.quoted }} = given.given_value
                    )
                ), 0)
            from (
                select
                    loaded.{{ column.quoted }} as given_value,
                    count(*) as row_count
                from {{ column.relation }} as loaded
                where loaded._deleted_at is null and loaded.{{ column.quoted }} is not null
                group by loaded.{{ column.quoted }}
            ) as given
        {% endfor %}
    {% endfor %}

),

ranked as (

    select
        candidates.*,
        row_number() over (
            partition by candidates.table_label, candidates.column_name
            order by candidates.refers_to_table, candidates.refers_to_column
        ) as candidate_number
    from candidates
    where
        candidates.orphan_count
        <= case when candidates.is_by_name then 0.1 * candidates.row_count else 0 end

),

final as (

    select
        table_label,
        column_name,
        refers_to_table,
        refers_to_column,
        case when is_by_name then 'name and values' else 'values' end as evidence,
        row_count,
        orphan_count,
        round(orphan_count / row_count, 4) as orphan_share
    from ranked
    where is_by_name or candidate_number = 1

)

select * from final
order by
    table_label,
    column_name,
    refers_to_table
