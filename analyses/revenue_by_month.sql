-- What did we take in each month, and how did it change against the month before?
with

days as (

    select * from {{ ref('daily_revenue') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

months as (

    select
        dates.month_start_date,
        days.currency_code,
        sum(days.revenue_order_count) as order_count,
        sum(days.net_amount) as net_amount,
        sum(days.refunded_amount) as refunded_amount,
        sum(days.commission_amount) as commission_amount
    from days
    inner join dates
        on days.order_date = dates.calendar_date
    group by
        dates.month_start_date,
        days.currency_code

),

final as (

    select
        month_start_date,
        currency_code,
        order_count,
        net_amount,
        refunded_amount,
        commission_amount,
        round(
            100 * (
                net_amount
                / nullif(
                    lag(net_amount)
                        over (partition by currency_code order by month_start_date),
                    0
                ) - 1
            ),
            1
        ) as net_change_pct
    from months

)

select * from final
order by
    currency_code,
    month_start_date
