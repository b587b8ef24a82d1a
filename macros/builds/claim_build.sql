{% macro claim_build() %}
    {#- Runs while the hook is rendered, so that a refusal ends dbt before a node is touched, or skipped. -#}
    {% if execute and _is_building() %}
        {% do run_query(_build_claim_ddl()) %}
        {% set holder = run_query(
            "select " ~ model_state_schema() ~ ".claim_build('" ~ _build_token() ~ "', 'dbt " ~ flags.WHICH
            ~ "', false, " ~ env_var('HAVEN_BUILD_WAIT', '10') | float ~ ")")[0][0] %}
        {% if holder %}
            {% do exceptions.raise_compiler_error(holder) %}
        {% endif %}
    {% endif %}
{% endmacro %}

{% macro hold_build() %}
    {#- In the model's transaction, after begin_consistent_read: a hook outside of it would leave dbt without
        one, as psycopg2 does not notice the `commit` that dbt sends before such hooks. -#}
    {% if execute and _is_building() %}
        do $$
        begin
            if not pg_try_advisory_lock_shared({{ _build_lock_space() }}, hashtext('{{ _build_token() }}'))
            or not exists (
                select from {{ model_state_schema() }}.build_claim where build_claim.token = '{{ _build_token() }}'
            ) then
                raise exception 'another build of these schemas has taken over: this one was taken for dead';
            end if;
        end
        $$
    {% endif %}
{% endmacro %}

{% macro release_build() %}
    {#- What `haven run` has claimed it releases itself. -#}
    {% if execute and _is_building() %}
        delete from {{ model_state_schema() }}.build_claim
        where build_claim.token = '{{ _build_token() }}' and not build_claim.is_session
    {% endif %}
{% endmacro %}

{% macro _is_building() %}
    {{ return(flags.WHICH in ['build', 'run', 'seed', 'snapshot', 'test']) }}
{% endmacro %}

{% macro _build_token() %}
    {{ return(env_var('HAVEN_BUILD_TOKEN', invocation_id)) }}
{% endmacro %}

{% macro _build_lock_space() %}
    {#- 'HAVN' in ASCII: first half of every advisory lock of Haven. -#}
    {{ return(1212241486) }}
{% endmacro %}

{% macro _build_claim_ddl() %}
    {#- A row says who builds; a shared advisory lock on its token, held by the session of each node (or by
        the one of a `haven` command), says that they live: dbt keeps no session open for the whole of a run.
        Who takes over from the dead locks the token exclusively, so that a node of the dead one that
        starts after all waits, and then finds that the claim is another's. -#}
    {% set schema_name = model_state_schema() %}
    {% set claim_function -%}
create or replace function {{ schema_name }}.claim_build(
    new_token text, new_command text, new_is_session boolean, wait_s double precision
)
returns text
language plpgsql
set search_path to pg_catalog, pg_temp
as $function$
declare
    holder record;
    holder_pid integer;
    seen_at timestamptz := clock_timestamp();
    gives_up_at constant timestamptz := clock_timestamp() + make_interval(secs => wait_s);
begin
    loop
        insert into {{ schema_name }}.build_claim (token, command, application, pid, is_session)
        values (new_token, new_command, current_setting('application_name'), pg_backend_pid(), new_is_session)
        on conflict do nothing;
        if found then
            return null;
        end if;
        select build_claim.* into holder from {{ schema_name }}.build_claim;
        if holder.token = new_token then
            return null;
        end if;
        select min(locks.pid) into holder_pid
        from pg_locks as locks
        where
            locks.locktype = 'advisory'
            and locks.granted
            and locks.classid::bigint = {{ _build_lock_space() }}
            and locks.objid = (hashtext(holder.token)::bigint & 4294967295);
        if holder_pid is not null then
            seen_at := clock_timestamp();
            if seen_at >= gives_up_at then
                return format(
                    'the schemas of {{ schema_name }} are being built by %s of %s (%s, backend %s, since %s): '
                    'try again when it is done, or let HAVEN_BUILD_WAIT be more seconds',
                    holder.application, holder.user_name, holder.command, holder_pid,
                    holder.claimed_at::timestamptz(0)
                );
            end if;
        -- Between two nodes dbt has no session; a command of Haven always has.
        elsif
            (holder.is_session or clock_timestamp() > seen_at + interval '5 seconds')
            and pg_try_advisory_xact_lock({{ _build_lock_space() }}, hashtext(holder.token))
        then
            delete from {{ schema_name }}.build_claim where build_claim.token = holder.token;
            continue;
        end if;
        perform pg_sleep(0.2);
    end loop;
end
$function$;
    {%- endset %}
    {% set version = local_md5(claim_function) %}
    do $do$
    begin
        if obj_description(
            to_regprocedure('{{ schema_name }}.claim_build(text, text, boolean, double precision)'), 'pg_proc'
        ) is distinct from 'Version {{ version }}' then
            perform pg_advisory_xact_lock(hashtextextended('{{ schema_name }}.build_claim', 0));
            create table if not exists {{ schema_name }}.build_claim (
                is_claimed boolean primary key default true check (is_claimed),
                token text not null,
                command text not null,
                user_name name not null default session_user,
                application text not null,
                pid integer not null,
                is_session boolean not null,
                claimed_at timestamptz not null default clock_timestamp()
            );
            comment on table {{ schema_name }}.build_claim is
                'Grain: one row at most. Who builds this set of schemas now; macros/builds.';
            {{ claim_function }}
            comment on function {{ schema_name }}.claim_build(text, text, boolean, double precision) is
                'Version {{ version }}';
        end if;
    end
    $do$
{% endmacro %}
