"""What a table looks like, read from PostgreSQL's catalog, and which type each column gets in raw.

raw never depends on the source's catalog: built-in types (and arrays of them) stay as they are, a domain becomes its
base type, everything else (enums, composites, extension types, object identifiers) becomes text.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2.extensions import cursor as PgCursor

_COLUMNS = """
with recursive
relation as (
    select pg_class.oid
    from pg_class
    inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
    where pg_namespace.nspname = %(schema)s and pg_class.relname = %(table)s
        and pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
),
columns as (
    select
        pg_attribute.attnum, pg_attribute.attname,
        case when type.typcategory = 'A' and type.typelem <> 0 then element.oid
            else type.oid end as type_oid,
        type.typcategory = 'A' and type.typelem <> 0 as is_array,
        pg_attribute.atttypmod as type_mod
    from relation
    inner join pg_attribute on relation.oid = pg_attribute.attrelid
    inner join pg_type as type on pg_attribute.atttypid = type.oid
    left join pg_type as element on type.typelem = element.oid
    where pg_attribute.attnum > 0 and not pg_attribute.attisdropped
),
resolved as (
    select attnum, attname, type_oid, is_array, type_mod, false as is_domain from columns
    union all
    select
        resolved.attnum, resolved.attname, domain.typbasetype,
        resolved.is_array, domain.typtypmod, true
    from resolved
    inner join pg_type as domain on resolved.type_oid = domain.oid and domain.typtype = 'd'
)
select
    resolved.attname,
    case
        when pg_namespace.nspname = 'pg_catalog' and type.typtype in ('b', 'r', 'm')
            and type.typsend <> 0 and type.typname not like 'reg%%'
            then format_type(resolved.type_oid, resolved.type_mod)
        else 'text'
    end || case when resolved.is_array then '[]' else '' end as raw_type,
    resolved.is_domain or pg_namespace.nspname <> 'pg_catalog' or type.typsend = 0
        or type.typname like 'reg%%' as is_cast
from resolved
inner join pg_type as type on resolved.type_oid = type.oid and type.typtype <> 'd'
inner join pg_namespace on type.typnamespace = pg_namespace.oid
order by resolved.attnum
"""

_PRIMARY_KEY = """
select pg_attribute.attname
from pg_index
inner join pg_class on pg_index.indrelid = pg_class.oid
inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
cross join lateral unnest(pg_index.indkey) with ordinality as keys (attnum, position)
inner join pg_attribute
    on pg_class.oid = pg_attribute.attrelid and keys.attnum = pg_attribute.attnum
where pg_namespace.nspname = %(schema)s and pg_class.relname = %(table)s and pg_index.indisprimary
order by keys.position
"""

_SIZE = """
select greatest(pg_class.reltuples, 0)::bigint, pg_total_relation_size(pg_class.oid)
from pg_class
inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
where pg_namespace.nspname = %(schema)s and pg_class.relname = %(table)s
"""


@dataclass(frozen=True)
class Column:
    """A column: its name, its type in raw, and whether the source must cast to get that type."""

    name: str
    raw_type: str
    is_cast: bool = False


@dataclass(frozen=True)
class Table:
    """A table as the catalog knows it. `rows` is the planner's estimate, `size_bytes` is on disk."""

    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
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
    names = {"schema": schema, "table": table}
    cursor.execute(_SIZE, names)
    size = cursor.fetchone()
    if size is None:
        return None
    cursor.execute(_COLUMNS, names)
    columns = tuple(Column(*row) for row in cursor.fetchall())
    cursor.execute(_PRIMARY_KEY, names)
    key = tuple(row[0] for row in cursor.fetchall())
    return Table(columns=columns, primary_key=key, rows=size[0], size_bytes=size[1])
