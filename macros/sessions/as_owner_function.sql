{% macro as_owner_function() %}
-- For sessions of an operator, who may do what no owner of a table may. Code that an owner can put on a table (triggers,
-- rules, defaults, expressions of indexes, policies, casts and operators of types) runs whenever the table is read or
-- written: here it always runs as that owner, inside a function of theirs with a fixed search_path, where PostgreSQL
-- refuses `set role` and `reset role`.
-- The function is made for one call, under a name that cannot be foretold, may be called by nobody else, and is gone
-- before anything else happens: an owner could replace its own.
create or replace function pg_temp.as_owner(relation oid, statement text)
returns jsonb
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
declare
    owner oid := (select pg_class.relowner from pg_class where pg_class.oid = relation);
    -- Qualified, as whatever runs as an owner may leave other things of that name in pg_temp.
    called text := format('pg_temp.%I', 'as_owner_' || replace(gen_random_uuid()::text, '-', ''));
    result jsonb;
begin
    execute format(
        'create function %s(statement text) returns jsonb language plpgsql security definer '
        'set search_path to pg_catalog, pg_temp as %L', called,
        'declare result jsonb; begin set constraints all immediate; '
        'if statement ~ ''^(select|with) '' then execute statement into result; '
        'else execute statement; end if; return result; end'
    );
    execute format('revoke all on function %s(text) from public', called);
    execute format('grant execute on function %s(text) to %I', called, current_user);
    execute format('alter function %s(text) owner to %s', called, owner::regrole);
    execute format('select %s($1)', called) using statement into result;
    execute format('drop function if exists %s(text)', called);
    return result;
end
$$;
{% endmacro %}
