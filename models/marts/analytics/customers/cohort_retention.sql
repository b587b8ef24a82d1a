with

orders as (

    select
        customer_id,
        date_trunc('month', order_date::timestamp)::date as month_start_date
    from {{ ref('fct_orders') }}
    where is_revenue and order_date <= {{ as_of_date() }}

),

active_customers as (

    -- One row per customer and month: from here on the input is small.
    select
        customer_id,
        month_start_date,
        min(month_start_date) over (partition by customer_id) as cohort_month_start_date
    from orders
    group by
        customer_id,
        month_start_date

),

cohorts as (

    select
        cohort_month_start_date,
        count(*) as cohort_customer_count
    from active_customers
    where month_start_date = cohort_month_start_date
    group by cohort_month_start_date

),

active_per_month as (

    select
        cohort_month_start_date,
        month_start_date,
        count(*) as active_customer_count
    from active_customers
    group by
        cohort_month_start_date,
        month_start_date

),

grid as (

    -- Months in which nobody of a cohort bought have a row too: zero is an answer.
    select
        cohorts.cohort_month_start_date,
        cohorts.cohort_customer_count,
        months.month_at::date as month_start_date
    from cohorts
    cross join
        lateral generate_series(
            cohorts.cohort_month_start_date::timestamp,
            date_trunc('month', {{ as_of_date() }}::timestamp),
            interval '1 month'
        ) as months (month_at)

),

final as (

    select
        -- numerics
        (
            (
                extract(year from grid.month_start_date)
                - extract(year from grid.cohort_month_start_date)
            ) * 12
            + extract(month from grid.month_start_date)
            - extract(month from grid.cohort_month_start_date)
        )::integer as months_since_first_order,
        grid.cohort_customer_count,
        coalesce(active_per_month.active_customer_count, 0) as active_customer_count,
        round(
            100.0 * coalesce(active_per_month.active_customer_count, 0)
            / grid.cohort_customer_count,
            2
        ) as retention_pct,

        -- booleans
        (grid.month_start_date + interval '1 month')::date - 1 <= {{ as_of_date() }}
            as is_month_complete,

        -- dates
        grid.cohort_month_start_date,
        grid.month_start_date
    from grid
    left join active_per_month
        on
            grid.cohort_month_start_date = active_per_month.cohort_month_start_date
            and grid.month_start_date = active_per_month.month_start_date

)

select * from final
