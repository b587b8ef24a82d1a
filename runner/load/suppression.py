"""The list of erased people: salted hashes of their keys, which the query on the source compares with its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from psycopg2.extensions import cursor as PgCursor

from runner.catalog import Column, Erased
from runner.contract import TableSpec

# citext and collations that take two spellings for one, also through domains.
_FOLDS_CASE = """
with recursive types as (
    select pg_attribute.atttypid as type_oid, pg_attribute.attcollation as collation_oid
    from pg_attribute
    inner join pg_class on pg_attribute.attrelid = pg_class.oid
    inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
    where pg_namespace.nspname = %s and pg_class.relname = %s and pg_attribute.attname = %s
    union all
    select pg_type.typbasetype, types.collation_oid
    from types
    inner join pg_type on types.type_oid = pg_type.oid
    where pg_type.typtype = 'd'
)
select exists (
    select from types
    inner join pg_type on types.type_oid = pg_type.oid
    left join pg_collation on types.collation_oid = pg_collation.oid
    where pg_type.typname = 'citext' or not pg_collation.collisdeterministic
)
"""


def folds_case(source: PgCursor, spec: TableSpec, column: str) -> bool:
    """Return whether the source takes two spellings of this column for the same key. Raises psycopg2.Error."""
    source.execute(_FOLDS_CASE, (spec.source_schema, spec.source_table, column))
    return source.fetchone() == (True,)


def suppressed(
    columns: Sequence[Column], spec: TableSpec, key: Sequence[str], warehouse: PgCursor, source: PgCursor
) -> tuple[Column, ...]:
    """Return the table's columns, those of erased people to be read as nulls. Raises psycopg2.Error.

    Key and watermark are never among them: they decide what is loaded.
    """
    if spec.person is None:
        return tuple(columns)
    kind, person_column, names = spec.person
    warehouse.execute(
        "select min(salt), array_agg(key_hash order by key_hash) from ops.suppressions "
        "where person_kind = %s having count(*) > 0",
        (kind,),
    )
    row = warehouse.fetchone()
    if row is None:
        return tuple(columns)
    erased = Erased(person_column, row[0], tuple(row[1]), _forms(columns, spec, person_column, source))
    kept = {*key, spec.watermark, person_column}
    return tuple(
        replace(c, erased=erased, is_not_null=False) if c.name in names and c.name not in kept else c for c in columns
    )


def _forms(columns: Sequence[Column], spec: TableSpec, name: str, source: PgCursor) -> tuple[str, ...]:
    """Return how a key is written before it is hashed: as pg_temp.canonical (macros/erase) does, and as it is.

    The second form is that of people who were erased before there was one spelling for a key.
    """
    if any(column.name == name and column.raw_type.startswith("numeric") for column in columns):
        return ("trim_scale({}::numeric)::text", "{}::text")
    if folds_case(source, spec, name):
        return ("lower({}::text)", "{}::text")
    return ("{}::text",)
