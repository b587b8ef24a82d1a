{{ dbt_utils.date_spine(
    datepart='hour',
    start_date="cast('2024-01-01 22:00' as timestamp)",
    end_date="cast('2024-01-02 02:30' as timestamp)"
) }}
