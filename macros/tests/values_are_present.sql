{% test values_are_present(model, row_id, columns) %}
    {#- One pass for all columns that may not be null. Joins and most tests pass over a null in silence. -#}
    select
        checked.{{ row_id }},
        found.column_name
    from {{ model }} as checked
    cross join lateral (
        values
        {%- for column in columns %}
        ('{{ column }}', checked.{{ column }} is null){{ ',' if not loop.last }}
        {%- endfor %}
    ) as found (column_name, is_missing)
    where found.is_missing
{% endtest %}
