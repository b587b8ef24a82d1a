-- One message per receiver: the problems with the same subject together, the worst first.
with

alerts as (

    select * from {{ ref('alerts') }}
    where held_back_by is null

),

worded as (

    select
        receiver,
        problem_id,
        state,
        severity,
        subject,
        first_seen_at,
        case state when 'resolved' then 2 when 'reminder' then 1 else 0 end as state_rank,
        case severity when 'critical' then 0 when 'warning' then 1 else 2 end as severity_rank,
        case
            when state = 'resolved' then '- resolved: ' || left(title, 200)
            else concat_ws(
                E'\n  ',
                format(
                    '- %s%s: %s',
                    severity,
                    case state when 'reminder' then ', still' else '' end,
                    left(title, 200)
                ),
                concat_ws(
                    ', ',
                    case
                        when failing_row_count > 0
                            then trim(to_char(failing_row_count, '999,999,999,999')) || ' rows'
                    end,
                    'since ' || to_char(first_seen_at, 'YYYY-MM-DD HH24:MI "UTC"'),
                    case
                        when occurrence_count > 1 then 'seen ' || occurrence_count || ' times'
                    end,
                    'owner ' || owner_name
                ),
                -- What may hold a value of a row is no markup, in no channel.
                translate(
                    left(nullif(trim(split_part(message, E'\n', 1)), ''), 300), '<>[]`', '‹›()'''
                ),
                'What to do: ' || what_to_do
            )
        end as entry
    from alerts

),

ranked as (

    select
        *,
        row_number() over (
            partition by receiver
            order by state_rank, severity_rank, subject, first_seen_at, problem_id
        ) as place
    from worded

),

-- A message that nobody would read to its end is cut; the pages have all.
subjects as (

    select
        receiver,
        subject,
        min(place) as place,
        concat(
            '## ' || subject,
            E'\n',
            string_agg(entry, E'\n' order by place)
        ) as section
    from ranked
    where place <= {{ var('alert_problems_shown') }}
    group by receiver, subject

),

bodies as (

    select
        receiver,
        string_agg(section, E'\n\n' order by place) as body
    from subjects
    group by receiver

),

counted as (

    select
        receiver,
        count(*) filter (where severity = 'critical' and state <> 'resolved') as critical_count,
        count(*) filter (where severity = 'warning' and state <> 'resolved') as warning_count,
        count(*) filter (where severity = 'info' and state <> 'resolved') as info_count,
        count(*) filter (where state = 'resolved') as resolved_count,
        count(*) as problem_count,
        jsonb_agg(
            jsonb_build_object(
                'problem_id', problem_id, 'state', state, 'severity', severity
            )
            order by place
        ) as problems
    from ranked
    group by receiver

),

final as (

    select
        -- strings
        counted.receiver,
        concat_ws(
            ', ',
            case
                when counted.critical_count > 0 then counted.critical_count || ' critical'
            end,
            case when counted.warning_count > 0 then counted.warning_count || ' warning' end,
            case when counted.info_count > 0 then counted.info_count || ' info' end,
            case when counted.resolved_count > 0 then counted.resolved_count || ' resolved' end
        ) as title,
        case
            when counted.critical_count > 0 then 'failure'
            when counted.warning_count > 0 then 'warning'
            when counted.info_count > 0 then 'info'
            else 'success'
        end as message_type,
        bodies.body
        || case
            when counted.problem_count > {{ var('alert_problems_shown') }}
                then format(
                    E'\n\nand %s more: see the validation report, or quality.alerts',
                    counted.problem_count - {{ var('alert_problems_shown') }}
                )
            else ''
        end as body,

        -- numerics
        counted.problem_count,

        -- documents
        counted.problems
    from counted
    inner join bodies on counted.receiver = bodies.receiver

)

select * from final
