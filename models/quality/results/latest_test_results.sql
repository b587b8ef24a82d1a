with

node_results as (

    select * from {{ source('results', 'node_results') }}
    where kind in ('data test', 'unit test', 'freshness')

),

-- The newest run has a row for every test that is still in the project.
dated as (

    select
        node_id,
        recorded_at,
        max(recorded_at) filter (where kind = 'data test') over () as newest_at
    from node_results

),

newest_run as (

    select node_id from dated
    where recorded_at = newest_at

),

ranked as (

    select
        *,
        row_number() over (
            partition by node_id
            order by status = 'not_run', recorded_at desc, invocation_id desc
        ) as newness,
        max(recorded_at) filter (where status in ('pass', 'warn'))
            over (partition by node_id)
            as last_held_at
    from node_results
    where
        kind <> 'data test'
        or node_id in (select newest_run.node_id from newest_run)

),

final as (

    select
        -- ids
        node_id,
        run_id,

        -- strings
        node_name as check_name,
        kind,
        model_name,
        column_name,
        layer,
        rule,
        description,
        severity,
        owner,
        status,
        message,
        failures_schema,
        failures_table,

        -- numerics
        failures as failing_row_count,
        seconds as duration_seconds,

        -- documents
        tags,
        failing_rows,

        -- timestamps
        case when status <> 'not_run' then recorded_at end as checked_at,
        last_held_at
    from ranked
    where newness = 1

)

select * from final
