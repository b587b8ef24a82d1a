{% test rows_match_regex(model, column_name, regex, row_id, is_match=true) %}
    {#- Like the regex tests of dbt_expectations, but a failing row is named by its id: the tests that
        keep their failures in the quality schema must say which row is meant without copying what
        may be personal. Nulls pass. -#}
    select {{ row_id }}
    from {{ model }}
    where {{ column_name }} {{ '!~' if is_match else '~' }} '{{ regex }}'
{% endtest %}
