{% macro erasure_search_functions() %}
-- Looking for the person where the YAML does not say that they are, and what is left to do there.

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
{% endmacro %}
