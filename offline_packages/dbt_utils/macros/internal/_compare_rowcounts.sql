{#- CTEs ending in `compared`: row counts of both relations side by side, in total or per group.
    As in the package, a relation or group without rows has no count, rather than a count of 0: its
    difference is null and adds nothing to the failures. -#}
{% macro _compare_rowcounts(model, compare_model, group_by_columns, id_column, count_a, count_b) %}
{%- set columns = [id_column] + group_by_columns -%}
with

here as (

    select {{ dbt_utils._group_select(group_by_columns) }} 1 as {{ id_column }}, count(*) as {{ count_a }}
    from {{ model }}
    group by {{ columns | join(', ') }}

),

there as (

    select {{ dbt_utils._group_select(group_by_columns) }} 1 as {{ id_column }}, count(*) as {{ count_b }}
    from {{ compare_model }}
    group by {{ columns | join(', ') }}

),

compared as (

    select
        {%- for column in columns %}
        here.{{ column }} as {{ column }}_a,
        there.{{ column }} as {{ column }}_b,
        {%- endfor %}
        here.{{ count_a }},
        there.{{ count_b }}
    from here
    full join there
        on
            true
            {%- for column in columns %}
            and here.{{ column }} = there.{{ column }}
            {%- endfor %}

)
{% endmacro %}
