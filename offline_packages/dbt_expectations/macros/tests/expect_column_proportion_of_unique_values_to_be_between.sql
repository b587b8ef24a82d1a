{#- One row per group whose distinct values per non-null value lie outside the bounds. -#}
{% test expect_column_proportion_of_unique_values_to_be_between(
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
    dbt_expectations._between('count(distinct ' ~ column_name ~ ') * 1.0 / nullif(count(' ~ column_name ~ '), 0)', min_value, max_value, strictly),
    group_by,
    row_condition
) }}

{% endtest %}
