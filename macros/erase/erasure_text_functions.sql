{% macro erasure_text_functions() %}
-- Texts of a person: which columns hold texts, what to look for, and the rows where it is found.

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
{% endmacro %}
