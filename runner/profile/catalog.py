"""Reads from PostgreSQL's catalog what a profile needs beyond the loader: kinds, keys and statistics."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner.profile.result import Kind

_RELATION = """
select
    pg_class.oid, pg_class.relkind,
    case
        when pg_class.relkind = 'p' then (
            select coalesce(sum(pg_total_relation_size(relid)), 0)
            from pg_partition_tree(pg_class.oid)
        )
        else pg_total_relation_size(pg_class.oid)
    end::bigint as size_bytes
from pg_class
inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
where pg_namespace.nspname = %(schema)s and pg_class.relname = %(table)s
    and pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
"""

# A type can be grouped if it has an own (or a binary-coercible) B-tree operator class; ranges and enums
# always can, arrays if their elements can. All others, as json, xml, point and composites, are compared as text.
_COLUMNS = """
with recursive columns as (
    select attnum, attname, atttypid, atttypmod, attnotnull
    from pg_attribute
    where attrelid = %(oid)s and attnum > 0 and not attisdropped
),
bases as (
    select attnum, atttypid as base_oid from columns
    union all
    select bases.attnum, pg_type.typbasetype
    from bases
    inner join pg_type on bases.base_oid = pg_type.oid and pg_type.typtype = 'd'
),
typed as (
    select
        columns.attnum, columns.attname, columns.attnotnull, base.oid, base.typname, base.typcategory,
        base.typnamespace = 'pg_catalog'::regnamespace as is_built_in,
        format_type(columns.atttypid, columns.atttypmod) as type,
        format_type(base.oid, null) as base_type,
        case
            when element.typarray = base.oid
                then coalesce(nullif(element.typbasetype, 0), element.oid)
            else base.oid
        end as compared_oid
    from columns
    inner join bases on columns.attnum = bases.attnum
    inner join pg_type as base on bases.base_oid = base.oid and base.typtype <> 'd'
    left join pg_type as element on base.typelem = element.oid
)
select
    typed.attname, typed.type, typed.base_type, typed.typname, typed.typcategory, typed.is_built_in,
    not typed.attnotnull as is_nullable,
    compared.typtype in ('e', 'r', 'm') or exists (
        select from pg_opclass
        where opcdefault and opcmethod = (select oid from pg_am where amname = 'btree')
            and (
                opcintype = compared.oid
                or exists (
                    select from pg_cast
                    where castsource = compared.oid and castmethod = 'b' and castcontext = 'i'
                        and casttarget = opcintype
                )
            )
    ) as is_comparable,
    pg_stats.n_distinct, pg_stats.correlation
from typed
inner join pg_type as compared on typed.compared_oid = compared.oid
left join (
    select distinct on (attname) attname, n_distinct, correlation
    from pg_stats
    where schemaname = %(schema)s and tablename = %(table)s
    order by attname, inherited desc
) as pg_stats on typed.attname = pg_stats.attname
order by typed.attnum
"""

_KEYS = """
select array(
    select pg_attribute.attname::text
    from unnest(pg_index.indkey::smallint[]) with ordinality as keys (attnum, position)
    inner join pg_attribute
        on pg_index.indrelid = pg_attribute.attrelid and keys.attnum = pg_attribute.attnum
    where keys.position <= pg_index.indnkeyatts
    order by keys.position
) as columns
from pg_index
where pg_index.indrelid = %(oid)s and pg_index.indisunique and pg_index.indisvalid
    and pg_index.indpred is null and pg_index.indexprs is null
    and not exists (
        select from unnest(pg_index.indkey::smallint[]) with ordinality as keys (attnum, position)
        inner join pg_attribute
            on pg_index.indrelid = pg_attribute.attrelid and keys.attnum = pg_attribute.attnum
        where keys.position <= pg_index.indnkeyatts and not pg_attribute.attnotnull
    )
order by pg_index.indisprimary desc, pg_index.indexrelid
"""

_REFERENCES = """
select
    array(
        select attname::text from unnest(conkey) with ordinality as keys (attnum, position)
        inner join pg_attribute on attrelid = conrelid and pg_attribute.attnum = keys.attnum
        order by keys.position
    ) as columns,
    pg_namespace.nspname, pg_class.relname,
    array(
        select attname::text from unnest(confkey) with ordinality as keys (attnum, position)
        inner join pg_attribute on attrelid = confrelid and pg_attribute.attnum = keys.attnum
        order by keys.position
    ) as to_columns,
    convalidated
