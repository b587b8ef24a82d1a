with

counts as (

    select
        null::text as snapshot_name,
        null::text as column_name,
        null::bigint as key_count,
        null::bigint as changed_key_count
    where false
    {% for snapshot in (graph.nodes.values() if execute else [])
        if snapshot.resource_type == 'snapshot' and snapshot.config.unique_key %}
        {% set relation =
            adapter.get_relation(snapshot.database, snapshot.schema, snapshot.alias) %}
        {% set unique_key = snapshot.config.unique_key %}
        {% set key_names = [unique_key] if unique_key is string else unique_key %}
        {% for column in (adapter.get_columns_in_relation(relation) if relation else [])
            if column.name not in key_names and not column.name.startswith(('dbt_', '_')) %}
            union all
            select
                {{ sql_literal(snapshot.name) }},
                {{ sql_literal(column.name) }},
                count(*),
                count(*) filter (where per_key.version_count > 1)
            from (
                select count(distinct {{ column.quoted }}::text) + bool_or({{ column.quoted }} is null)::integer
                        as version_count
                from {{ relation }}
                group by {{ key_names | join(', ') }}
            ) as per_key
        {% endfor %}
    {% endfor %}

),

final as (

    select * from counts
    where changed_key_count > 0

)

select * from final
order by
    snapshot_name asc,
    changed_key_count desc,
    column_name asc
