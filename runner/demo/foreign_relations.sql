-- Up to three tables, views, sequences or types that are neither the system's nor an extension's.
select found.name
from (
    select
        pg_class.oid,
        'pg_class'::regclass as catalog,
        pg_class.oid::regclass::text as name,
        pg_class.relnamespace as namespace
    from pg_class
    where pg_class.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all
    select
        pg_type.oid,
        'pg_type'::regclass as catalog,
        pg_type.oid::regtype::text as name,
        pg_type.typnamespace as namespace
    from pg_type
    where pg_type.typtype in ('e', 'd')
) as found
inner join pg_namespace
    on found.namespace = pg_namespace.oid
where
    pg_namespace.nspname <> 'information_schema'
    and pg_namespace.nspname not like 'pg\_%'
    and not exists (
        select 1
        from pg_depend
        where
            pg_depend.classid = found.catalog
            and pg_depend.objid = found.oid
            and pg_depend.deptype = 'e'
    )
order by found.name
limit 3;
