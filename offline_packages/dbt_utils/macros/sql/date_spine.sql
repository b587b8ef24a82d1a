{#- A select of date_<datepart>: from start_date (included) to end_date (excluded).
    Both are SQL expressions; the number of rows is counted in the database at compile time. -#}
{% macro date_spine(datepart, start_date, end_date) %}
    {%- set intervals = 1 -%}
    {%- if execute -%}
        {%- set counted = run_query('select ' ~ dbt.datediff(start_date, end_date, datepart)) -%}
        {%- set intervals = counted.columns[0].values()[0] -%}
    {%- endif %}
    with

    rawdata as ({{ dbt_utils.generate_series(intervals) }}),

    all_periods as (

        select
            {{ dbt.dateadd(datepart, '(generated_number - 1)', start_date) }} as date_{{ datepart }}
        from rawdata

    )

    select *
    from all_periods
    where date_{{ datepart }} <= {{ end_date }}
{% endmacro %}
