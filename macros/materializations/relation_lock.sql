{#- Locks that end. Whoever waits for an exclusive lock makes every later reader wait behind it, and dbt would
    wait for ever. -#}

{% macro relation_lock_sql(relations) %}
    {#- For a change of the relations themselves: first the claim, then the exclusive lock. -#}
    {{ relation_claim_sql(relations) }}
    {{ exclusive_lock_sql(relations, var('lock_timeout_ms', 50), var('lock_patience_s', 120)) }}
{% endmacro %}

{% macro relation_claim_sql(relations) %}
    {#- Keeps other builds, vacuum and DDL away without any reader noticing. Waiting here lets PostgreSQL
        cancel an autovacuum, which the short waits for the exclusive lock never would. -#}
    do $claim$
    declare
        claimed text;
    begin
        set local lock_timeout = '{{ var('lock_patience_s', 120) }}s';
        foreach claimed in array {{ _relation_names(relations) }} loop
            if (select relkind from pg_catalog.pg_class where oid = claimed::regclass) in ('r', 'p') then
                execute format('lock table only %s in share update exclusive mode', claimed);
            end if;
        end loop;
        set local lock_timeout to default;
    exception when lock_not_available then
        {{ _raise_lock_error(relations, var('lock_patience_s', 120), 'ShareUpdateExclusiveLock') }}
    end
    $claim$;
{% endmacro %}

{% macro exclusive_lock_sql(relations, timeout_ms, patience_s) %}
    {#- Each attempt is short, gives up what it got, and lets the readers pass before the next. Pauses grow to
        a second, with some chance in them, so as not to beat in time with the readers. LOCK TABLE on a view
        would lock the tables beneath it too; to change its owner to what it is locks the view alone. -#}
    do $lock$
    declare
        gives_up_at constant timestamptz := clock_timestamp() + interval '{{ patience_s }} seconds';
        pause_s double precision := 0.02;
        found record;
    begin
        loop
            begin
                set local lock_timeout = '{{ timeout_ms }}ms';
                for found in
                    select
                        named.name, pg_class.relkind, pg_class.relowner::regrole as owner
                    from unnest({{ _relation_names(relations) }}) with ordinality as named (name, position)
                    inner join pg_catalog.pg_class on named.name::regclass = pg_class.oid
                    order by named.position
                loop
                    if found.relkind in ('r', 'p') then
                        execute format('lock table only %s in access exclusive mode', found.name);
                    else
                        execute format('alter table %s owner to %s', found.name, found.owner);
                    end if;
                end loop;
                set local lock_timeout to default;
                exit;
            exception when lock_not_available or deadlock_detected then
                if clock_timestamp() > gives_up_at then
                    {{ _raise_lock_error(relations, patience_s, '') }}
                end if;
                perform pg_sleep(pause_s * (0.5 + random()));
                pause_s := least(pause_s * 2, 1);
            end;
        end loop;
    end
    $lock$;
{% endmacro %}

{% macro _relation_names(relations) -%}
    array[
        {%- for relation in relations -%}
            '{{ relation | string | replace("'", "''") }}'{{ ', ' if not loop.last }}
        {%- endfor -%}
    ]::text[]
{%- endmacro %}

{% macro _raise_lock_error(relations, patience_s, mode) %}
    raise lock_not_available using message = (
        select
            format(
                '%s was in use for {{ patience_s }} s without a gap; held by %s. '
                'End what holds it (select pg_terminate_backend(%s)), and build again',
                '{{ relations[0] | string | replace("'", "''") }}',
                coalesce(string_agg(distinct holders.description, '; '), 'nobody any more'),
                coalesce(min(holders.pid)::text, 'pid')
            )
        from (
            select
                locks.pid,
                case
                    when locks.pid is null then 'a prepared transaction (see pg_prepared_xacts)'
                    else format('pid %s (', locks.pid) || concat_ws(
                        ', ', 'user ' || sessions.usename, nullif(sessions.application_name, ''),
                        sessions.state, 'in its transaction since ' || date_trunc('second', sessions.xact_start),
                        'last query at ' || date_trunc('second', sessions.query_start)
                    ) || ')'
                end as description
            from pg_catalog.pg_locks as locks
            left join pg_catalog.pg_stat_activity as sessions on locks.pid = sessions.pid
            where
                locks.relation in (
                    select named.name::regclass from unnest({{ _relation_names(relations) }}) as named (name)
                )
                and locks.database = (select oid from pg_catalog.pg_database where datname = current_database())
                and locks.granted
                and locks.pid is distinct from pg_backend_pid()
                {%- if mode %}
                and locks.mode not in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
                {%- endif %}
        ) as holders
    );
{% endmacro %}
