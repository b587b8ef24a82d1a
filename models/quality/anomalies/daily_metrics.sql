-- What is watched: rows by day, nulls of columns that may be null, medians of amounts, shares of
-- categories. A line here watches one more model.
{% set watched = [
    ['fct_orders', 'ordered_at', ['order_amount'], ['currency_code']],
    ['fct_order_items', 'ordered_at', ['unit_price_amount'], []],
    ['fct_payments', 'paid_at', ['payment_amount'], ['payment_status', 'payment_method', 'currency_code']],
    ['fct_bids', 'bid_at', ['bid_amount'], ['currency_code']],
    ['fct_listing_views', 'viewed_at', ['duration_seconds'], ['device', 'referrer']],
    ['fct_reviews', 'reviewed_at', ['rating'], []],
    ['stg_clutter_haven__customers', 'created_at', [], ['state_code']],
] %}
{% set kinds = personal_data() %}
with

-- The day that goes on is not judged, nor one that has not come yet.
last_moments as (

    {% if var('monitoring_clock') == 'now' %}
        select {{ alert_clock() }} as last_event_at
    {% else %}
        {% for model_name, event_time, amounts, categories in watched %}
            select max({{ event_time }}) as last_event_at from {{ ref(model_name) }}
            where {{ event_time }} <= {{ alert_clock() }}
            {{ 'union all' if not loop.last }}
        {% endfor %}
    {% endif %}

),

watched_days as (

    select
        (max(last_event_at) at time zone 'UTC')::date - {{ var('monitored_days') }} as first_date,
        (max(last_event_at) at time zone 'UTC')::date as end_date
    from last_moments

),

{% for model_name, event_time, amounts, categories in watched %}
    {{ short_name('events_of_' ~ model_name, '') }} as (

        select
            events.*,
            (events.{{ event_time }} at time zone 'UTC')::date as metric_date
        from {{ ref(model_name) }} as events
        inner join watched_days
            on
                events.{{ event_time }} >= watched_days.first_date::timestamp at time zone 'UTC'
                and events.{{ event_time }} < watched_days.end_date::timestamp at time zone 'UTC'

    ),

{% endfor %}
measured as (

    {% for model_name, event_time, amounts, categories in watched %}
        {{ metrics_by_day(model_name, amounts, categories, kinds) }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- A day without rows, or without rows of a category, is a day with none.
metrics as (

    select
        model_name,
        metric,
        column_name,
        category
    from measured
    group by model_name, metric, column_name, category

),

first_days as (

    select
        model_name,
        min(metric_date) as first_date
    from measured
    group by model_name

),

days as (

    select
        first_days.model_name,
        first_days.first_date + later.day_count as metric_date
    from first_days
    cross join watched_days
    cross join
        generate_series(0, watched_days.end_date - first_days.first_date - 1) as later (day_count)

),

counts as (

    select
        days.model_name,
        days.metric_date,
        coalesce(measured.row_count, 0) as row_count
    from days
    left join measured
        on
            days.model_name = measured.model_name
            and days.metric_date = measured.metric_date
            and measured.metric = 'rows'

),

final as (

    select
        -- strings
        metrics.model_name,
        metrics.metric,
        metrics.column_name,
        metrics.category,

        -- numerics
        counts.row_count,
        coalesce(measured.metric_value, 0) as metric_value,
        coalesce(measured.standard_error, 0) as standard_error,

        -- dates
        counts.metric_date
    from metrics
    inner join counts on metrics.model_name = counts.model_name
    left join measured
        on
            metrics.model_name = measured.model_name
            and metrics.metric = measured.metric
            and counts.metric_date = measured.metric_date
    where
        measured.metric_value is not null
        or metrics.metric = 'rows'
        or (metrics.metric like 'share of %' and counts.row_count > 0)

)

select * from final
