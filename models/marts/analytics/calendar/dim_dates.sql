with

days as (

    {{
        dbt_utils.date_spine(
            datepart='day',
            start_date="'" ~ var('calendar_start_date') ~ "'::date",
            end_date="'" ~ var('calendar_end_date') ~ "'::date"
        )
    }}

),

holidays as (

    select * from {{ ref('holidays') }}

),

dates as (

    select date_day::date as calendar_date from days

),

final as (

    select
        -- strings
        to_char(dates.calendar_date::timestamp, 'FMMonth') as month_name,
        to_char(dates.calendar_date::timestamp, 'FMDay') as weekday_name,
        holidays.holiday_name,

        -- numerics
        extract(year from dates.calendar_date)::integer as year_number,
        extract(quarter from dates.calendar_date)::integer as quarter_number,
        extract(month from dates.calendar_date)::integer as month_number,
        extract(day from dates.calendar_date)::integer as day_of_month,
        extract(isodow from dates.calendar_date)::integer as iso_weekday_number,
        extract(week from dates.calendar_date)::integer as iso_week_number,

        -- booleans
        extract(isodow from dates.calendar_date) >= 6 as is_weekend,
        holidays.holiday_date is not null as is_holiday,

        -- dates
        dates.calendar_date,
        date_trunc('week', dates.calendar_date::timestamp)::date as week_start_date,
        date_trunc('month', dates.calendar_date::timestamp)::date as month_start_date
    from dates
    left join holidays
        on dates.calendar_date = holidays.holiday_date

)

select * from final
