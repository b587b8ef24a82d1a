"""What tables look like, read from the catalog for all of them at once, and which type each column gets in raw.

raw never depends on the source's catalog: built-in types (and arrays of them) stay as they are, a domain becomes its
base type, everything else becomes text. docs/decisions/0008 says which and why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import psycopg2.errors
from psycopg2.extensions import cursor as PgCursor

Name = tuple[str, str]

# `pieces` is everything whose rows a table has: itself, partitions, children, and what a view reads. A piece that is
# rewritten, emptied, swapped or made again has another oid or another filenode; a view has its definition instead.
# Nothing here waits for a locked table but the function that measures one, which leaves those out that it can see.
_RELATIONS = """
with recursive
wanted as (
    select named.number, pg_class.oid, pg_class.oid as piece
    -- As names, which PostgreSQL cuts at 63 bytes.
    from unnest(%(schemas)s::name[], %(tables)s::name[]) with ordinality
        as named (schema_name, table_name, number)
    inner join pg_namespace on named.schema_name = pg_namespace.nspname
    inner join pg_class
        on pg_namespace.oid = pg_class.relnamespace and named.table_name = pg_class.relname
    where pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
),
pieces as (
    select oid, piece from wanted
    union
    select pieces.oid, beneath.oid
    from pieces
    cross join lateral (
        select pg_inherits.inhrelid as oid
        from pg_inherits
        where pg_inherits.inhparent = pieces.piece
        union all
        select pg_depend.refobjid
        from pg_rewrite
        inner join pg_class as self on pg_rewrite.ev_class = self.oid and self.relkind = 'v'
        inner join pg_depend
            on pg_rewrite.oid = pg_depend.objid and pg_depend.classid = 'pg_rewrite'::regclass
            and pg_depend.refclassid = 'pg_class'::regclass and pg_depend.refobjid <> self.oid
        where pg_rewrite.ev_class = pieces.piece
    ) as beneath
),
locked as materialized (
    select distinct relation
    from pg_locks
    where locktype = 'relation' and mode = 'AccessExclusiveLock' and pid <> pg_backend_pid()
        and %(is_sized)s
),
described as (
    select
        pieces.oid, leaf.oid as piece, leaf.relkind,
        case leaf.relkind
            when 'v' then (
                select md5(pg_rewrite.ev_action::text) from pg_rewrite
                where pg_rewrite.ev_class = leaf.oid and pg_rewrite.rulename = '_RETURN'
            )
            when 'f' then (
                select md5(row(pg_foreign_table.ftoptions, pg_foreign_server.oid, pg_foreign_server.srvoptions)::text)
                from pg_foreign_table
                inner join pg_foreign_server on pg_foreign_table.ftserver = pg_foreign_server.oid
                where pg_foreign_table.ftrelid = leaf.oid
            )
            else pg_relation_filenode(leaf.oid)::text
        end as filenode,
        greatest(leaf.reltuples, 0)::bigint as row_count,
        case
            when leaf.relkind not in ('r', 'm', 'p') then 0
            when %(is_sized)s and leaf.oid not in (select relation from locked)
                then coalesce(pg_total_relation_size(leaf.oid), 0)
            else leaf.relpages::bigint * current_setting('block_size')::bigint
        end as bytes
    from pieces
    inner join pg_class as leaf on pieces.piece = leaf.oid
),
summed as (
    select
        oid,
        case
            when count(*) = 1 then min(filenode)
            else md5(string_agg(piece::text || ' ' || coalesce(filenode, ''), ',' order by piece))
        end as storage,
        sum(row_count) filter (where relkind <> 'v')::bigint as row_count,
        sum(bytes) filter (where relkind <> 'v')::bigint as bytes
    from described
    group by oid
)
select
    wanted.number - 1, pg_class.oid::bigint,
    case pg_class.relkind
        when 'p' then 'partitioned table' when 'v' then 'view'
        when 'm' then 'materialized view' when 'f' then 'foreign table' else 'table'
    end,
    array(
        select pg_attribute.attname::text
        from pg_index
        cross join lateral unnest(pg_index.indkey) with ordinality as keys (attnum, position)
        inner join pg_attribute
            on pg_index.indrelid = pg_attribute.attrelid and keys.attnum = pg_attribute.attnum
        where pg_index.indrelid = pg_class.oid and pg_index.indisprimary
            and keys.position <= pg_index.indnkeyatts
        order by keys.position
    ),
    coalesce(
        (
            select jsonb_agg(
                (
                    select jsonb_agg(pg_attribute.attname)
                    from pg_attribute
                    where pg_attribute.attrelid = pg_index.indrelid
                        and pg_attribute.attnum = any((pg_index.indkey::int2[])[:pg_index.indnkeyatts - 1])
                )
            )
            from pg_index
            where pg_index.indrelid = pg_class.oid and pg_index.indisunique and pg_index.indisvalid
                and pg_index.indpred is null and pg_index.indexprs is null
        ),
        '[]'
    ),
    row_security_active(pg_class.oid),
    pg_class.relispopulated,
    coalesce(summed.storage, ''),
    case pg_class.relkind when 'v' then 0 else coalesce(summed.row_count, 0) end,
    case pg_class.relkind when 'v' then 0 else coalesce(summed.bytes, 0) end
