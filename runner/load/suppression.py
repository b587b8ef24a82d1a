"""The list of erased people: salted hashes of their keys, which the query on the source compares with its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from psycopg2.extensions import cursor as PgCursor

from runner.catalog import Column, Erased
from runner.contract import Contract, TableSpec
from runner.errors import ConfigError
from runner.personal_data import personal_kind

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

# What must not be loaded: people whose kind no table has, or who were erased in one of these tables as another kind.
_ASTRAY = """
select suppressions.person_kind, count(*)
from ops.suppressions
where suppressions.person_kind <> all(%s) or exists (
    select from unnest(%s::text[], %s::text[]) as loaded (person_kind, place)
    inner join ops.erasures on erasures.changed_rows ? loaded.place
    where erasures.person_kind = suppressions.person_kind and erasures.key_hash = suppressions.key_hash
        and loaded.person_kind is distinct from suppressions.person_kind
)
group by suppressions.person_kind
order by suppressions.person_kind
limit 1
"""
# All names that columns have or had. `also` are those that the source has changed since the last load.
_NAMES = """
with recursive renamed as (
    select column_name, old_name
    from ops.schema_changes
    where change = 'renamed' and raw_schema = %(raw_schema)s and raw_table = %(raw_table)s
    union
    select new_name, old_name from unnest(%(new)s::text[], %(old)s::text[]) as also (new_name, old_name)
),
names as (
    select column_name, column_name as name from unnest(%(columns)s::text[]) as column_name
    union
    select names.column_name, renamed.old_name from names inner join renamed on names.name = renamed.column_name
)
select column_name, name from names
"""


def check_people(contract: Contract, warehouse: PgCursor) -> None:
    """Make sure that the YAML still says which rows are those of erased people.

    Raises ConfigError if it does not: a load would bring them back. Raises psycopg2.Error.
    """
    if contract.people is None:
        return
    kinds = [spec.person[0] if spec.person else None for spec in contract.tables]
    places = [f"{spec.raw_schema}.{spec.raw_table}" for spec in contract.tables]
    warehouse.execute(_ASTRAY, (list(contract.people), kinds, places))
    for kind, count in warehouse.fetchall():
        raise ConfigError(
            f"ops.suppressions has {count} erased people of kind {kind}, and the sources YAML has no longer "
            f"`meta.person: {kind}` where it had it, so a load would bring them back: nothing was moved. Put it back; "
            "if the kind has another name now, run in the warehouse `update ops.suppressions set person_kind = "
            f"'<new name>' where person_kind = '{kind}'`"
        )


def folds_case(source: PgCursor, spec: TableSpec, column: str) -> bool:
    """Return whether the source takes two spellings of this column for the same key. Raises psycopg2.Error."""
    source.execute(_FOLDS_CASE, (spec.source_schema, spec.source_table, column))
    return source.fetchone() == (True,)


def suppressed(
    columns: Sequence[Column],
    spec: TableSpec,
    key: Sequence[str],
    renamed: Mapping[str, str],
    warehouse: PgCursor,
    source: PgCursor,
) -> tuple[Column, ...]:
    """Return the table's columns, those of erased people to be read as nulls; `renamed` are new names by old ones.

    Personal are columns by the YAML, or by any name that they have or had. Key and watermark are never among them: they
    decide what is loaded.

    Raises psycopg2.Error.
    """
    if spec.person is None:
        return tuple(columns)
    kind, person_column, listed = spec.person
    warehouse.execute(
        "select min(salt), array_agg(key_hash order by key_hash) from ops.suppressions "
        "where person_kind = %s having count(*) > 0",
        (kind,),
    )
    row = warehouse.fetchone()
    if row is None:
        return tuple(columns)
    erased = Erased(person_column, row[0], tuple(row[1]), _forms(columns, spec, person_column, source))
    kept = {*key, spec.watermark, person_column, *spec.kept}
    warehouse.execute(
        _NAMES,
        {
            "raw_schema": spec.raw_schema,
            "raw_table": spec.raw_table,
            "old": list(renamed),
            "new": list(renamed.values()),
            "columns": [column.name for column in columns if column.name not in kept],
        },
    )
    names = {
        column
        for column, name in warehouse.fetchall()
        if name not in spec.kept and (name in listed or personal_kind(name))
    }
    return tuple(replace(c, erased=erased, is_not_null=False) if c.name in names else c for c in columns)


def _forms(columns: Sequence[Column], spec: TableSpec, name: str, source: PgCursor) -> tuple[str, ...]:
    """Return how a key is written before it is hashed: as pg_temp.canonical (macros/erase) does, and as it is.

    The second form is that of people who were erased before there was one spelling for a key.
    """
    if any(column.name == name and column.raw_type.startswith("numeric") for column in columns):
        return ("trim_scale({}::numeric)::text", "{}::text")
    if folds_case(source, spec, name):
        return ("lower({}::text)", "{}::text")
    return ("{}::text",)
