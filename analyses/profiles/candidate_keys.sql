{#- Fewer than five rows prove nothing: almost any column of them is unique. Times, fractions and
    documents are no keys on their own: they are unique by chance. -#}
{% set columns = profiled_columns()
    | selectattr('row_count', 'ge', 5) | selectattr('null_count', 'eq', 0)
    | selectattr('distinct_count', 'gt', 1) | list %}
with

candidates as (

    select
        null::text as table_label,
        null::text[] as column_names,
        null::boolean as is_primary_key,
        null::boolean as is_proven,
        null::boolean as is_unique
    where false
    {% for table in columns | groupby('relation') %}
        {% set key_names = table.list | selectattr('is_key') | map(attribute='name') | list %}
        {% set singles = table.list | selectattr('can_refer') | selectattr('key_share', 'eq', 1) | list %}
        {% for column in singles %}
            union all
            select
                {{ sql_literal(column.label) }},
                array[{{ sql_literal(column.name) }}],
                {{ (key_names == [column.name]) | lower }},
                {{ (not column.is_sampled) | lower }},
                true
        {% endfor %}
        {#- Where no column is a key on its own: the pairs and triples whose values can suffice, fewest first. -#}
        {% if not singles and not table.list[0].is_sampled %}
            {% for names in column_combinations(table.list) %}
                union all
                select
                    {{ sql_literal(table.list[0].label) }},
                    array[{% for column in names %}{{ sql_literal(column.name) }}{{ ', ' if not loop.last }}{% endfor %}],
                    {{ (key_names == names | map(attribute='name') | list) | lower }},
                    true,
                    not exists (
                        select 1 from {{ table.grouper }} as loaded
                        where loaded._deleted_at is null
                        group by {{ names | map(attribute='quoted') | join(', ') }}
                        having count(*) > 1
                    )
            {% endfor %}
        {% endif %}
    {% endfor %}

),

final as (

    select
        table_label,
        column_names,
        is_primary_key,
        is_proven
    from candidates
    where
        is_unique
        and not exists (
            select 1 from candidates as smaller
            where
                smaller.is_unique
                and smaller.table_label = candidates.table_label
                and smaller.column_names <@ candidates.column_names
                and smaller.column_names <> candidates.column_names
        )

)

select * from final
order by
    table_label asc,
    is_primary_key desc,
    column_names asc