from wanted
inner join summed on wanted.oid = summed.oid
inner join pg_class on wanted.oid = pg_class.oid
"""

# An array is a type that its element names as such: name, point and others have a typelem too.
_COLUMNS = """
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
"""

# What values are made from besides the rows: labels of enums and attributes of composites, at any depth, and the
# expression of a generated column. By attnum and what it is, so that a label that was added is a key of its own.
_MADE_FROM = """
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
"""

_ELSEWHERE = """
select pg_namespace.nspname
from pg_class
inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
where pg_class.relname = %s and pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
    and pg_namespace.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
order by 1
"""


@dataclass(frozen=True)
class Erased:
    """People whose values are read as nulls: the source's column with their key, and salted SHA-256 hashes of keys.

    `forms` are the expressions, of the column `{}`, whose text is hashed.
    """

    person_column: str
    salt: str
    hashes: tuple[str, ...]
    forms: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """A column: its name, its type in raw, and whether the source must cast to get that type.

    `number` is its attnum, which a rename leaves alone; `fills_old_rows`: rows older than the column have a value too.
    `refuses_infinity`: the warehouse is too old for the infinite intervals that the source may hold. `erased`: whose
    values are left out.
    """

    name: str
    raw_type: str
    is_cast: bool = False
    is_not_null: bool = False
    number: int = 0
    fills_old_rows: bool = False
    refuses_infinity: bool = False
    erased: Erased | None = None


@dataclass(frozen=True)
class Table:
    """A table as the catalog knows it. `rows` is the planner's estimate, `size_bytes` is on disk.

    `kind` is the word for what it is (table, view, …). `is_filtered` says that row-level security would hide rows from
    this session; `is_filled` is false for a materialized view that was never refreshed. `storage` changes with the
    files that hold the rows, or with a view's definition. `made_from` is what else makes values: enum labels,
    composite attributes, generated expressions, each by the column's number and what it is. `unique_keys` are what its
    own indexes keep unique, not what those of its children do.
    """

    oid: int
    kind: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    unique_keys: Sequence[Sequence[str]]
    is_filtered: bool
    is_filled: bool
    storage: str
    rows: int
    size_bytes: int
    made_from: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the column names in order."""
        return tuple(column.name for column in self.columns)

    def vouches_for(self, key: Sequence[str]) -> bool:
        """Return whether PostgreSQL itself keeps `key` unique in this table, and without nulls."""
        # No column of a view, a foreign table or an inheritance parent counts as not null.
        not_null = {column.name for column in self.columns if column.is_not_null}
        return not_null.issuperset(key) and any(set(key).issuperset(u) for u in self.unique_keys)

    def type_of(self, name: str) -> str:
        """Return the raw type of column `name`. Raises KeyError if there is none."""
        return {column.name: column.raw_type for column in self.columns}[name]


def read_tables(cursor: PgCursor, names: Sequence[Name]) -> dict[Name, Table]:
    """Return those of the tables (and views), each a schema and a name, that are there. Three queries, however many."""
    wanted = {
        "schemas": [schema for schema, _ in names],
        "tables": [table for _, table in names],
    }
    cursor.execute("savepoint catalog")
    try:
        cursor.execute(_RELATIONS, wanted | {"is_sized": True})
    except psycopg2.errors.LockNotAvailable:  # somebody locked one just now: measure none
        cursor.execute("rollback to savepoint catalog")
        cursor.execute(_RELATIONS, wanted | {"is_sized": False})
    relations = cursor.fetchall()
    cursor.execute("release savepoint catalog")
    cursor.execute(_COLUMNS, {"oids": [row[1] for row in relations]})
    columns: Mapping[int, list[Column]] = defaultdict(list)
    for oid, *column in cursor.fetchall():
        columns[oid].append(Column(*column))
    cursor.execute(_MADE_FROM, {"oids": [row[1] for row in relations]})
    made_from: dict[int, dict[str, str]] = dict(cursor.fetchall())
    return {
        names[at]: replace(
            Table(oid, kind, tuple(columns[oid]), tuple(key), *rest),
            made_from=made_from.get(oid, {}),
        )
        for at, oid, kind, key, *rest in relations
    }


def read_table(cursor: PgCursor, schema: str, table: str) -> Table | None:
    """Return the table (or view) `schema.table`, or None if there is none."""
    return read_tables(cursor, [(schema, table)]).get((schema, table))


def schemas_with(cursor: PgCursor, table: str) -> tuple[str, ...]:
    """Return the schemas that have a table (or view) of that name."""
    cursor.execute(_ELSEWHERE, (table,))
    return tuple(row[0] for row in cursor.fetchall())
