{% macro partition_claim_sql(relations, spec) %}
    {#- Keeps other builds, vacuum and DDL away without any reader noticing. Waiting here lets
        PostgreSQL cancel an autovacuum, which the short waits for the final lock never would. -#}
    set local lock_timeout = '{{ spec.lock_patience_s }}s';
    {% for relation in relations %}
    lock table only {{ relation }} in share update exclusive mode;
    {% endfor %}
    set local lock_timeout to default;
{% endmacro %}

{% macro partition_lock_sql(relations, spec) %}
    {#- Whoever waits for an exclusive lock makes every later reader wait behind it. So each attempt is
        short, gives up what it got, and lets the readers pass before the next. Pauses grow to a
        second, with some chance in them, so as not to beat in time with the readers. -#}
    do $lock$
    declare
        gives_up_at constant timestamptz := clock_timestamp() + interval '{{ spec.lock_patience_s }} seconds';
        pause_s double precision := 0.02;
        holders text;
    begin
        loop
            begin
                set local lock_timeout = '{{ spec.lock_timeout_ms }}ms';
                lock table only {{ relations | join(', only ') }} in access exclusive mode;
                set local lock_timeout to default;
                exit;
            exception when lock_not_available or deadlock_detected then
                if clock_timestamp() > gives_up_at then
                    select string_agg(distinct format('pid %s (%s)', locks.pid, sessions.application_name), ', ')
                    into holders
                    from pg_catalog.pg_locks as locks
                    left join pg_catalog.pg_stat_activity as sessions on locks.pid = sessions.pid
                    where
                        locks.relation = any(array[
                            {%- for relation in relations %}'{{ relation }}'::regclass{{ ', ' if not loop.last }}{% endfor -%}
                        ]::oid[])
                        and locks.granted
                        and locks.pid <> pg_backend_pid();
                    raise lock_not_available using message = format(
                        '%s was in use for {{ spec.lock_patience_s }} s without a gap; held by %s',
                        '{{ relations[0] }}', coalesce(holders, 'nobody any more')
                    );
                end if;
                perform pg_sleep(pause_s * (0.5 + random()));
                pause_s := least(pause_s * 2, 1);
            end;
        end loop;
    end
    $lock$;
{% endmacro %}
