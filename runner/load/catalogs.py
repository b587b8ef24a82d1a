"""What both catalogs and ops say of the tables that are loaded, in a number of queries that does not grow with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import psycopg2.errors
from psycopg2.extensions import cursor as PgCursor

from runner.catalog import Column, Name, Table, read_tables
from runner.contract import TableSpec
from runner.load.drift import noted_changes
from runner.load.identity import Identity, Origin, noted_identities, read_origin
from runner.load.marks import stored_marks
from runner.load.row_filter import bare


@dataclass(frozen=True)
class Catalogs:
    """What both catalogs and ops say of all tables at once, by schema and name there.

    `marks`: the stored watermark of a table's label, and whether it is of the type that the column has now.
    `unknown_types` are the built-in types that the warehouse lacks.
    """

    origin: Origin
    source: Mapping[Name, Table]
    raw: Mapping[Name, Table]
    noted: Mapping[Name, Mapping[str, str]]
    identities: Mapping[Name, Identity]
    marks: Mapping[str, tuple[str | None, bool]]
    unknown_types: frozenset[str]


def read_catalogs(source: PgCursor, warehouse: PgCursor, specs: Sequence[TableSpec]) -> Catalogs:
    """Read catalogs and ops, in a number of queries that does not depend on the number of tables."""
    found = read_tables(source, [(s.source_schema, s.source_table) for s in specs])
    kinds = {
        spec: bare(table.type_of(spec.watermark))
        for spec in specs
        if (table := found.get((spec.source_schema, spec.source_table))) and spec.watermark in table.names
    }
    marked = list(kinds)
    types = {c.raw_type.removesuffix("[]") for t in found.values() for c in t.columns}
    return Catalogs(
        origin=read_origin(source),
        source=found,
        raw=read_tables(warehouse, [(s.raw_schema, s.raw_table) for s in specs]),
        noted=noted_changes(warehouse),
        identities=noted_identities(warehouse, specs),
        marks={
            marked[number].label: (mark, is_of_type)
            for number, mark, _, is_of_type in stored_marks(warehouse, marked, list(kinds.values()))
        },
        unknown_types=_unknown(warehouse, types),
    )


def _unknown(warehouse: PgCursor, types: set[str]) -> frozenset[str]:
    """Return those of the built-in `types` that the warehouse cannot hold: it is older, or was built without xml."""
    warehouse.execute("select name from unnest(%s::text[]) as name where to_regtype(name) is null", (list(types),))
    unknown = {name for (name,) in warehouse.fetchall()}
    if "xml" in types - unknown:
        warehouse.execute("savepoint xml")
        try:
            warehouse.execute("select '<a/>'::xml")
        except psycopg2.errors.FeatureNotSupported:
            unknown.add("xml")
            warehouse.execute("rollback to savepoint xml")
    return frozenset(unknown)


def supported(columns: Sequence[Column], seen: Catalogs) -> tuple[Column, ...]:
    """Return the columns, those of types that the warehouse lacks as text."""
    return tuple(
        replace(c, raw_type="text[]" if c.raw_type.endswith("[]") else "text", is_cast=True)
        if c.raw_type.removesuffix("[]") in seen.unknown_types
        else c
        for c in columns
    )
