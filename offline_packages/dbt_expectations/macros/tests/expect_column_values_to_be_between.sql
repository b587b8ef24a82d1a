{#- Rows whose value lies outside the bounds; null passes. -#}
{% test expect_column_values_to_be_between(
    model, column_name, min_value=none, max_value=none, row_condition=none, strictly=false
) %}

{{ dbt_expectations._failing_expressions(
    model,
    dbt_expectations._between(column_name, min_value, max_value, strictly),
    row_condition=row_condition
) }}

{% endtest %}
