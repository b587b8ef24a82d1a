{#- Rows for which the expression is false; a null result passes. A project may bring its own body. -#}
{% test expression_is_true(model, expression, column_name=none) %}
    {{ return(adapter.dispatch('test_expression_is_true', 'dbt_utils')(model, expression, column_name)) }}
{% endtest %}

{% macro default__test_expression_is_true(model, expression, column_name) %}

select {{ '*' if should_store_failures() else '1' }}
from {{ model }}
where not ({{ column_name ~ ' ' if column_name is not none }}{{ expression }})

{% endmacro %}
