{#- Rows in which the two columns differ; a null passes. -#}
{% test expect_column_pair_values_to_be_equal(model, column_A, column_B, row_condition=none) %}

{{ dbt_expectations._failing_expressions(
    model, column_A ~ ' = ' ~ column_B, row_condition=row_condition
) }}

{% endtest %}
