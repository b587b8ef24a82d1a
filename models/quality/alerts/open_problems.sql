with

problems as (

    select * from {{ ref('problems') }}
    where is_open

),

final as (

    select
        -- ids
        problem_id,
        run_id,

        -- strings
        kind,
        subject,
        title,
        severity,
        owner_name,
        message,
        what_to_do,

        -- numerics
        failing_row_count,
        occurrence_count,
        extract(epoch from {{ alert_clock() }} - first_seen_at) / 3600 as age_hours,

        -- documents
        tags,

        -- timestamps
        first_seen_at,
        last_seen_at
    from problems

)

select * from final
