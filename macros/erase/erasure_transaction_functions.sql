{% macro erasure_transaction_functions() %}
-- The whole erasure of one person, in the caller's transaction.

-- What no call can see or change. It is said each time: nobody can know from here whether it was done.
create or replace function pg_temp.standing_tasks()
returns jsonb
language sql immutable
set search_path to pg_catalog, pg_temp
as $$
    select jsonb_agg(jsonb_build_object('text', task))
    from unnest(array[
        'backups made before this erasure still hold the person: let them expire, and after restoring one, '
        'run the same `haven erase` again before anyone reads it',
        'replicas follow by themselves; archived WAL and the servers'' logs hold what was there before: let them expire',
        'other checkouts and machines: remove their folders `target` and `logs`, exported features, and pages handed on',
        'the source itself: erase the person in the application, too'
    ]) as task
$$;

-- Erases the person whose key, as somebody wrote it, is in haven.person_key. Returns what was changed and what is left to
-- do; the caller may roll it back. In a message {key} stands for the key. `personal` are the names of columns that are
-- personal, each with its kind.
create or replace function pg_temp.erase(
    project_nodes jsonb, person_kind text, is_folded boolean, run_id text, personal jsonb
)
returns jsonb
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
declare
    typed constant text := pg_temp.person_key();
    rels jsonb := (
        select jsonb_agg(to_jsonb(known)) from pg_temp.relations(project_nodes, person_kind, personal) as known
    );
    rel record;
    home record;
    key text;
    forms text[];
    condition text;
    is_known boolean := false;
    is_new boolean;
    salt text;
    hash text;
    texts jsonb := '[]';
    unsure jsonb;
    rows bigint;
    changed jsonb := '{}';
    tasks jsonb := '[]';
