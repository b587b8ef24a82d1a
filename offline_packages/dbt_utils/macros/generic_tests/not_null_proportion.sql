{#- One row per group whose share of non-null values lies outside [at_least, at_most]. -#}
{% macro test_not_null_proportion(model, group_by_columns=[]) %}

{%- set column_name = kwargs.get('column_name', kwargs.get('arg')) -%}
{%- set at_least = kwargs.get('at_least', kwargs.get('arg')) -%}
{%- set at_most = kwargs.get('at_most', kwargs.get('arg', 1)) -%}
with

proportions as (

    select
        {{ dbt_utils._group_select(group_by_columns) }}
        sum(case when {{ column_name }} is null then 0 else 1 end) / cast(count(*) as numeric)
            as not_null_proportion
    from {{ model }}
    {{ dbt_utils._group_clause(group_by_columns) }}

)

select *
from proportions
where not (not_null_proportion >= {{ at_least }} and not_null_proportion <= {{ at_most }})

{% endmacro %}
