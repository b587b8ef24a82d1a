with

as_of_dates as (

    select * from {{ ref('int_features__as_of_dates') }}

),

order_lines as (

    select * from {{ ref('int_features__order_lines') }}

),

refunds as (

    select * from {{ ref('int_features__refunds') }}

),

bids as (

    select * from {{ ref('stg_clutter_haven__bids') }}

),

reviews as (

    select * from {{ ref('stg_clutter_haven__reviews') }}

),

listing_views as (

    select * from {{ ref('stg_clutter_haven__listing_views') }}
    where is_signed_in

),

dates as materialized (

    select
        as_of_dates.as_of_date,
        as_of_dates.as_of_at,
        {{ is_new_as_of_date('as_of_dates.as_of_date') }} as is_new
    from as_of_dates

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

    -- The rows of this build, each with the version of the customer that held just before its time.
    select
        customers.customer_id,
        customers.state_code,
        customers.is_marketing_opt_in,
        customers.registered_at,
        dates.as_of_date,
        dates.as_of_at
    from dates
    inner join customers
        on
            dates.as_of_at > customers.valid_from
            and dates.as_of_at <= customers.valid_to
    where dates.is_new or {{ is_touched('customers.customer_id') }}

),

known_orders as (

    select
        due.customer_id,
        due.as_of_date,
        order_lines.order_id,
        order_lines.currency_code,
        order_lines.ordered_at,
        due.as_of_at - order_lines.ordered_at as order_age,
        sum(order_lines.quantity) as item_count,
        sum(order_lines.item_amount) as items_amount
    from due
    inner join {{ events_of('order_lines', 'customer_id') }}
        on
            due.customer_id = order_lines.customer_id
            and {{ is_known('order_lines', 'ordered_at') }}
    group by
        due.customer_id,
        due.as_of_date,
        due.as_of_at,
        order_lines.order_id,
        order_lines.currency_code,
        order_lines.ordered_at

),

orders_per_customer as (

    select
        customer_id,
        as_of_date,
        count(*) as order_count,
        count(*) filter (where order_age <= interval '30 days') as order_count_30d,
        count(*) filter (where order_age <= interval '90 days') as order_count_90d,
        count(*) filter (where order_age <= interval '365 days') as order_count_365d,
        coalesce(
            sum(item_count) filter (where order_age <= interval '365 days'), 0
        )::bigint as item_count_365d,
        -- Ties go to the first code in the alphabet.
        mode() within group (order by currency_code collate "C") collate "default" as currency_code,
        max(ordered_at) as last_ordered_at
    from known_orders
    group by
        customer_id,
        as_of_date

),

amounts_per_customer as (

    -- In the customer's own currency only: amounts of different currencies are never added up.
    select
        known_orders.customer_id,
        known_orders.as_of_date,
        coalesce(
            sum(known_orders.items_amount) filter (
                where known_orders.order_age <= interval '90 days'
            ), 0
        ) as items_amount_90d,
        coalesce(
            sum(known_orders.items_amount) filter (
                where known_orders.order_age <= interval '365 days'
            ), 0
        ) as items_amount_365d,
        avg(known_orders.items_amount) filter (where known_orders.order_age <= interval '365 days')
            as average_items_amount_365d
    from known_orders
    inner join orders_per_customer
        on
            known_orders.customer_id = orders_per_customer.customer_id
            and known_orders.as_of_date = orders_per_customer.as_of_date
            and known_orders.currency_code = orders_per_customer.currency_code
    group by
        known_orders.customer_id,
        known_orders.as_of_date

),

refunds_per_customer as (

    {{ windowed_counts(
        'refunds', 'refunded_at', 'customer_id', {'refund_count_365d': 365}, within=365
    ) }}

),

bids_per_customer as (

    {{ windowed_counts('bids', 'bid_at', 'customer_id', {'bid_count_90d': 90}, within=90) }}

),

reviews_per_customer as (

    {{ windowed_counts(
        'reviews', 'reviewed_at', 'customer_id', {'review_count_365d': 365}, within=365
    ) }}

),

views_per_customer as (

    {{ windowed_counts(
        'listing_views', 'viewed_at', 'customer_id',
        {'view_count_30d': 30, 'view_count_90d': 90}, within=90
    ) }}

),

final as (

    select
        -- ids
        due.customer_id,

        -- strings
        due.state_code,
        orders_per_customer.currency_code,

        -- numerics
        coalesce(orders_per_customer.order_count, 0) as order_count,
        coalesce(orders_per_customer.order_count_30d, 0) as order_count_30d,
        coalesce(orders_per_customer.order_count_90d, 0) as order_count_90d,
        coalesce(orders_per_customer.order_count_365d, 0) as order_count_365d,
        coalesce(orders_per_customer.item_count_365d, 0) as item_count_365d,
        coalesce(amounts_per_customer.items_amount_90d, 0.00) as items_amount_90d,
        coalesce(amounts_per_customer.items_amount_365d, 0.00)
            as items_amount_365d,
        round(amounts_per_customer.average_items_amount_365d, 2)
            as average_items_amount_365d,
        coalesce(refunds_per_customer.refund_count_365d, 0) as refund_count_365d,
        coalesce(bids_per_customer.bid_count_90d, 0) as bid_count_90d,
        coalesce(reviews_per_customer.review_count_365d, 0) as review_count_365d,
        coalesce(views_per_customer.view_count_30d, 0) as view_count_30d,
        coalesce(views_per_customer.view_count_90d, 0) as view_count_90d,
        greatest(due.as_of_date - (due.registered_at at time zone 'UTC')::date, 0)
            as days_since_registration,
        due.as_of_date - (orders_per_customer.last_ordered_at at time zone 'UTC')::date
            as days_since_last_order,

        -- booleans
        due.is_marketing_opt_in,

        -- dates
        due.as_of_date
    from due
    left join orders_per_customer
        on
            due.customer_id = orders_per_customer.customer_id
            and due.as_of_date = orders_per_customer.as_of_date
    left join amounts_per_customer
        on
            due.customer_id = amounts_per_customer.customer_id
            and due.as_of_date = amounts_per_customer.as_of_date
    left join refunds_per_customer
        on
            due.customer_id = refunds_per_customer.customer_id
            and due.as_of_date = refunds_per_customer.as_of_date
    left join bids_per_customer
        on
            due.customer_id = bids_per_customer.customer_id
            and due.as_of_date = bids_per_customer.as_of_date
    left join reviews_per_customer
        on
            due.customer_id = reviews_per_customer.customer_id
            and due.as_of_date = reviews_per_customer.as_of_date
    left join views_per_customer
        on
            due.customer_id = views_per_customer.customer_id
            and due.as_of_date = views_per_customer.as_of_date

)

select * from final
