{% macro erasure_key_functions() %}
-- A person's key: the one spelling of it, and the condition for rows that have it.

-- The key that this session is about, in hexadecimal: it travels in a setting, so that no statement shows it.
create or replace function pg_temp.person_key()
returns text
language sql stable
set search_path to pg_catalog, pg_temp
as $$
    select convert_from(decode(current_setting('haven.person_key', true), 'hex'), 'UTF8')
$$;

-- The one spelling of a key, by its type; the loader writes the source's the same way (runner/load/suppression.py).
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

-- The condition for the person's rows; null where there is no such column, or it can hold no such key. A column of text
-- may have the key in each of its `forms` in raw (1.50 of a numeric); the first of them is the canonical one.
create or replace function pg_temp.mine(relation oid, key name, forms text[])
returns text
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
declare
    column_type oid := (select atttypid from pg_attribute where attrelid = relation and attname = key);
begin
    if column_type is null then
        return null;
    end if;
    if (select typcategory = 'S' from pg_type where oid = column_type) then
        return format('%I = any(%L)', key, forms);
    end if;
    perform pg_temp.canonical(forms[1], column_type);
    return format('%I = %L', key, forms[1]);
exception when data_exception then
    return null;
end
$$;
{% endmacro %}
