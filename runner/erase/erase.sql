-- Erases one person (docs/decisions/0027) in the caller's transaction. Functions of one session, after
-- access/as_owner.sql; whatever touches a table runs as the table's owner. `pg_temp.erase` at the end is the way in.

-- The one spelling of a key, by its type; the loader writes the source's the same way (suppression.py).
create or replace function pg_temp.canonical(value text, type oid)
returns text
language plpgsql
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
set datestyle to 'ISO, YMD'
set intervalstyle to 'postgres'
as $$
declare
    result text;
begin
    -- Without the type's modifier: varchar(3) would cut a key, numeric(9, 2) round it, to somebody else's.
    execute format('select $1::%s::text', format_type(type, -1)) using value into result;
    return case when type = 'numeric'::regtype then trim_scale(result::numeric)::text else result end;
end
$$;

-- The warehouse's tables and what the plan knows of them: `place` (the YAML says whose rows they are), `below` (made from
-- places), `other`, or null. A developer's copy (same name, a schema that ends in the layer's) and what models keep of
-- their changes are what the model is. `keys` are columns named as a person's key; `key` is the one by which `columns` may
-- be erased. Below, that is none where an input has a column of that name that is something else: `id` of a review.
create or replace function pg_temp.relations(plan jsonb)
returns table (relid oid, label text, role text, is_raw boolean, is_ours boolean, keys name[], key name, columns jsonb)
language sql stable
set search_path to pg_catalog, pg_temp
as $$
    with specs as (
        select spec.*
        from jsonb_to_recordset(plan -> 'relations') as spec (
            schema text, name text, layer text, role text, is_raw boolean, is_ours boolean, keys jsonb, columns jsonb,
            inputs jsonb
        )
    ),
    tables as (
        select pg_class.oid, pg_class.relkind, pg_namespace.nspname::text as schema, pg_class.relname::text as name
        from pg_class
        inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
        where pg_class.relkind in ('r', 'p', 'm') and not pg_class.relispartition
            and pg_class.relpersistence <> 't'
            and pg_namespace.nspname not in ('pg_catalog', 'information_schema')
            and pg_namespace.nspname !~ '^pg_toast'
    ),
    matched as (
        select distinct on (tables.oid)
            tables.*, specs.role, specs.inputs,
            coalesce(specs.is_raw, false) as is_raw,
            coalesce(specs.is_ours, tables.schema = 'ops') as is_ours,
            coalesce(specs.keys, plan -> 'keys') as keys,
            coalesce(specs.columns, plan -> 'columns') as columns
        from tables
        left join specs on (
            tables.name = specs.name
            and (
                tables.schema in (specs.schema, specs.layer)
                or right(tables.schema, length(specs.layer) + 1) = '_' || specs.layer
            )
        ) or (
            -- A name that was too long keeps its beginning (macro short_name).
            tables.schema ~ '(^|_)model_state$' and specs.layer is not null
            and starts_with(tables.name, left(specs.name || '__', 50))
        )
        order by tables.oid, (tables.schema = specs.schema) desc nulls last, length(specs.name) desc
    ),
    columns as (
        select
            matched.oid,
            array_agg(held.attname) filter (where matched.keys ? held.attname::text) as keys,
            min(held.attname::text) filter (
                where matched.keys ? held.attname::text and matched.relkind <> 'm'
                and matched.role in ('place', 'below')
                and not exists (
                    select from jsonb_each(matched.inputs) as input (name, keys)
                    inner join pg_attribute as others on others.attrelid = to_regclass(input.name)
                    where others.attname = held.attname and not input.keys ? held.attname::text
                )
            ) as key,
            jsonb_object_agg(held.attname, matched.columns -> held.attname::text)
            filter (where matched.columns ? held.attname::text and not matched.keys ? held.attname::text) as columns
        from matched
        inner join pg_attribute as held on matched.oid = held.attrelid and held.attnum > 0
        group by matched.oid
    )
    select
        matched.oid, matched.schema || '.' || matched.name, matched.role, matched.is_raw, matched.is_ours, columns.keys,
        columns.key, columns.columns
    from matched
    inner join columns on matched.oid = columns.oid
