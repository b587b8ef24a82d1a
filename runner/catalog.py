"""What a table looks like, read from PostgreSQL's catalog, and which type each column gets in raw.

raw never depends on the source's catalog: built-in types (and arrays of them) stay as they are, a domain becomes its
base type, everything else becomes text. docs/decisions/0008 says which and why.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2.extensions import cursor as PgCursor

_RELATION = """
select
    pg_class.oid,
    case pg_class.relkind
        when 'p' then 'partitioned table' when 'v' then 'view'
        when 'm' then 'materialized view' when 'f' then 'foreign table' else 'table'
    end,
    row_security_active(pg_class.oid),
    case when pg_class.relkind = 'p' then parts.rows else greatest(pg_class.reltuples, 0)::bigint end,
    case when pg_class.relkind = 'p' then parts.bytes else pg_total_relation_size(pg_class.oid) end
from pg_class
inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
cross join lateral (
    select
        coalesce(sum(greatest(leaf.reltuples, 0)), 0)::bigint as rows,
        coalesce(sum(pg_total_relation_size(leaf.oid)), 0)::bigint as bytes
    from pg_partition_tree(pg_class.oid) as tree
    inner join pg_class as leaf on tree.relid = leaf.oid
    where tree.isleaf and pg_class.relkind = 'p'
) as parts
where pg_namespace.nspname = %(schema)s and pg_class.relname = %(table)s
    and pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
"""

# An array is a type that its element names as such: name, point and others have a typelem too.
_COLUMNS = """
with recursive
types as (
    select
        pg_type.*,
        exists (
            select from pg_type as element
            where pg_type.typelem = element.oid and element.typarray = pg_type.oid
        ) as is_array
    from pg_type
),
resolved as (
    select
        attnum, attname, atttypid as type_oid, atttypmod as type_mod,
        false as in_array, false as in_domain
    from pg_attribute
    where attrelid = %(oid)s and attnum > 0 and not attisdropped
    union all
    -- One step down: a domain gives way to its base type, an array to its element.
    select
        resolved.attnum, resolved.attname,
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
        )
from leaves
inner join pg_class on pg_class.oid = %(oid)s
inner join pg_attribute
    on pg_class.oid = pg_attribute.attrelid and leaves.attnum = pg_attribute.attnum
order by leaves.attnum
"""

_PRIMARY_KEY = """
select pg_attribute.attname
from pg_index
cross join lateral unnest(pg_index.indkey) with ordinality as keys (attnum, position)
inner join pg_attribute
    on pg_index.indrelid = pg_attribute.attrelid and keys.attnum = pg_attribute.attnum
where pg_index.indrelid = %(oid)s and pg_index.indisprimary and keys.position <= pg_index.indnkeyatts
order by keys.position
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

    `refuses_infinity`: the warehouse is too old for the infinite intervals that the source may hold. `erased`: whose
    values are left out.
    """

    name: str
    raw_type: str
    is_cast: bool = False
    is_not_null: bool = False
    refuses_infinity: bool = False
    erased: Erased | None = None


@dataclass(frozen=True)
class Table:
    """A table as the catalog knows it. `rows` is the planner's estimate, `size_bytes` is on disk.

    `kind` is the word for what it is (table, view, …). `is_filtered` says that row-level security would hide rows from
    this session.
    """

    kind: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    is_filtered: bool
    rows: int
    size_bytes: int

    @property
    def names(self) -> tuple[str, ...]:
        """Return the column names in order."""
        return tuple(column.name for column in self.columns)

    def type_of(self, name: str) -> str:
        """Return the raw type of column `name`. Raises KeyError if there is none."""
        return {column.name: column.raw_type for column in self.columns}[name]


def read_table(cursor: PgCursor, schema: str, table: str) -> Table | None:
    """Return the table (or view) `schema.table`, or None if there is none."""
    cursor.execute(_RELATION, {"schema": schema, "table": table})
    relation = cursor.fetchone()
    if relation is None:
        return None
    oid, kind, is_filtered, rows, size_bytes = relation
    cursor.execute(_COLUMNS, {"oid": oid})
    columns = tuple(Column(*row) for row in cursor.fetchall())
    cursor.execute(_PRIMARY_KEY, {"oid": oid})
    key = tuple(row[0] for row in cursor.fetchall())
    return Table(kind, columns, key, is_filtered, rows, size_bytes)


def schemas_with(cursor: PgCursor, table: str) -> tuple[str, ...]:
    """Return the schemas that have a table (or view) of that name."""
    cursor.execute(_ELSEWHERE, (table,))
    return tuple(row[0] for row in cursor.fetchall())
