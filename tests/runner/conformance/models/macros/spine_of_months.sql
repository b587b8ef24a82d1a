-- not aligned: the end of January has no counterpart in February
{{ dbt_utils.date_spine(
    datepart='month', start_date="cast('2024-01-31' as date)", end_date="cast('2024-05-15' as date)"
) }}