$$;

-- The condition for the person's rows; null where the column can hold no such key. A column of text may have the key in
-- each of its `forms` in raw (1.50 of a numeric); the first of them is the canonical one.
create or replace function pg_temp.mine(relation oid, key name, forms text[])
returns text
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
declare
    column_type oid := (select atttypid from pg_attribute where attrelid = relation and attname = key);
begin
    if (select typcategory = 'S' from pg_type where oid = column_type) then
        return format('%I = any(%L)', key, forms);
    end if;
    perform pg_temp.canonical(forms[1], column_type);
    return format('%I = %L', key, forms[1]);
exception when data_exception then
    return null;
end
$$;

-- A table's columns that may hold text, also in JSON, arrays and rows.
create or replace function pg_temp.text_columns(relation oid)
returns name[]
language sql stable
set search_path to pg_catalog, pg_temp
as $$
    select array_agg(pg_attribute.attname order by pg_attribute.attnum)
    from pg_attribute
    inner join pg_type on pg_attribute.atttypid = pg_type.oid
    left join pg_type as elements on pg_type.typelem = elements.oid and pg_type.typcategory = 'A'
    where pg_attribute.attrelid = relation and pg_attribute.attnum > 0 and not pg_attribute.attisdropped
        and (
            coalesce(elements.typcategory, pg_type.typcategory) in ('S', 'C')
            or coalesce(elements.typname, pg_type.typname) in ('json', 'jsonb', 'xml', 'hstore', 'tsvector')
        )
$$;

-- The condition that one of the columns holds what the pattern finds.
create or replace function pg_temp.any_of(names name[], pattern text)
returns text
language sql immutable
set search_path to pg_catalog, pg_temp
as $$
    select '(' || string_agg(format('%I::text ~* %L', name, pattern), ' or ') || ')' from unnest(names) as name
$$;

