-- What each receiver has to be told now, and what is held back and why: docs/alerts.md.
with recursive

problems as (

    select * from {{ ref('problems') }}

),

routes as (

    select
        *,
        ({{ alert_clock() }} at time zone time_zone)::time as local_time
    from {{ ref('alert_routes') }}

),

node_lineage as (

    select * from {{ ref('node_lineage') }}

),

deliveries as (

    select * from {{ source('haven', 'alert_deliveries') }}
    where status = 'sent'

),

silences as (

    select * from {{ source('haven', 'alert_silences') }}
    where made_at <= {{ alert_clock() }} and ends_at > {{ alert_clock() }}

),

silenced as (

    select
        problems.problem_id,
        max(silences.ends_at) as silenced_until
    from problems
    inner join silences
        on
            problems.problem_id ~ ('^(' || silences.pattern || ')$')
            or problems.subject ~ ('^(' || silences.pattern || ')$')
    group by problems.problem_id

),

-- All that depends on a load that failed, or on what could not be built. A run that ended with an
-- error stands for the age of the data, too.
causes as (

    select
        problems.problem_id as cause_id,
        node_lineage.node_id
    from problems
    inner join node_lineage on problems.problem_id = node_lineage.reads_node_id
    where problems.is_open and problems.kind in ('load', 'model', 'seed', 'snapshot')
    union
    select
        causes.cause_id,
        node_lineage.node_id
    from causes
    inner join node_lineage on causes.node_id = node_lineage.reads_node_id

),

failed_runs as (

    select
        runs.problem_id as cause_id,
        freshness.problem_id as node_id
    from problems as runs
    inner join problems as freshness on freshness.kind = 'freshness'
    where runs.is_open and runs.kind = 'run'

),

inhibitions as (

    select
        node_id as problem_id,
        min(cause_id) as cause_id
    from (
        select
            cause_id,
            node_id
        from causes
        union all
        select
            cause_id,
            node_id
        from failed_runs
    ) as all_causes
    group by node_id

),

last_deliveries as (

    select distinct on (receiver, problem_id)
        receiver,
        problem_id,
        state,
        severity,
        delivered_at
    from deliveries
    order by receiver asc, problem_id asc, delivered_at desc, delivery_id desc

),

routed as (

    select
        routes.receiver,
        routes.reminder_hours,
        routes.tells_resolved,
        problems.*,
        inhibitions.cause_id,
        silenced.silenced_until,
        problems.severity <> 'critical'
        and routes.quiet_from is not null
        and case
            when routes.quiet_from::time <= routes.quiet_until::time
                then
                    routes.local_time >= routes.quiet_from::time
                    and routes.local_time < routes.quiet_until::time
            else
                routes.local_time >= routes.quiet_from::time
                or routes.local_time < routes.quiet_until::time
        end as is_quiet,
        last_deliveries.state as told_state,
        last_deliveries.severity as told_severity,
        last_deliveries.delivered_at as told_at
    from problems
    inner join routes
        on
            problems.severity = any(
                case routes.minimum_severity
                    when 'info' then array['info', 'warning', 'critical']
                    when 'warning' then array['warning', 'critical']
                    else array['critical']
                end
            )
            and (routes.owner_pattern is null or problems.owner_name ~ routes.owner_pattern)
            and (routes.tag is null or problems.tags ? routes.tag)
    left join inhibitions on problems.problem_id = inhibitions.problem_id
    left join silenced on problems.problem_id = silenced.problem_id
    left join last_deliveries
        on
            routes.receiver = last_deliveries.receiver
            and problems.problem_id = last_deliveries.problem_id

),

stated as (

    select
        *,
        case
            when not is_open and tells_resolved and told_state in ('firing', 'reminder')
                then 'resolved'
            when not is_open then null
            -- What was told of an earlier time says nothing of this one.
            when coalesce(told_state, 'resolved') = 'resolved' or told_at < first_seen_at
                then 'firing'
            when severity = 'critical' and told_severity <> 'critical' then 'firing'
            when {{ alert_clock() }} >= told_at + make_interval(hours => reminder_hours)
                then 'reminder'
        end as state
    from routed

),

final as (

    select
        -- ids
        problem_id,
        run_id,

        -- strings
        receiver,
        state,
        kind,
        subject,
        title,
        severity,
        owner_name,
        message,
        what_to_do,
        case
            when silenced_until is not null
                then 'silenced until ' || to_char(silenced_until, 'YYYY-MM-DD HH24:MI "UTC"')
            when is_quiet then 'quiet hours of ' || receiver
            when is_open and cause_id is not null then 'follows from ' || cause_id
        end as held_back_by,

        -- numerics
        failing_row_count,
        occurrence_count,

        -- timestamps
        first_seen_at,
        last_seen_at,
        resolved_at
    from stated
    where state is not null

)

select * from final
