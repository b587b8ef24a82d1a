{#- A column that is nearly unique determines every other by chance, and one with a single value
    depends on all. -#}
{% set columns = profiled_columns() | selectattr('distinct_count', 'gt', 1) | list %}
with

checks as (

    select
        null::text as table_label,
        null::text as determinant,
        null::text as dependent,
        null::bigint as determinant_values,
        null::bigint as dependent_values,
        null::boolean as holds
    where false
    {% for column in columns if column.key_share is not none and column.key_share <= 0.5 %}
        {% set others = [] %}
        {% for other in columns
            if other.relation == column.relation and other.name != column.name
            and other.distinct_count <= column.distinct_count %}
            {% do others.append(other) %}
        {% endfor %}
        {% if others %}
            union all
            select
                {{ sql_literal(column.label) }},
                {{ sql_literal(column.name) }},
                found.dependent,
                {{ column.distinct_count }},
                found.dependent_values,
                found.holds
            from (
                select
                    {% for other in others %}
                        bool_and(per_value.is_same_{{ loop.index }}) as holds_{{ loop.index }}{{ ',' if not loop.last }}
                    {% endfor %}
                from (
                    select
                        {% for other in others %}
                            count(loaded.{{ other.quoted }}) in (0, count(*))
                            and min(loaded.{{ other.quoted }}::text collate "C")
                            is not distinct from max(loaded.{{ other.quoted }}::text collate "C")
                                as is_same_{{ loop.index }}{{ ',' if not loop.last }}
                        {% endfor %}
                    from {{ column.relation }} as loaded
                    where loaded._deleted_at is null and loaded.{{ column.quoted }} is not null
                    group by loaded.{{ column.quoted }}::text
                ) as per_value
            ) as checked
            cross join lateral (
                values
                {% for other in others %}
                ({{ sql_literal(other.name) }}, {{ other.distinct_count }}, checked.holds_{{ loop.index }}){{ ',' if not loop.last }}
                {% endfor %}
            ) as found (dependent, dependent_values, holds)
        {% endif %}
    {% endfor %}

),

final as (

    select
        table_label,
        determinant,
        dependent,
        determinant_values,
        dependent_values
    from checks
    where holds

)

select * from final
order by
    table_label,
    determinant,
    dependent
