{% test value_is_not_shared(model, column_name, row_id) %}
    {#- Like dbt's unique test, but names the rows by their ids instead of by the value, which may be
        personal. One failing row per value that is shared. Nulls pass. -#}
    select
        array_agg({{ row_id }} order by {{ row_id }}) as {{ row_id }}s,
        count(*) as row_count
    from {{ model }}
    where {{ column_name }} is not null
    group by {{ column_name }}
    having count(*) > 1
{% endtest %}
