with

node_results as (

    select * from {{ source('results', 'node_results') }}
    where kind in ('model', 'seed', 'snapshot') and status <> 'not_run'

),

ranked as (

    select
        *,
        row_number() over (
            partition by node_id
            order by recorded_at desc, invocation_id desc
        ) as newness,
        max(finished_at) filter (where status = 'success')
            over (partition by node_id)
            as last_built_at
    from node_results

),

final as (

    select
        -- ids
        node_id,
        run_id,

        -- strings
        node_name as model_name,
        kind,
        layer,
        owner,
        status,
        message,

        -- numerics
        rows_affected as written_row_count,
        seconds as duration_seconds,

        -- documents
        tags,

        -- timestamps
        finished_at,
        last_built_at
    from ranked
    where newness = 1

)

select * from final
