{#- One row per group whose sum lies outside the bounds; a null sum passes. -#}
{% test expect_column_sum_to_be_between(
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
    dbt_expectations._between('sum(' ~ column_name ~ ')', min_value, max_value, strictly),
    group_by,
    row_condition
) }}

{% endtest %}
