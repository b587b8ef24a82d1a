{#- Rows whose length in characters differs from `value`; null passes. -#}
{% test expect_column_value_lengths_to_equal(model, column_name, value, row_condition=none) %}

{{ dbt_expectations._failing_expressions(
    model, 'length(' ~ column_name ~ ') = ' ~ value, row_condition=row_condition
) }}

{% endtest %}
