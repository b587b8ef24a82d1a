-- An array is a type that its element names as such: name, point and others have a typelem too.
with recursive
types as not materialized (
    select
        pg_type.*,
        pg_type.typelem <> 0 and (
            select element.typarray = pg_type.oid from pg_type as element
            where element.oid = pg_type.typelem
        ) as is_array
    from pg_type
),
beneath as (
    select inhparent as root, inhrelid as piece from pg_inherits
    where inhparent = any(%(oids)s::bigint[]::oid[])
    union
    select beneath.root, pg_inherits.inhrelid
    from beneath
    inner join pg_inherits on beneath.piece = pg_inherits.inhparent
),
-- Partitions and children know themselves what their old rows have; a child may have had the column before, and what a
-- foreign server has, nobody knows.
filled as (
    select beneath.root, pg_attribute.attname
    from beneath
    inner join pg_class on beneath.piece = pg_class.oid
    inner join pg_attribute on pg_class.oid = pg_attribute.attrelid
    where pg_attribute.atthasmissing or pg_attribute.attislocal or pg_class.relkind = 'f'
),
resolved as (
    select
        attrelid, attnum, attname, atttypid as type_oid, atttypmod as type_mod,
        false as in_array, false as in_domain
    from pg_attribute
    where attrelid = any(%(oids)s::bigint[]::oid[]) and attnum > 0 and not attisdropped
    union all
    -- One step down: a domain gives way to its base type, an array to its element.
    select
        resolved.attrelid, resolved.attnum, resolved.attname,
        case when types.is_array then types.typelem else types.typbasetype end,
        case when types.is_array then resolved.type_mod else types.typtypmod end,
        resolved.in_array or types.is_array,
        resolved.in_domain or not types.is_array
    from resolved
    inner join types on resolved.type_oid = types.oid
    where types.typtype = 'd' or (types.is_array and not resolved.in_array)
),
-- Types that another server understands. Category Z is PostgreSQL's own (pg_node_tree and such: it sends them, but
-- takes them from nobody); reg* and aclitem are numbers that mean something in one catalog only; and an
-- empty tsquery or vector it sends in a form that it refuses itself.
leaves as (
    select
        resolved.*,
        types.typnamespace = 'pg_catalog'::regnamespace and types.typtype in ('b', 'r', 'm')
            and types.typsend <> 0 and types.typreceive <> 0 and not types.is_array
            and types.typname not like 'reg%%'
            and types.typname not in ('tsquery', 'int2vector', 'oidvector')
            and (types.typcategory <> 'Z' or types.typname = 'char') as is_known
    from resolved
    inner join types on resolved.type_oid = types.oid
    where types.typtype <> 'd' and not (types.is_array and not resolved.in_array)
)
select
    leaves.attrelid::bigint,
    leaves.attname,
    case when leaves.is_known then format_type(leaves.type_oid, leaves.type_mod) else 'text' end
        || case when leaves.in_array then '[]' else '' end,
    leaves.in_domain or not leaves.is_known,
    -- Only where PostgreSQL vouches for every row: a foreign table's NOT NULL is a claim, children of a table may
    -- lack the parent's, and one that is NOT VALID says nothing of old rows.
    pg_attribute.attnotnull and pg_class.relkind in ('r', 'p')
        and not (pg_class.relkind = 'r' and pg_class.relhassubclass)
        and not exists (
            select from pg_constraint
            where pg_constraint.conrelid = pg_class.oid and pg_constraint.contype = 'n'
                and pg_constraint.conkey = array[leaves.attnum]
                and not pg_constraint.convalidated
        ),
    leaves.attnum::integer,
    -- A column that came with a value for old rows, or that is computed from them.
    pg_attribute.atthasmissing or pg_attribute.attgenerated <> '' or pg_class.relkind = 'f'
        or (leaves.attrelid, leaves.attname) in (select filled.root, filled.attname from filled)
from leaves
inner join pg_class on leaves.attrelid = pg_class.oid
inner join pg_attribute
    on leaves.attrelid = pg_attribute.attrelid and leaves.attnum = pg_attribute.attnum
order by leaves.attrelid, leaves.attnum
