{#- One row per group whose number of rows lies outside the bounds. -#}
{% test expect_table_row_count_to_be_between(
    model, min_value=none, max_value=none, group_by=none, row_condition=none, strictly=false
) %}

{{ dbt_expectations._failing_expressions(
    model,
    dbt_expectations._between('count(*)', min_value, max_value, strictly),
    group_by,
    row_condition
) }}

{% endtest %}
