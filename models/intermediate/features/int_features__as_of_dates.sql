{{
    config(
        materialized='table',
        post_hook='analyze {{ this }}'
    )
}}

-- A table, so that its few days are found once in a build and plans know how few they are.
with

data_ends as (

    select data_end_at from {{ ref('int_orders__data_end') }}

),

candidates as (

    -- Months are added without a time zone: the first of a month stays the first.
    select
        series.as_of_time::date as as_of_date,
        data_ends.data_end_at
    from data_ends
    cross join
        lateral generate_series(
            '{{ var("feature_start_date") }}'::timestamp,
            data_ends.data_end_at at time zone 'UTC',
            '{{ var("feature_step") }}'::interval
        ) as series (as_of_time)
    {% for as_of_date in var('feature_as_of_dates') %}
    union
    select
        '{{ as_of_date }}'::date,
        data_ends.data_end_at
    from data_ends
    {% endfor %}

),

final as (

    select
        -- dates
        as_of_date,

        -- timestamps
        as_of_date::timestamp at time zone 'UTC' as as_of_at,
        data_end_at
    from candidates
    where as_of_date::timestamp at time zone 'UTC' <= data_end_at

)

select * from final