begin
    if typed is null then
        raise invalid_parameter_value using message =
            'the key did not reach PostgreSQL: a connection pooler keeps back the options of a login; let '
            'HAVEN_WAREHOUSE_HOST and HAVEN_WAREHOUSE_PORT be those of the database itself';
    end if;
    select known.relid, format_type(pg_attribute.atttypid, -1) as type, pg_attribute.atttypid into home
    from jsonb_to_recordset(rels) as known (relid oid, label text, role text, is_raw boolean, key name)
    inner join pg_attribute on known.relid = pg_attribute.attrelid and known.key = pg_attribute.attname
    left join pg_index
        on known.relid = pg_index.indrelid and pg_index.indisprimary and pg_index.indnkeyatts = 1
        and pg_attribute.attnum = pg_index.indkey[0]
    where known.role = 'place'
    order by known.is_raw desc, pg_index.indexrelid is null, known.label
    limit 1;
    if home.relid is null then
        raise no_data_found using message = format('no table in the warehouse has people of kind %s', person_kind);
    end if;
    begin
        key := case when is_folded then lower(typed) else pg_temp.canonical(typed, home.atttypid) end;
    exception when data_exception then
        raise invalid_parameter_value using message = format(
            '''{key}'' is no key of a %s: keys are of type %s', person_kind, home.type
        );
    end;
    forms := array[key];
    for rel in
        select * from jsonb_to_recordset(rels) as known (relid oid, role text, is_raw boolean, key name)
        where known.role = 'place' and known.key is not null
        order by known.is_raw desc
    loop
        condition := case
            when is_folded then format('lower(%I::text) = %L', rel.key, key)
            else pg_temp.mine(rel.relid, rel.key, forms)
        end;
        continue when condition is null;
        forms := forms || coalesce(array(select jsonb_array_elements_text(pg_temp.as_owner(rel.relid, format(
            'select jsonb_agg(distinct %I::text) from %s where %s', rel.key, rel.relid::regclass, condition
        )))), '{}');
    end loop;
    is_known := cardinality(forms) > 1;
    forms := array[key] || array(select distinct form from unnest(forms) as form where form <> key);

    salt := coalesce(
        pg_temp.as_owner('ops.suppressions'::regclass, 'select to_jsonb(min(salt)) from ops.suppressions') #>> '{}',
        gen_random_uuid()::text
    );
    hash := encode(sha256(convert_to(salt || key, 'UTF8')), 'hex');
    is_new := pg_temp.as_owner('ops.suppressions'::regclass, format(
        'with added as (insert into ops.suppressions (person_kind, key_hash, salt) values (%L, %L, %L) '
        'on conflict do nothing returning 1) select to_jsonb(exists (select from added))', person_kind, hash, salt
    ));
    if is_new and not is_known then
        raise no_data_found using message = format(
            'nobody in the warehouse is %s {key}: is the key right?', person_kind
        );
    end if;

    for rel in
        select * from jsonb_to_recordset(rels) as known (relid oid, role text, is_raw boolean, key name, columns jsonb)
        where known.key is not null and known.columns is not null
    loop
        begin
            texts := texts || coalesce(
                pg_temp.texts_of(rel.relid, rel.columns, pg_temp.mine(rel.relid, rel.key, forms)), '[]'
            );
        exception when insufficient_privilege then
            if rel.is_raw then
                raise;
            end if; -- said when it is to be changed
        end;
    end loop;
    for rel in
        select * from jsonb_to_recordset(rels) as known (
            relid oid, label text, is_raw boolean, key name, columns jsonb
        )
        where known.key is not null and known.columns is not null
        order by known.is_raw desc, known.label
    loop
        condition := pg_temp.mine(rel.relid, rel.key, forms);
        continue when condition is null;
        begin
            rows := pg_temp.erase_at(rel.relid, rel.columns, condition, rel.is_raw, run_id);
            if rows is null then
                tasks := tasks || pg_temp.task(
                    rel.label, null, 'has ' || pg_temp.code_on(rel.relid) || ' of its owner, so nothing was changed there: '
                    'drop them, then erase again'
                );
            elsif rows > 0 then
                changed := changed || jsonb_build_object(rel.label, rows);
            end if;
        exception when integrity_constraint_violation or insufficient_privilege or raise_exception then
            if rel.is_raw then
                raise;
            end if;
            tasks := tasks || pg_temp.task(
                rel.label, null, format('refuses the change (%s): see to it, then erase again', sqlstate)
            );
        end;
    end loop;

    -- What no YAML speaks of and no name tells may be what an order needs, or a nickname: somebody has to look.
    for rel in
        select * from jsonb_to_recordset(rels) as known (relid oid, label text, key name, doubtful name[])
        where known.key is not null and known.doubtful is not null
        order by known.label
    loop
        condition := pg_temp.mine(rel.relid, rel.key, forms);
        continue when condition is null;
        begin
            unsure := pg_temp.as_owner(rel.relid, format(
                'select jsonb_agg(distinct name order by name) from %s cross join lateral (values %s) as held (name, is_held) '
                'where (%s) and is_held', rel.relid::regclass,
                (select string_agg(format('(%L, %I is not null)', name, name), ', ') from unnest(rel.doubtful) as name),
                condition
            ));
        exception when insufficient_privilege then
            continue; -- the search meets the same and says so
        end;
        if jsonb_typeof(unsure) = 'array' then
            tasks := tasks || pg_temp.task(rel.label, null, format(
                'rows of the person have values of %s, and no YAML says what that is: list it there, with `meta.pii` or '
                '`meta.erase: true` if it is personal, and erase again',
                (select string_agg(name, ', ') from jsonb_array_elements_text(unsure) as name)
            ));
        end if;
    end loop;

    for rel in
        select * from jsonb_to_recordset(rels) as known (label text, role text, keys name[])
        where known.role = 'place' and known.keys is null
        order by known.label
    loop
        tasks := tasks || pg_temp.task(
            rel.label, null, 'lacks the column that the YAML marks with `meta.person`, so nothing was erased there: mark the '
            'one that has the key now, and erase again'
        );
    end loop;

    select * into changed, tasks
    from pg_temp.erase_elsewhere(
        rels,
        (
            -- What tells one person from others: names, addresses of mail, numbers, words with numbers (streets), whole
            -- sentences. A city or a state would be found in what has nothing to do with the person.
            select coalesce(jsonb_agg(jsonb_build_object(
                'pii', telling.pii, 'text', telling.text, 'pattern', pg_temp.pattern_of(telling.pii, telling.text)
            )), '[]')
            from (
                select distinct on (text ->> 'text') text ->> 'pii' as pii, text ->> 'text' as text
                from jsonb_array_elements(texts) as text
                where length(text ->> 'text') >= case when text ->> 'pii' in ('email', 'name') then 5 else 6 end
                    and (text ->> 'pii' = 'name' or text ->> 'text' ~ '@|(\d\D*){7}|[a-z].*\d|\d.*[a-z]|.{20}')
                order by text ->> 'text', text ->> 'pii' = '', text ->> 'pii'
            ) as telling
        ),
        array(select distinct text ->> 'text' from jsonb_array_elements(texts) as text where text ->> 'text' <> ''),
        forms, salt, changed, tasks
    );
    tasks := tasks || pg_temp.tasks_left(rels, hash, salt) || pg_temp.standing_tasks();
    perform pg_temp.as_owner('ops.erasures'::regclass, format(
        'insert into ops.erasures (person_kind, key_hash, run_id, changed_rows, open_tasks) values (%L, %L, %L, %L, %L)',
        person_kind, hash, run_id, changed, tasks
    ));
    return jsonb_build_object(
        'key_hash', hash, 'was_suppressed', not is_new, 'changed', changed, 'tasks', tasks,
        -- Statistics of the planner and dead rows hold values; those of earlier calls that were killed, too.
        'afterwards', (
            select jsonb_object_agg(known.relid::regclass, format('vacuum (analyze) %s', known.relid::regclass))
            from jsonb_to_recordset(rels) as known (relid oid, label text, role text, key name)
            where changed ? known.label or (known.role in ('place', 'below') and known.key is not null)
        )
    );
end
$$;

-- The same, but an error comes back (`refused`, with its state; nothing was done): what PostgreSQL and dbt would write of it
-- into their logs shows the statement with the key, or the values of a row.
create or replace function pg_temp.erase_quietly(
    project_nodes jsonb, person_kind text, is_folded boolean, run_id text, personal jsonb
)
returns jsonb
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
begin
    return pg_temp.erase(project_nodes, person_kind, is_folded, run_id, personal);
exception when others or query_canceled then
    return jsonb_build_object('refused', sqlerrm, 'state', sqlstate);
end
$$;
{% endmacro %}
