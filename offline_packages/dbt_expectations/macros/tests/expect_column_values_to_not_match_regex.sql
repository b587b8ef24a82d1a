{#- Rows whose value matches the regular expression somewhere. -#}
{% test expect_column_values_to_not_match_regex(
    model, column_name, regex, row_condition=none, is_raw=false, flags=''
) %}

{{ dbt_expectations._failing_expressions(
    model,
    'not ' ~ dbt_expectations._matches_regex(column_name, regex, flags),
    row_condition=row_condition
) }}

{% endtest %}
