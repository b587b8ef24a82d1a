with

as_of_dates as (

    select * from {{ ref('int_features__as_of_dates') }}

),

order_lines as (

    select * from {{ ref('int_features__order_lines') }}

),

dates as materialized (

    -- Only days whose horizon has passed whole: before that, nobody knows who will not come back.
    select
        as_of_dates.as_of_date,
        as_of_dates.as_of_at,
        (as_of_dates.as_of_date + {{ var("churn_horizon_days") }})::timestamp at time zone 'UTC'
            as horizon_end_at,
        {{ is_new_as_of_date('as_of_dates.as_of_date') }} as is_new
    from as_of_dates
    where
        (as_of_dates.as_of_date + {{ var("churn_horizon_days") }})::timestamp at time zone 'UTC'
        <= as_of_dates.data_end_at

),

customers as materialized (

    -- Those that have a row in this build: all of them on a new date.
    select * from {{ ref('dim_customers') }}
    where
        version_number > 0
        and not is_deleted
        and (
            {{ is_touched('customer_id') }}
            or exists (
                select 1 from dates
                where dates.is_new
            )
        )

),

due as materialized (

    select
        customers.customer_id,
        dates.as_of_date,
        dates.as_of_at,
        dates.horizon_end_at
    from dates
    inner join customers
        on
            dates.as_of_at > customers.valid_from
            and dates.as_of_at <= customers.valid_to
    where dates.is_new or {{ is_touched('customers.customer_id') }}

),

-- Who is labelled is decided by what was known then, as in the features; what became of them by
-- what is known now.
orders_per_customer as (

    select
        due.customer_id,
        due.as_of_date,
        due.horizon_end_at,
        bool_or(
            {{ is_known('order_lines', 'ordered_at') }}
            and {{ in_last_days('order_lines.ordered_at', var('churn_active_days')) }}
        ) as was_active,
        bool_or(
            order_lines.ordered_at >= due.as_of_at
            and order_lines._deleted_at is null
        ) as has_ordered_again
    from due
    inner join {{ events_of('order_lines', 'customer_id') }}
        on
            due.customer_id = order_lines.customer_id
            and due.horizon_end_at > order_lines.ordered_at
    group by
        due.customer_id,
        due.as_of_date,
        due.horizon_end_at

),

final as (

    select
        -- ids
        customer_id,

        -- booleans
        not has_ordered_again as is_churned,

        -- dates
        as_of_date,
        (horizon_end_at at time zone 'UTC')::date as horizon_end_date
    from orders_per_customer
    where was_active

)

select * from final
