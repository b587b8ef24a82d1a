-- The checks of one run as validation.json has them: the newest result of each, and of freshness the last there is. What
-- was built is a check only if it was not, what belongs to a package only if it could not be run.
with ranked as (
    select
        *,
        row_number() over (
            partition by node_id
            order by run_id = %(run_id)s desc, status = 'not_run', recorded_at desc
        ) as newness
    from {table}
    where
        run_id = %(run_id)s
        or (
            kind = 'freshness'
            and recorded_at = (select max(recorded_at) from {table} where kind = 'freshness')
        )
)

select
    jsonb_build_object(
        'unique_id', node_id,
        'name', node_name,
        'kind', case
            when kind in ('data test', 'unit test', 'freshness') then kind
            when kind = 'operation' then 'hook'
            else kind || ' build'
        end,
        'rule', rule,
        'description', description,
        'model', model_name,
        'column', column_name,
        'layer', layer,
        'status', case status when 'success' then 'pass' else status end,
        'severity', severity,
        'owner', owner,
        'tags', tags,
        'failures', failures,
        'message', message,
        'seconds', case when kind <> 'freshness' then seconds end,
        'path', path,
        'failures_schema', failures_schema,
        'failures_table', failures_table,
        'sample', failing_rows
    ) as entry
from ranked
where
    newness = 1
    and (
        status = 'error'
        or package_name = %(project)s
        and (kind in ('data test', 'unit test', 'freshness') or status not in ('success', 'not_run'))
    )
