{#- Evaluate a boolean expression (per row, or per group if it aggregates) and return the results
    that are not true. A null result passes. -#}
{% macro _failing_expressions(model, expression, group_by=none, row_condition=none) %}
with

evaluated as (

    select
        {% for column in group_by or [] %}{{ column }} as col_{{ loop.index }}, {% endfor -%}
        {{ expression }} as expression
    from {{ model }}
    {{ 'where ' ~ row_condition if row_condition }}
    {{ 'group by ' ~ group_by | join(', ') if group_by }}

)

select *
from evaluated
where not (expression = true)
{% endmacro %}
