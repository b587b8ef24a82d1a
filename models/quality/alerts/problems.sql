-- Each event says that something is well or not: a result of dbt, a load, a comparison, a run.
-- A problem lasts from the first bad event after a good one to the next good one.
with

node_results as (

    select * from {{ source('results', 'node_results') }}

),

table_loads as (

    select * from {{ source('haven', 'table_loads') }}

),

reconciliations as (

    select * from {{ source('haven', 'reconciliations') }}

),

runs as (

    select * from {{ source('haven', 'runs') }}
    where command in ('load', 'run')

),

newest_results as (

    select
        max(recorded_at) filter (where kind = 'freshness') as freshness_at,
        max(recorded_at) filter (where kind <> 'freshness') as build_at
    from node_results

),

troubled_nodes as (

    select distinct node_id from node_results
    where status in ('warn', 'fail', 'error')

),

node_events as (

    select
        node_results.node_id as problem_id,
        node_results.kind,
        coalesce(node_results.model_name, node_results.node_name) as subject,
        node_results.node_name || ': '
        || coalesce(nullif(node_results.description, ''), node_results.rule)
            as title,
        node_results.owner as owner_name,
        node_results.tags,
        case
            when node_results.status = 'warn' or node_results.severity = 'warn' then 'warning'
            else 'critical'
        end as severity,
        node_results.failures as failing_row_count,
        -- Of rows that were found dbt says only how many.
        case
            when node_results.kind <> 'data test' or node_results.status = 'error'
                then node_results.message
        end as message,
        coalesce(
            node_results.what_to_do,
            case
                when node_results.failures_table is not null
                    then format(
                        'Look at the rows kept in %s.%s',
                        node_results.failures_schema, node_results.failures_table
                    )
                when node_results.kind = 'freshness'
                    then 'Check that rows still arrive in the source, and that loads run'
                when node_results.kind in ('model', 'seed', 'snapshot')
                    then format(
                        'Mend %s, then build it: dbt build --select %s',
                        node_results.path, node_results.node_name
                    )
                else 'Look into ' || node_results.path
            end
        ) as what_to_do,
        node_results.run_id,
        node_results.recorded_at as happened_at,
        node_results.status in ('warn', 'fail', 'error') as is_bad
    from node_results
    inner join troubled_nodes on node_results.node_id = troubled_nodes.node_id
    where node_results.status not in ('skipped', 'not_run')

),

-- Unit tests are not part of every run; of all others the newest run has a row, or they are gone.
gone_nodes as (

    select
        troubled_nodes.node_id as problem_id,
        newest_results.build_at as happened_at
    from troubled_nodes
    cross join newest_results
    where
        not exists (
            select 1 from node_results
            where
                node_results.node_id = troubled_nodes.node_id
                and (
                    node_results.kind = 'unit test'
                    or node_results.recorded_at
                    in (newest_results.build_at, newest_results.freshness_at)
                )
        )

),

load_events as (

    select
        'load.' || raw_schema || '.' || raw_table as problem_id,
        'load' as kind,
        raw_table as subject,
        source_name || '.' || table_name || ' is loaded' as title,
        null::bigint as failing_row_count,
        -- A key of the source may be an address.
        regexp_replace(error, '[^[:space:]@(),]+@[^[:space:]@(),]+', '•••', 'g') as message,
        format('Mend what the message says, then: haven load %s.%s', source_name, table_name)
            as what_to_do,
        run_id,
        finished_at as happened_at,
        status = 'failed' as is_bad
    from table_loads

),

reconciliation_events as (

    select
        'reconciliation.' || raw_schema || '.' || raw_table as problem_id,
        'reconciliation' as kind,
        raw_table as subject,
        source_name || '.' || table_name || ' equals its source' as title,
        missing_rows + extra_rows + different_rows as failing_row_count,
        coalesce(
            error,
            format(
                '%s missing, %s extra, %s different rows', missing_rows, extra_rows, different_rows
            )
        ) as message,
        format(
            'See which: haven reconcile %s.%s; to put it right add --repair',
            source_name,
            table_name
        )
            as what_to_do,
        run_id,
        finished_at as happened_at,
        status in ('different', 'failed') as is_bad
    from reconciliations

),

run_events as (

    select
        'run.' || source as problem_id,
        'run' as kind,
        source as subject,
        'haven ' || command || ' ends' as title,
        null::bigint as failing_row_count,
        coalesce(summary ->> 'error', 'It was killed.') as message,
        'Mend what the message says, then: haven ' || command as what_to_do,
        run_id,
        finished_at as happened_at,
        -- Of a run that tells of its tables, these are the problems.
        status = 'failed' and (summary is null or summary ->> 'error' is not null) as is_bad
    from runs
    -- One that found another at work (exit 75) says nothing of the data.
    where finished_at is not null and coalesce(summary ->> 'exit_code', '') <> '75'

),

ops_events as (

    select * from load_events
    union all
    select * from reconciliation_events
    union all
    select * from run_events

),

events as (

    select * from node_events
    union all
    select
        problem_id,
        kind,
        subject,
        title,
        null as owner_name,
        '[]'::jsonb as tags,
        'critical' as severity,
        failing_row_count,
        message,
        what_to_do,
        run_id,
        happened_at,
        is_bad
    from ops_events

),

numbered as (

    select
        *,
        count(*) filter (where not is_bad)
            over (
                partition by problem_id order by happened_at, run_id
                rows between unbounded preceding and current row
            )
            as good_events_before
    from events

),

-- The last bad event says most about a problem.
bad_events as (

    select
        *,
        min(happened_at) over (partition by problem_id, good_events_before) as first_seen_at,
        count(*) over (partition by problem_id, good_events_before) as occurrence_count,
        row_number() over (
            partition by problem_id
            order by happened_at desc, run_id desc
        ) as newness
    from numbered
    where is_bad

),

last_events as (

    select * from bad_events
    where newness = 1

),

recoveries as (

    select
        numbered.problem_id,
        min(numbered.happened_at) as resolved_at
    from numbered
    inner join last_events on numbered.problem_id = last_events.problem_id
    where not numbered.is_bad and numbered.good_events_before > last_events.good_events_before
    group by numbered.problem_id

),

final as (

    select
        -- ids
        last_events.problem_id,
        last_events.run_id,

        -- strings
        last_events.kind,
        last_events.subject,
        last_events.title,
        last_events.severity,
        last_events.owner_name,
        last_events.message,
        last_events.what_to_do,

        -- numerics
        last_events.failing_row_count,
        last_events.occurrence_count,

        -- documents
        last_events.tags,

        -- booleans
        coalesce(recoveries.resolved_at, gone_nodes.happened_at) is null as is_open,

        -- timestamps
        last_events.first_seen_at,
        last_events.happened_at as last_seen_at,
        coalesce(recoveries.resolved_at, gone_nodes.happened_at) as resolved_at
    from last_events
    left join recoveries on last_events.problem_id = recoveries.problem_id
    left join gone_nodes on last_events.problem_id = gone_nodes.problem_id

)

select * from final
