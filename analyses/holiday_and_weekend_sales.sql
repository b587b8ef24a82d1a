-- Do people buy more on weekends and holidays?
with

days as (

    select * from {{ ref('daily_revenue') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

final as (

    select
        days.currency_code,
        case
            when dates.is_holiday then 'holiday'
            when dates.is_weekend then 'weekend'
            else 'working day'
        end as day_kind,
        count(*) as day_count,
        round(avg(days.net_amount), 2) as average_net_amount,
        round(avg(days.order_count), 1) as average_order_count
    from days
    inner join dates
        on days.order_date = dates.calendar_date
    group by
        days.currency_code,
        case
            when dates.is_holiday then 'holiday'
            when dates.is_weekend then 'weekend'
            else 'working day'
        end

)

select * from final
order by
    currency_code,
    day_kind
