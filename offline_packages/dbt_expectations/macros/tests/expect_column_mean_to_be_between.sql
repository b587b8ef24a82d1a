{#- One row per group whose mean lies outside the bounds; a null mean passes. -#}
{% test expect_column_mean_to_be_between(
    model,
    column_name,
    min_value=none,
    max_value=none,
    group_by=none,
    row_condition=none,
    strictly=false
) %}

{{ dbt_expectations._failing_expressions(
    model,
    dbt_expectations._between('avg(' ~ column_name ~ ')', min_value, max_value, strictly),
    group_by,
    row_condition
) }}

{% endtest %}
