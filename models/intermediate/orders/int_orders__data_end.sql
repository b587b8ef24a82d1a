-- How far the data reaches, by what was known: one clock that is wrong must not move the as-of day
-- of all marts. A table, as several of them ask for its one row, and more than once.
with

orders as (

    -- A day of tolerance, as the clocks of application and warehouse never agree.
    select
        ordered_at,
        created_at,
        _loaded_at,
        is_deleted,
        created_at - _loaded_at <= interval '1 day' as is_written,
        ordered_at - created_at <= interval '1 day' as is_placed
    from {{ ref('stg_clutter_haven__orders') }}

),

ends as (

    -- With deleted orders, so that the end never moves back.
    select
        coalesce(
            max(least(created_at, _loaded_at)) filter (where is_written),
            max(_loaded_at)
        ) as data_end_at,
        max((ordered_at at time zone 'UTC')::date) filter (
            where is_written and is_placed and not is_deleted
        ) as newest_order_date
    from orders

),

final as (

    select
        -- dates
        least(newest_order_date, (data_end_at at time zone 'UTC')::date) as last_order_date,

        -- timestamps
        data_end_at
    from ends

)

select * from final
