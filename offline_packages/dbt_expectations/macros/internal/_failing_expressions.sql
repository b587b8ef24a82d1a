{#- Evaluate a boolean expression (per row, or per group if it aggregates) and return the results
    that are not true. A null result passes. A project may bring its own body. -#}
{% macro _failing_expressions(model, expression, group_by=none, row_condition=none) %}
    {{ adapter.dispatch('expression_is_true', 'dbt_expectations')(model, expression, '= true', group_by, row_condition) }}
{% endmacro %}

{% macro default__expression_is_true(model, expression, test_condition, group_by_columns, row_condition) %}
with

evaluated as (

    select
        {% for column in group_by_columns or [] %}{{ column }} as col_{{ loop.index }}, {% endfor -%}
        {{ expression }} as expression
    from {{ model }}
    {{ 'where ' ~ row_condition if row_condition }}
    {{ 'group by ' ~ group_by_columns | join(', ') if group_by_columns }}

)

select *
from evaluated
where not (expression {{ test_condition }})
{% endmacro %}
