-- For `haven doctor`: what keeps each table of the contract (a JSON array, the one parameter) from being read, null if
-- nothing does. The row without a label counts the tables there are.
with wanted as (
    select * from jsonb_to_recordset(%s::jsonb) as wanted (
        label text, schema_name text, table_name text, needed jsonb, chosen jsonb, left_out jsonb
    )
),

found as (
    select
        wanted.*,
        pg_namespace.oid as schema_id,
        pg_class.oid as table_id,
        pg_class.relkind,
        pg_class.relispopulated
    from wanted
    left join pg_namespace on wanted.schema_name = pg_namespace.nspname
    left join pg_class
        on pg_namespace.oid = pg_class.relnamespace
        and wanted.table_name = pg_class.relname
        and pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
),

judged as (
    select
        found.*,
        (
            select string_agg(distinct names.name, ', ')
            from jsonb_array_elements_text(found.needed) as names (name)
            where not exists (
                select from pg_attribute
                where pg_attribute.attrelid = found.table_id and pg_attribute.attname = names.name
                    and pg_attribute.attnum > 0 and not pg_attribute.attisdropped
            )
        ) as missing_columns,
        (
            select string_agg(pg_attribute.attname, ', ' order by pg_attribute.attnum)
            from pg_attribute
            where pg_attribute.attrelid = found.table_id and pg_attribute.attnum > 0
                and not pg_attribute.attisdropped
                and (found.chosen = '[]' or found.chosen ? pg_attribute.attname::text)
                and not found.left_out ? pg_attribute.attname::text
                and not has_column_privilege(found.table_id, pg_attribute.attnum, 'select')
        ) as shut_columns
    from found
)

select
    label,
    case
        when schema_id is null
            then format('is not there: the source has no schema %%s', schema_name)
        when table_id is null
            then format('is not there: the source has no table %%s.%%s', schema_name, table_name)
        when relkind = 'm' and not relispopulated
            then format('is a materialized view without rows: refresh materialized view %%I.%%I', schema_name, table_name)
        when missing_columns is not null
            then format('lacks the columns that the YAML names: %%s', missing_columns)
        when not has_schema_privilege(schema_id, 'usage')
            then format('cannot be read: grant usage on schema %%I to %%I', schema_name, current_user)
        when shut_columns is not null and not has_any_column_privilege(table_id, 'select')
            then format('cannot be read: grant select on %%I.%%I to %%I', schema_name, table_name, current_user)
        when shut_columns is not null
            then format('has columns that cannot be read: %%s; grant select, or leave them out with `exclude`', shut_columns)
    end as problem
from judged
union all
select
    null,
    count(*)::text
from pg_class
inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
where pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
    and pg_namespace.nspname <> 'information_schema'
    and pg_namespace.nspname !~ '^pg_'
