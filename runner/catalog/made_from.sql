-- What values are made from besides the rows: labels of enums and attributes of composites, at any depth, and the
-- expression of a generated column. By attnum and what it is, so that a label that was added is a key of its own.
with recursive
types as (
    select
        pg_attribute.attrelid, pg_attribute.attnum, pg_attribute.atttypid as type_oid
    from pg_attribute
    where pg_attribute.attrelid = any(%(oids)s::bigint[]::oid[]) and pg_attribute.attnum > 0
        and not pg_attribute.attisdropped
    union
    select types.attrelid, types.attnum, beneath.type_oid
    from types
    inner join pg_type on types.type_oid = pg_type.oid
    cross join lateral (
        select unnest(array[pg_type.typelem, pg_type.typbasetype]) as type_oid
        union all
        select pg_range.rngsubtype from pg_range
        where pg_type.oid in (pg_range.rngtypid, pg_range.rngmultitypid)
        union all
        select pg_attribute.atttypid from pg_attribute
        where pg_type.typtype = 'c' and pg_attribute.attrelid = pg_type.typrelid
            and pg_attribute.attnum > 0 and not pg_attribute.attisdropped
    ) as beneath
    where pg_type.oid >= 16384 -- PostgreSQL's own types never change
        and beneath.type_oid <> 0
),
made (attrelid, attnum, part, value) as (
    select types.attrelid, types.attnum, 'label ' || pg_enum.oid, pg_enum.enumlabel::text
    from types
    inner join pg_enum on types.type_oid = pg_enum.enumtypid
    union all
    select
        types.attrelid, types.attnum, 'attributes of ' || types.type_oid,
        string_agg(pg_attribute.attnum || ' ' || pg_attribute.atttypid, ', ' order by pg_attribute.attnum)
    from types
    inner join pg_type on types.type_oid = pg_type.oid and pg_type.typtype = 'c'
    inner join pg_attribute on pg_type.typrelid = pg_attribute.attrelid
    where pg_type.oid >= 16384 and pg_attribute.attnum > 0 and not pg_attribute.attisdropped
    group by types.attrelid, types.attnum, types.type_oid
    union all
    select pg_attrdef.adrelid, pg_attrdef.adnum, 'expression', md5(pg_attrdef.adbin::text)
    from pg_attrdef
    inner join pg_attribute
        on pg_attrdef.adrelid = pg_attribute.attrelid and pg_attrdef.adnum = pg_attribute.attnum
    where pg_attrdef.adrelid = any(%(oids)s::bigint[]::oid[]) and pg_attribute.attgenerated <> ''
)
select attrelid::bigint, jsonb_object_agg(attnum || ' ' || part, value) from made group by attrelid
