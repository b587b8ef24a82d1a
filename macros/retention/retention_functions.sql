{% macro retention_functions() %}
-- Retention: what is older than its table's `meta.retention` leaves, in batches that are committed one by one. First the
-- cutoff is noted, which the loader obeys: rows of the source behind it are not there for it, so neither a load nor a
-- comparison brings them back. A call that is killed leaves rows too many, which the next one removes.

-- A length of time. Raises invalid_parameter_value if it is none, has no unit, or lies outside of the calendar.
create or replace function pg_temp.length_of(place text, value text)
returns interval
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
declare
    result interval;
    problem text;
begin
    if btrim(value) ~* '^([^a-z:]*|[-+.\d]+e[-+\d]+)$' and value ~ '[1-9]' then
        problem := format('is %L: say of what, such as ''%s minutes''', value, btrim(value));
    else
        begin
            result := value::interval;
            if result not between '0' and interval '4000 years' then
                problem := format('is %L; it must be a finite time from 0 on', value);
            end if;
        exception when data_exception then
            problem := format('is %L, which is no interval', value);
        end;
    end if;
    if problem is not null then
        raise invalid_parameter_value using message = place || ' ' || problem;
    end if;
    return result;
end
$$;

-- What is asked to go sooner than a day was meant otherwise: a minus, a unit that is missing.
create or replace function pg_temp.check_policy(label text, keep text, purge_after text)
returns void
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
begin
    perform pg_temp.length_of(format('retention of %s: purge_after', label), purge_after);
    if pg_temp.length_of(format('retention of %s: keep', label), keep) < interval '1 day' then
        raise invalid_parameter_value
            using message = format('retention of %s: keep is %L; it must be a day at least', label, keep);
    end if;
end
$$;

-- Midnight (UTC), `keep` ago; of what is loaded never before an earlier cutoff.
create or replace function pg_temp.cutoff_of(relation regclass, keep text, is_raw boolean)
returns text
language sql
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
set datestyle to 'ISO, MDY'
as $$
    select pg_temp.as_owner('ops.retentions'::regclass, format(
        $sql$select to_jsonb(greatest(date_trunc('day', now()) - %L::interval, (
            select max(kept_from) from ops.retentions where schema_name = %L and table_name = %L and %L
        ))::text)$sql$, keep, pg_namespace.nspname, pg_class.relname, is_raw
    )) #>> '{}'
    from pg_class
    inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
    where pg_class.oid = relation
$$;

-- Notes the cutoff, unless nothing was changed and it is known.
create or replace function pg_temp.note_cutoff(relation regclass, column_name text, kept_from text, changed bigint)
returns void
language sql
set search_path to pg_catalog, pg_temp
as $$
    select pg_temp.as_owner('ops.retentions'::regclass, format(
        $sql$insert into ops.retentions (schema_name, table_name, column_name, kept_from, changed_rows)
        select %1$L, %2$L, %3$L, %4$L, %5$s
        where %5$s > 0 or not exists (
            select from ops.retentions
            where schema_name = %1$L and table_name = %2$L and kept_from >= %4$L::timestamptz
        )$sql$, pg_namespace.nspname, pg_class.relname, column_name, kept_from, changed
    ))
    from pg_class
    inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
    where pg_class.oid = relation
$$;

-- Marks (`is_marking`) or deletes up to so many rows that meet the condition; returns how many, and that would be if
-- `most` is null. Marked rows get a load id for each batch: a model may be built between two of them.
create or replace function pg_temp.remove_batch(relation regclass, condition text, is_marking boolean, most bigint)
returns bigint
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
declare
    change text;
begin
    if most is null then
        return pg_temp.as_owner(
            relation, format('select to_jsonb(count(*)) from %s where %s', relation, condition)
        )::bigint;
    end if;
    change := case
        when is_marking then format(
            'update %s set _deleted_at = now(), _loaded_at = now(), _load_id = %s', relation,
            pg_temp.as_owner('ops.load_id_seq'::regclass, $sql$select to_jsonb(nextval('ops.load_id_seq'))$sql$)
        )
        else format('delete from %s', relation)
    end;
    return pg_temp.as_owner(relation, format(
        'with changed as (%s where ctid = any(array(select ctid from %s where %s limit %s)) returning 1) '
        'select to_jsonb(count(*)) from changed', change, relation, condition, most
    ))::bigint;
end
$$;

-- Applies all policies; `answer` is what was done to each table, `kept_from` its cutoff, or why nothing was (`refused`).
-- An error comes back as its state and its message, as its details may be a row.
create or replace procedure pg_temp.apply_retention(policies jsonb, is_dry_run boolean, inout answer text)
language plpgsql
as $$
declare
    batch_rows constant bigint := 50000;
    tables jsonb := '[]';
    policy record;
    relation regclass;
    is_marking boolean;
    condition text;
    kept_from text;
    changed bigint[];
    rows bigint;
begin
    begin
        for policy in
            select known.*, known.schema_name || '.' || known.table_name as label
            from jsonb_to_recordset(policies) as known (schema_name text, table_name text, keep text, purge_after text)
        loop
            perform pg_temp.check_policy(policy.label, policy.keep, policy.purge_after);
        end loop;
    exception when others then
        answer := jsonb_build_object('refused', sqlerrm, 'state', sqlstate)::text;
        return;
    end;
    for policy in
        select known.*, known.schema_name || '.' || known.table_name as label
        from jsonb_to_recordset(policies) as known (
            schema_name text, table_name text, column_name text, keep text, purge_after text, is_raw boolean
        )
    loop
        changed := array[0, 0];
        foreach is_marking in array case when policy.is_raw then array[true, false] else array[false] end loop
            loop
                -- Transactions end between these blocks, never inside of one that keeps errors.
                begin
                    relation := format('%I.%I', policy.schema_name, policy.table_name)::regclass;
                    kept_from := coalesce(kept_from, pg_temp.cutoff_of(relation, policy.keep, policy.is_raw));
                    condition := format('%I < %L::timestamptz', policy.column_name, kept_from);
                    if is_marking then
                        condition := condition || ' and _deleted_at is null';
                        if not is_dry_run then
                            perform pg_temp.note_cutoff(relation, policy.column_name, kept_from, 0);
                        end if;
                    elsif policy.is_raw then
                        -- Not those of the newest load: models take a table whose newest load is gone for one that
                        -- was made anew.
                        condition := condition || format(
                            ' and _deleted_at < now() - %L::interval '
                            'and _load_id < (select max(newest._load_id) from %s as newest)',
                            policy.purge_after, relation
                        );
                    end if;
                    rows := pg_temp.remove_batch(
                        relation, condition, is_marking, case when not is_dry_run then batch_rows end
                    );
                exception when others then
                    answer := jsonb_build_object('refused', sqlerrm, 'state', sqlstate)::text;
                    return;
                end;
                commit;
                if is_marking then
                    changed[1] := changed[1] + rows;
                else
                    changed[2] := changed[2] + rows;
                end if;
                exit when is_dry_run or rows < batch_rows;
            end loop;
        end loop;
        if not is_dry_run and changed[1] + changed[2] > 0 then
            perform pg_temp.note_cutoff(relation, policy.column_name, kept_from, changed[1] + changed[2]);
            commit;
        end if;
        tables := tables || jsonb_build_object(
            'table', policy.label, 'kept_from', kept_from, 'marked_rows', changed[1], 'deleted_rows', changed[2]
        );
        kept_from := null;
    end loop;
    answer := jsonb_build_object('tables', tables)::text;
end
$$;
{% endmacro %}
