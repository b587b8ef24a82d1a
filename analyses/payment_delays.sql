-- How long do customers take to pay, by payment method?
with

delays as (

    select * from {{ ref('payment_delays_by_hour') }}

),

running as (

    select
        *,
        sum(payment_count) over (partition by payment_method order by delay_hours) as paid_so_far,
        sum(payment_count) over (partition by payment_method) as method_count
    from delays

),

final as (

    select
        payment_method,
        sum(payment_count) as payment_count,
        min(delay_hours) filter (where paid_so_far >= 0.5 * method_count) as median_hours,
        min(delay_hours) filter (where paid_so_far >= 0.95 * method_count) as p95_hours,
        sum(late_count) as reported_late_count
    from running
    group by payment_method

)

select * from final
order by payment_method
