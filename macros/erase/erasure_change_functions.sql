{% macro erasure_change_functions() %}
-- What changes a table: a person's columns become null, texts become `[erased]`; never where its owner's code would run.

-- What the owner of a table, or of one of its partitions, has put on it that runs when rows are changed; null without.
create or replace function pg_temp.code_on(relation oid)
returns text
language sql stable
set search_path to pg_catalog, pg_temp
as $$
    with parts as (
        select relation as part
        union
        select pg_partition_tree.relid from pg_partition_tree(relation)
    )
    select string_agg(distinct found.code, ' and ')
    from (
        select 'triggers' as code
        from pg_trigger
        inner join parts on pg_trigger.tgrelid = parts.part
        where not pg_trigger.tgisinternal
        union all
        select 'rules'
        from pg_rewrite
        inner join parts on pg_rewrite.ev_class = parts.part
        where pg_rewrite.rulename <> '_RETURN'
    ) as found
$$;

-- Makes a person's columns null, in raw as a load of its own, so that models compute the rows anew; returns the rows.
create or replace function pg_temp.erase_at(relation oid, columns jsonb, condition text, is_raw boolean, run_id text)
returns bigint
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
declare
    names name[] := array(select jsonb_object_keys(columns));
    load_id text;
    changed bigint;
    required text := (
        select string_agg(format('alter column %I drop not null', attname), ', ')
        from pg_attribute where attrelid = relation and attname = any(names) and attnotnull
    );
begin
    -- Nobody puts a trigger on it from here on.
    perform pg_temp.as_owner(relation, format('lock table %s in share row exclusive mode', relation::regclass));
    if pg_temp.code_on(relation) is not null then
        return null;
    end if;
    if required is not null then
        perform pg_temp.as_owner(relation, format('alter table %s %s', relation::regclass, required));
    end if;
    if is_raw then
        load_id := pg_temp.as_owner('ops.load_id_seq'::regclass, $sql$select to_jsonb(nextval('ops.load_id_seq'))$sql$);
    end if;
    changed := pg_temp.as_owner(relation, format(
        'with changed as (update %s set %s where (%s) and (%s) returning 1) select to_jsonb(count(*)) from changed',
        relation::regclass,
        (select string_agg(format('%I = null', name), ', ') from unnest(names) as name)
        || coalesce(', _loaded_at = now(), _load_id = ' || load_id, ''),
        condition,
        (select string_agg(format('%I is not null', name), ' or ') from unnest(names) as name)
    ))::bigint;
    if is_raw and changed > 0 then
        perform pg_temp.as_owner('ops.table_loads'::regclass, format(
            $sql$insert into ops.table_loads (
                load_id, run_id, source_name, table_name, raw_schema, raw_table, strategy, mode, status, started_at,
                finished_at, rows_updated
            )
            select
                %s, %L, coalesce(max(source_name), '-'), coalesce(max(table_name), %L), %L, %L,
                coalesce(max(strategy), 'full'), 'repair', 'ok', now(), clock_timestamp(), %s
            from ops.table_loads
            where raw_schema = %4$L and raw_table = %5$L$sql$,
            load_id, run_id, pg_class.relname, pg_namespace.nspname, pg_class.relname, changed
        ))
        from pg_class
        inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
        where pg_class.oid = relation;
    end if;
    return changed;
end
$$;

-- Puts `[erased]` in the place of what the pattern finds; returns the rows changed, null if the owner's code is in the way.
create or replace function pg_temp.redact(relation oid, pattern text)
returns bigint
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
declare
    names name[] := array(
        select pg_attribute.attname
        from pg_attribute
        inner join pg_type on pg_attribute.atttypid = pg_type.oid
        where pg_attribute.attrelid = relation and pg_attribute.attnum > 0 and not pg_attribute.attisdropped
            and pg_attribute.attgenerated = '' and pg_type.typnamespace = 'pg_catalog'::regnamespace
            and format_type(pg_attribute.atttypid, -1) ~ '^(text|character varying|bpchar|jsonb?|xml)(\[\])?$'
    );
begin
    perform pg_temp.as_owner(relation, format('lock table %s in share row exclusive mode', relation::regclass));
    if pg_temp.code_on(relation) is not null or names = '{}' or pattern is null then
        return null;
    end if;
    return pg_temp.as_owner(relation, format(
        'with changed as (update %s set %s where %s returning 1) select to_jsonb(count(*)) from changed',
        relation::regclass,
        (
            select string_agg(format(
                $sql$%1$I = regexp_replace(%1$I::text, %2$L, '[erased]', 'gi')::%3$s$sql$, attname, pattern,
                format_type(atttypid, -1)
            ), ', ')
            from pg_attribute where attrelid = relation and attname = any(names)
        ),
        pg_temp.any_of(names, pattern)
    ))::bigint;
end
$$;
{% endmacro %}
