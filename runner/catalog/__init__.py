"""What tables look like, read from the catalog for all of them at once, and which type each column gets in raw.

raw never depends on the source's catalog: built-in types (and arrays of them) stay as they are, a domain becomes its
base type, everything else becomes text. docs/decisions/0008 says which and why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources

import psycopg2.errors
from psycopg2.extensions import cursor as PgCursor

Name = tuple[str, str]


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


@cache
def _query(name: str) -> str:
    return resources.files(__name__).joinpath(f"{name}.sql").read_text("utf-8")


def read_tables(cursor: PgCursor, names: Sequence[Name]) -> dict[Name, Table]:
    """Return those of the tables (and views), each a schema and a name, that are there. Three queries, however many."""
    wanted = {"schemas": [schema for schema, _ in names], "tables": [table for _, table in names]}
    cursor.execute("savepoint catalog")
    try:
        cursor.execute(_query("relations"), wanted | {"is_sized": True})
    except psycopg2.errors.LockNotAvailable:  # somebody locked one just now: measure none
        cursor.execute("rollback to savepoint catalog")
        cursor.execute(_query("relations"), wanted | {"is_sized": False})
    relations = cursor.fetchall()
    cursor.execute("release savepoint catalog")
    cursor.execute(_query("columns"), {"oids": [row[1] for row in relations]})
    columns: Mapping[int, list[Column]] = defaultdict(list)
    for oid, *column in cursor.fetchall():
        columns[oid].append(Column(*column))
    cursor.execute(_query("made_from"), {"oids": [row[1] for row in relations]})
    made_from: dict[int, dict[str, str]] = dict(cursor.fetchall())
    return {
        names[at]: replace(Table(oid, kind, tuple(columns[oid]), tuple(key), *rest), made_from=made_from.get(oid, {}))
        for at, oid, kind, key, *rest in relations
    }


def read_table(cursor: PgCursor, schema: str, table: str) -> Table | None:
    """Return the table (or view) `schema.table`, or None if there is none."""
    return read_tables(cursor, [(schema, table)]).get((schema, table))


def schemas_with(cursor: PgCursor, table: str) -> tuple[str, ...]:
    """Return the schemas that have a table (or view) of that name."""
    cursor.execute(_query("schemas_with"), (table,))
    return tuple(row[0] for row in cursor.fetchall())
