-- What customers who looked alike one horizon ago have done since is what is expected of those who
-- look like that today: docs/metrics.md has the formula, and how far off it was.
with

orders as (

    select * from {{ ref('fct_orders') }}
    where is_revenue and order_date <= {{ as_of_date() }}

),

moments as (

    select
        false as is_training,
        {{ as_of_date() }} as moment_date
    union all
    select
        true as is_training,
        {{ as_of_date() }} - {{ var('prediction_days') }} as moment_date

),

histories as (

    select
        moments.is_training,
        orders.customer_id,
        orders.currency_code,
        count(*) as order_count,
        sum(orders.order_amount - orders.refunded_amount) as net_amount,
        moments.moment_date - max(orders.order_date) as days_since_last_order
    from orders
    inner join moments
        on orders.order_date <= moments.moment_date
    group by
        moments.is_training,
        moments.moment_date,
        orders.customer_id,
        orders.currency_code

),

profiles as (

    select
        is_training,
        customer_id,
        currency_code,
        order_count,
        net_amount,
        days_since_last_order,
        case
            when days_since_last_order <= 30 then 1
            when days_since_last_order <= 90 then 2
            when days_since_last_order <= 180 then 3
            else 4
        end as recency_band,
        case
            when order_count = 1 then 1
            when order_count <= 3 then 2
            when order_count <= 9 then 3
            else 4
        end as frequency_band
    from histories

),

later_orders as (

    select
        orders.customer_id,
        orders.currency_code,
        count(*) as order_count
    from orders
    inner join moments
        on moments.is_training and orders.order_date > moments.moment_date
    group by
        orders.customer_id,
        orders.currency_code

),

outcomes as (

    select
        profiles.currency_code,
        profiles.recency_band,
        profiles.frequency_band,
        coalesce(later_orders.order_count, 0) as order_count
    from profiles
    left join later_orders
        on
            profiles.customer_id = later_orders.customer_id
            and profiles.currency_code = later_orders.currency_code
    where profiles.is_training

),

cells as (

    select
        currency_code,
        recency_band,
        frequency_band,
        avg(order_count) as expected_order_count
    from outcomes
    group by
        currency_code,
        recency_band,
        frequency_band
    having count(*) >= {{ var('prediction_min_customers') }}

),

shared_cells as (

    -- The same bands in any currency, where one currency alone has too few customers to learn from.
    select
        recency_band,
        frequency_band,
        avg(order_count) as expected_order_count
    from outcomes
    group by
        recency_band,
        frequency_band
    having count(*) >= {{ var('prediction_min_customers') }}

),

currencies as (

    select
        currency_code,
        avg(order_count) as expected_order_count
    from outcomes
    group by currency_code

),

expectations as (

    select
        profiles.customer_id,
        profiles.currency_code,
        profiles.order_count,
        profiles.net_amount,
        profiles.days_since_last_order,
        profiles.recency_band,
        profiles.frequency_band,
        case
            when cells.expected_order_count is not null then 'cell'
            when shared_cells.expected_order_count is not null then 'cell in any currency'
            when currencies.expected_order_count is not null then 'currency'
            else 'none'
        end as prediction_basis,
        coalesce(
            cells.expected_order_count,
            shared_cells.expected_order_count,
            currencies.expected_order_count,
            0
        ) as expected_order_count
    from profiles
    left join cells
        on
            profiles.currency_code = cells.currency_code
            and profiles.recency_band = cells.recency_band
            and profiles.frequency_band = cells.frequency_band
    left join shared_cells
        on
            profiles.recency_band = shared_cells.recency_band
            and profiles.frequency_band = shared_cells.frequency_band
    left join currencies
        on profiles.currency_code = currencies.currency_code
    where not profiles.is_training

),

final as (

    select
        -- ids
        customer_id,

        -- strings
        currency_code,
        prediction_basis,

        -- numerics
        order_count,
        days_since_last_order,
        recency_band,
        frequency_band,
        net_amount,
        round(expected_order_count, 4) as expected_order_count,
        round(expected_order_count * net_amount / order_count, 2) as expected_net_amount,
        net_amount
        + round(expected_order_count * net_amount / order_count, 2)
            as predicted_lifetime_amount,

        -- dates
        {{ as_of_date() }} as as_of_date
    from expectations

)

select * from final