from pg_constraint
inner join pg_class on confrelid = pg_class.oid
inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
where conrelid = %(oid)s and contype = 'f'
order by conname
"""

_NUMBERS = ("int2", "int4", "int8", "numeric", "float4", "float8", "money")
_TIMES = ("date", "timestamp", "timestamptz")
_CLOCKS = ("time", "timetz", "interval")
RELATION_KINDS = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}


@dataclass(frozen=True)
class SourceColumn:
    """A column as the catalog knows it; `base_type` is the type behind its domains, without modifiers.

    `n_distinct` and `correlation` are the planner's statistics (as in pg_stats), None before an analyze.
    """

    name: str
    type: str
    base_type: str
    kind: Kind
    type_name: str
    is_nullable: bool
    is_comparable: bool
    n_distinct: float | None
    correlation: float | None

    @property
    def ref(self) -> sql.Composable:
        """Return the column of the scanned table, quoted."""
        return sql.Identifier("t", self.name)

    @property
    def value(self) -> sql.Composable:
        """Return the expression that can be compared and grouped."""
        return self.ref if self.is_comparable else sql.SQL("{}::text").format(self.ref)

    @property
    def is_whole_number(self) -> bool:
        """Return whether the type is smallint, integer or bigint."""
        return self.type_name in ("int2", "int4", "int8")


@dataclass(frozen=True)
class DeclaredReference:
    """A foreign key constraint; not validated means that old rows may break it."""

    columns: tuple[str, ...]
    to_schema: str
    to_table: str
    to_columns: tuple[str, ...]
    is_validated: bool


@dataclass(frozen=True)
class SourceTable:
    """A relation of the source. `keys` are unique and not null by an index, the primary key first."""

    schema: str
    name: str
    kind: str
    size_bytes: int
    columns: tuple[SourceColumn, ...]
    keys: tuple[tuple[str, ...], ...]
    references: tuple[DeclaredReference, ...]

    @property
    def identifier(self) -> sql.Identifier:
        """Return the quoted name."""
        return sql.Identifier(self.schema, self.name)

    def column(self, name: str) -> SourceColumn:
        """Return the column `name`. Raises KeyError if there is none."""
        return {column.name: column for column in self.columns}[name]


def read_source_table(cursor: PgCursor, schema: str, table: str) -> SourceTable | None:
    """Return the relation `schema.table`, or None if there is none."""
    names = {"schema": schema, "table": table}
    cursor.execute(_RELATION, names)
    found = cursor.fetchone()
    if found is None:
        return None
    oid, relkind, size_bytes = found
    cursor.execute(_COLUMNS, names | {"oid": oid})
    columns = tuple(_column(*row) for row in cursor.fetchall())
    cursor.execute(_KEYS, {"oid": oid})
    keys = tuple(dict.fromkeys(tuple(row[0]) for row in cursor.fetchall()))
    cursor.execute(_REFERENCES, {"oid": oid})
    references = tuple(
        DeclaredReference(tuple(row[0]), row[1], row[2], tuple(row[3]), row[4])
        for row in cursor.fetchall()
    )
    return SourceTable(
        schema, table, RELATION_KINDS[relkind], size_bytes, columns, keys, references
    )


def _column(
    name: str,
    type_: str,
    base_type: str,
    type_name: str,
    category: str,
    is_built_in: bool,
    is_nullable: bool,
    is_comparable: bool,
    n_distinct: float | None,
    correlation: float | None,
) -> SourceColumn:
    kind: Kind = "other"
    if is_built_in and type_name in _NUMBERS:
        kind = "number"
    elif is_built_in and type_name in _TIMES:
        kind = "time"
    elif is_built_in and type_name in _CLOCKS:
        kind = "clock"
    elif category == "S":
        kind = "text"
    elif category == "B":
        kind = "boolean"
    return SourceColumn(
        name, type_, base_type, kind, type_name if is_built_in else base_type, is_nullable,
        is_comparable, n_distinct, correlation,
    )  # fmt: skip