-- The texts in some columns, trimmed and in lower case, with what the YAML says they are; of JSON and arrays, each string.
create or replace function pg_temp.texts_of(relation oid, columns jsonb, condition text)
returns jsonb
language sql
set search_path to pg_catalog, pg_temp
as $$
    select pg_temp.as_owner(relation, 'with texts as (' || string_agg(format(
        $sql$select distinct %L as pii, lower(btrim(part.value #>> '{}')) as text from %s
        cross join lateral jsonb_path_query(to_jsonb(%I), 'strict $.**') as part (value)
        where (%s) and jsonb_typeof(part.value) = 'string'$sql$,
        held.value, relation::regclass, held.key, condition
    ), ' union ') || ') select jsonb_agg(texts) from texts')
    from jsonb_each_text(columns) as held
$$;

-- The regular expression for one text: also as JSON writes it, with other blanks, a name with the surname first, a phone
-- number in any notation; never as a part of a longer word, name or address.
create or replace function pg_temp.pattern_of(pii text, value text)
returns text
language sql immutable
set search_path to pg_catalog, pg_temp
as $$
    select string_agg(
        case when value ~ '@' then '(?<![[:alnum:]._%+-])' else '(?<![[:alnum:]])' end
        || regexp_replace(
            regexp_replace(form, '([^[:alnum:][:space:]_@])', '\\\1', 'g'), '[[:space:]]+', '[[:space:]]+', 'g'
        )
        || case when value ~ '@' then '(?![[:alnum:]-]|[.][[:alnum:]])' else '(?![[:alnum:]])' end,
        '|'
    ) || coalesce((
        select '|(?<![[:alnum:]])[+0-9]{0,4}[ ().+/-]{0,3}'
            || regexp_replace(right(digits, 10), '(\d)(?=\d)', '\1[ ().+/-]{0,3}', 'g') || '(?![[:alnum:]])'
        from regexp_replace(value, '\D', '', 'g') as digits
        where pii = 'phone' and length(digits) >= 7
    ), '')
    from (
        select value as form
        union
        select substr(to_json(value)::text, 2, length(to_json(value)::text) - 2)
        union
        select regexp_replace(value, '^(\S+)\s+(\S+)$', '\2' || comma || ' \1')
        from unnest(array[',', '']) as comma
        where pii = 'name'
    ) as forms
$$;

-- Rows that meet a condition: how many, in which columns the pattern is, the keys of the first 20 (not shown where they
-- are the text itself), and digests of the texts, by which a later call knows whether they are still there.
create or replace function pg_temp.rows_where(relation oid, condition text, pattern text, salt text)
returns jsonb
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
declare
    names name[] := pg_temp.text_columns(relation);
    row_key text;
    found jsonb;
begin
    select string_agg(format('%I::text', pg_attribute.attname), $sql$ || ', ' || $sql$ order by keys.position)
    into row_key
    from (
        select indrelid, indkey from pg_index
        where indrelid = relation and indisunique and indexprs is null and indpred is null
        order by indisprimary desc, indexrelid
        limit 1
    ) as chosen
    cross join lateral unnest(chosen.indkey) with ordinality as keys (attnum, position)
    inner join pg_attribute on chosen.indrelid = pg_attribute.attrelid and keys.attnum = pg_attribute.attnum;
    found := pg_temp.as_owner(relation, format(
        $sql$with found as materialized (
            select coalesce(%s, '?') as key, array[%s]::text[] as names, array[%s]::text[] as texts from %s where %s
        )
        select jsonb_build_object(
            'rows', count(*),
            'columns', (select jsonb_agg(distinct name) from found, unnest(found.names) as name where name is not null),
            'keys', (
                select jsonb_agg(shown.key)
                from (select case when key ~* %L then '?' else key end as key from found order by key limit 20) as shown
            ),
            'digests', (
                select jsonb_agg(encode(sha256(convert_to(%L || text, 'UTF8')), 'hex'))
                from found, unnest(found.texts) as text where text is not null
            )
        ) from found$sql$,
        coalesce(row_key, $sql$'row ' || ctid::text$sql$),
        (select string_agg(format('case when %1$I::text ~* %2$L then %1$L end', name, pattern), ', ') from unnest(names) as name),
        (select string_agg(format('case when %1$I::text ~* %2$L then %1$I::text end', name, pattern), ', ') from unnest(names) as name),
        relation::regclass, condition, pattern, salt
    ));
    return case when found ->> 'rows' <> '0' then found end;
end
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

-- One task as a sentence; `found` is what rows_where returned.
create or replace function pg_temp.task(place text, found jsonb, why text)
returns jsonb
language sql immutable
set search_path to pg_catalog, pg_temp
as $$
    select coalesce(found, '{}') || jsonb_build_object('place', place, 'why', why, 'text', format(
        '%s: %s%s', place,
        case when found is not null then format(
            '%s %s (key %s%s)%s ', found ->> 'rows', case found ->> 'rows' when '1' then 'row' else 'rows' end,
            (select string_agg(key, ' | ') from jsonb_array_elements_text(found -> 'keys') as key),
            case when (found ->> 'rows')::bigint > 20 then ' and more' end,
            (
                select ', ' || string_agg(name, ', ') || ','
                from jsonb_array_elements_text(nullif(found -> 'columns', 'null')) as name
            )
        ) end,
        why
    ))
$$;

-- Looks for the person where the YAML does not say that they are. Texts that only they had are replaced in what the
-- runner, dbt's tests and Elementary keep; anywhere else they become a task: a load or a build would undo a change, and
-- other people's rows are not ours to change. `own`: the texts that tell the person; `said`: all of their texts.
create or replace function pg_temp.erase_elsewhere(
    rels jsonb, own jsonb, said text[], forms text[], salt text, inout changed jsonb, inout tasks jsonb
)
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
declare
    rel record;
    names name[];
    pattern text := (select string_agg(text ->> 'pattern', '|') from jsonb_array_elements(own) as text);
    condition text;
    found jsonb;
    theirs_alone text;
    unsearched text[] := '{}';
    rows bigint;
begin
    -- What somebody else has too, as a value of its own, is nothing to replace elsewhere. Nor is it one to look for, if it
    -- is a namesake's; the same mail address or number, or a table of nobody's, may well be the same person again.
    for rel in
        select * from jsonb_to_recordset(rels) as known (relid oid, role text, is_raw boolean, key name)
        where known.is_raw and pattern is not null
    loop
        names := pg_temp.text_columns(rel.relid);
        continue when names is null;
        condition := pg_temp.any_of(names, pattern);
        if rel.role = 'place' then
            condition := condition || format(' and (%s) is not true', coalesce(pg_temp.mine(rel.relid, rel.key, forms), 'false'));
        end if;
        begin
            found := pg_temp.texts_of(rel.relid, (select jsonb_object_agg(name, '') from unnest(names) as name), condition);
        exception when others then
            continue; -- the search below meets the same and says so
        end;
        select coalesce(jsonb_agg(text || case
            when text ->> 'text' not in (select other ->> 'text' from jsonb_array_elements(found) as other) then '{}'
            when rel.role = 'place' and text ->> 'pii' not in ('email', 'phone') then '{"is_shared": true, "is_common": true}'
            else '{"is_shared": true}'
        end::jsonb), '[]') into own
        from jsonb_array_elements(own) as text;
    end loop;
    select
        string_agg(text ->> 'pattern', '|'),
        string_agg(text ->> 'pattern', '|') filter (where not text ? 'is_shared')
    into pattern, theirs_alone
    from jsonb_array_elements(own) as text
    where not text ? 'is_common';
    for rel in
        select * from jsonb_to_recordset(rels) as known (
            relid oid, label text, role text, is_raw boolean, is_ours boolean, keys name[], key name, columns jsonb
        )
    loop
        names := pg_temp.text_columns(rel.relid);
        condition := pg_temp.any_of(names, pattern);
        -- Nobody says whose rows these are, but they have the key and one of the texts, be it a common one.
        if rel.role is null or (rel.role = 'below' and rel.key is null) then
            condition := concat_ws(' or ', condition, (
                select string_agg(format(
                    '(%s) and lower(btrim(%I::text)) = any(%L)', pg_temp.mine(rel.relid, own_key, forms), held.name, said
                ), ' or ')
                from unnest(rel.keys) as own_key
                cross join jsonb_object_keys(rel.columns) as held (name)
            ));
        end if;
        continue when names is null or condition is null;
        begin
            found := pg_temp.rows_where(rel.relid, condition, coalesce(pattern, '$.'), salt);
            continue when found is null;
            rows := case when rel.is_ours then pg_temp.redact(rel.relid, theirs_alone) end;
            if rows > 0 then
                changed := changed || jsonb_build_object(rel.label, rows);
                found := pg_temp.rows_where(rel.relid, condition, pattern, salt);
            end if;
            if found is not null then
                tasks := tasks || pg_temp.task(rel.label, found, case
                    when rel.is_raw
                        then 'of the source with the person''s texts: change them there, or mark the column in the YAML '
                        '(`meta.person`, `meta.pii`) and erase again'
                    when rel.role is null then 'of a table that the project does not know with the person''s texts: change them'
                    else 'with the person''s texts: build it again when the source holds them no more'
                end);
            end if;
        exception when others then
            unsearched := unsearched || format('%s (%s)', rel.label, sqlstate);
        end;
    end loop;
    if unsearched <> '{}' then
        tasks := tasks || pg_temp.task(array_to_string(unsearched, ', '), null, 'could not be searched; do it as the owner');
    end if;
end
$$;

-- Tasks of earlier erasures of this person whose rows still hold what they held then.
create or replace function pg_temp.tasks_left(rels jsonb, hash text, salt text)
returns jsonb
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
declare
    earlier record;
    tasks jsonb := '[]';
begin
    for earlier in
        select distinct on (task ->> 'place', task ->> 'why') task, known.relid
        from jsonb_array_elements(pg_temp.as_owner('ops.erasures'::regclass, format(
            $sql$select jsonb_agg(task order by erasure_id desc)
            from ops.erasures, jsonb_array_elements(open_tasks) as task
            where key_hash = %L and jsonb_typeof(task) = 'object'$sql$, hash
        ))) as task
        inner join jsonb_to_recordset(rels) as known (relid oid, label text) on task ->> 'place' = known.label
        where jsonb_typeof(task -> 'digests') = 'array'
    loop
        if pg_temp.as_owner(earlier.relid, format(
            'select to_jsonb(exists (select from %s where %s))', earlier.relid::regclass, (
                select string_agg(format(
                    $sql$encode(sha256(convert_to(%L || %I::text, 'UTF8')), 'hex') = any(%L)$sql$, salt, name,
                    array(select jsonb_array_elements_text(earlier.task -> 'digests'))
                ), ' or ')
                from unnest(pg_temp.text_columns(earlier.relid)) as name
            )
        )) = 'true' then
            tasks := tasks || jsonb_build_array(earlier.task);
        end if;
    end loop;
    return tasks;
end
$$;

-- Erases the person. `typed` is the key as somebody wrote it. Returns what was changed and what is left to do, or why
-- nothing was done (`refused`: the caller rolls back).
create or replace function pg_temp.erase(plan jsonb, typed text, run_id text)
returns jsonb
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
declare
    rels jsonb := (select jsonb_agg(to_jsonb(known)) from pg_temp.relations(plan) as known);
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
    rows bigint;
    changed jsonb := '{}';
    tasks jsonb := '[]';
begin
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
        return jsonb_build_object('refused', 'place');
    end if;
    begin
        key := case when plan ->> 'is_folded' = 'true' then lower(typed) else pg_temp.canonical(typed, home.atttypid) end;
    exception when data_exception then
        return jsonb_build_object('refused', 'spelling', 'type', home.type);
    end;
    forms := array[key];
    for rel in
        select * from jsonb_to_recordset(rels) as known (relid oid, role text, is_raw boolean, key name)
        where known.role = 'place' and known.key is not null
        order by known.is_raw desc
    loop
        condition := case
            when plan ->> 'is_folded' = 'true' then format('lower(%I::text) = %L', rel.key, key)
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
        'on conflict do nothing returning 1) select to_jsonb(exists (select from added))', plan ->> 'kind', hash, salt
    ));
    if is_new and not is_known then
        return jsonb_build_object('refused', 'nobody');
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
    tasks := tasks || pg_temp.tasks_left(rels, hash, salt) || (
        select jsonb_agg(jsonb_build_object('text', standing)) from jsonb_array_elements_text(plan -> 'standing') as standing
    );
    perform pg_temp.as_owner('ops.erasures'::regclass, format(
        'insert into ops.erasures (person_kind, key_hash, run_id, changed_rows, open_tasks) values (%L, %L, %L, %L, %L)',
        plan ->> 'kind', hash, run_id, changed, tasks
    ));
    return jsonb_build_object(
        'key_hash', hash, 'was_suppressed', not is_new, 'changed', changed, 'tasks', tasks,
        -- Statistics of the planner hold values; those of earlier calls that were killed, too.
        'analyze', (
            select jsonb_agg(distinct known.relid::regclass::text)
            from jsonb_to_recordset(rels) as known (relid oid, label text, role text, key name)
            where changed ? known.label or (known.role in ('place', 'below') and known.key is not null)
        )
    );
end
$$;
