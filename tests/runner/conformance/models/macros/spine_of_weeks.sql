{{ dbt_utils.date_spine(
    datepart='week', start_date="cast('2024-01-03' as date)", end_date="cast('2024-02-01' as date)"
) }}
