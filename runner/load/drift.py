"""Schema drift: what changed in the source's columns, and what raw does about it. Nothing is ever lost silently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner import log
from runner.catalog import Column, Name, Table
from runner.contract import TableSpec
from runner.errors import DataError
from runner.load.outcome import Mode
from runner.load.statements import META_COLUMNS
from runner.load.widening import common_type, is_widening


@dataclass(frozen=True)
class Change:
    """One column's change, as ops.schema_changes keeps it. Types are raw's, None where there is none."""

    column: str
    change: str
    old_type: str | None = None
    new_type: str | None = None
    old_name: str | None = None


@dataclass(frozen=True)
class Drift:
    """How raw's columns must follow the source's.

    `added` are columns raw lacks, `widened` those whose type grew, with raw's type so far, `rebuilt` those whose type
    became another one; `nullable` lose their NOT NULL. `dropped` are gone in the source and kept in raw, `restored`
    came back; both only when that is news. `renamed` are new names by old ones; `moved` those that raw cannot follow,
    noted so that what was personal stays so. `key` is raw's new key, None if it keeps the one it has.
    """

    added: tuple[Column, ...] = ()
    widened: tuple[tuple[Column, str], ...] = ()
    rebuilt: tuple[tuple[Column, str], ...] = ()
    nullable: tuple[str, ...] = ()
    dropped: tuple[Column, ...] = ()
    restored: tuple[Column, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)
    key: tuple[str, ...] | None = None
    old_key: tuple[str, ...] = ()

    def name_in_raw(self, name: str) -> str:
        """Return the name that a column of the source has in raw until the next load."""
        return {new: old for old, new in self.renamed.items()}.get(name, name)

    @property
    def changes(self) -> list[Change]:
        """Return what is to be noted, one for each column and change."""
        gone = {column.name for column in self.dropped}
        return [
            *(Change(new, "renamed", old_name=old) for old, new in {**self.renamed, **self.moved}.items()),
            *(Change(c.name, "added", None, c.raw_type) for c in self.added),
            *(Change(c.name, "restored", c.raw_type, c.raw_type) for c in self.restored),
            *(Change(c.name, "widened", old, c.raw_type) for c, old in self.widened),
            *(Change(c.name, "rebuilt", old, c.raw_type) for c, old in self.rebuilt),
            *(Change(name, "nullable") for name in self.nullable if name not in gone),
            *(Change(c.name, "dropped", c.raw_type, None) for c in self.dropped),
            *(Change(name, "key") for name in self.key or () if name not in self.old_key),
        ]


def renamed_raw(raw: Table, renamed: Mapping[str, str]) -> Table:
    """Return the raw table as it will be once its columns have followed those that the source renamed."""
    return replace(
        raw,
        columns=tuple(replace(c, name=renamed.get(c.name, c.name)) for c in raw.columns),
        primary_key=tuple(renamed.get(name, name) for name in raw.primary_key),
    )


def fitted(columns: Sequence[Column], raw: Table | None) -> tuple[Column, ...]:
    """Return the columns in raw's types wherever those hold all values of the source's: raw never narrows.

    Where neither type holds the other's values but a third does, that is the one.
    """
    kept = {column.name: column.raw_type for column in raw.columns} if raw else {}

    def fit(column: Column) -> Column:
        ours = kept.get(column.name, column.raw_type)
        if ours == column.raw_type or is_widening(ours, column.raw_type):
            return column
        kept_type = ours if is_widening(column.raw_type, ours) else common_type(ours, column.raw_type)
        return replace(column, raw_type=kept_type, is_cast=True) if kept_type else column

    return tuple(fit(column) for column in columns)


def find_drift(
    spec: TableSpec,
    columns: tuple[Column, ...],
    key: tuple[str, ...],
    raw: Table | None,
    noted: Mapping[str, str],
    *,
    is_rebuilding: bool,
) -> Drift:
    """Compare the source's `columns`, fitted to raw, with raw's; `noted` is each column's last coming or going.

    Raises DataError for a type that changed in a way that could lose something, unless raw is rebuilt.
    """
    if raw is None:
        return Drift()
    ours = {column.name: column for column in raw.columns}
    theirs = {column.name: column for column in columns}
    changed = [(c, ours[c.name].raw_type) for c in columns if c.name in ours and c.raw_type != ours[c.name].raw_type]
    rebuilt = [(c, old) for c, old in changed if not is_widening(old, c.raw_type)]
    if rebuilt and not is_rebuilding:
        column, old = rebuilt[0]
        raise DataError(
            f"column {column.name} of {spec.label} is now {column.raw_type} but {old} in "
            f"{spec.raw_schema}.{spec.raw_table}, and not every value would survive that: run "
            f"`haven load {spec.label} --rebuild`, which makes raw's column and the views on it again, or "
            "leave it out with `exclude`"
        )
    gone = [c for c in raw.columns if c.name not in theirs and c.name not in META_COLUMNS]
    return Drift(
        added=tuple(c for c in columns if c.name not in ours),
        widened=tuple(pair for pair in changed if pair not in rebuilt),
        rebuilt=tuple(rebuilt),
        nullable=tuple(
            c.name
            for c in raw.columns
            if c.is_not_null
            and c.name not in (*key, *META_COLUMNS)
            and not (c.name in theirs and theirs[c.name].is_not_null)
        ),
        dropped=tuple(c for c in gone if noted.get(c.name) != "dropped"),
        restored=tuple(ours[c.name] for c in columns if c.name in ours and noted.get(c.name) == "dropped"),
        # A key whose values change their type is made again with them.
        key=key if raw.primary_key != key or any(c.name in key for c, _ in rebuilt) else None,
        old_key=raw.primary_key,
    )


def noted_changes(warehouse: PgCursor) -> dict[Name, dict[str, str]]:
    """Return, by schema and name of the raw table, each column's last coming or going since it was first loaded."""
    warehouse.execute(
        """
        with first_loads as (
            select raw_schema, raw_table, max(load_id) as load_id
            from ops.table_loads
            where mode = 'first' and status = 'ok'
            group by raw_schema, raw_table
        ),
        latest as (
            select distinct on (raw_schema, raw_table, column_name)
                raw_schema, raw_table, column_name, change
            from ops.schema_changes
            left join first_loads using (raw_schema, raw_table)
            where change in ('added', 'dropped', 'restored', 'renamed')
                and schema_changes.load_id > coalesce(first_loads.load_id, 0)
            order by raw_schema, raw_table, column_name, schema_change_id desc
        )
        select raw_schema, raw_table, jsonb_object_agg(column_name, change)
        from latest
        group by raw_schema, raw_table
        """
    )
    return {(schema, table): changes for schema, table, changes in warehouse.fetchall()}


def apply_drift(drift: Drift, spec: TableSpec, warehouse: PgCursor, *, is_rebuilding: bool) -> None:
    """Make raw's columns fit, inside the load's transaction.

    Raises:
        DataError: rows of raw share a new key.
        psycopg2.Error: a view cannot be made again, raw is in use, or the role may not alter it.
    """
    raw = sql.Identifier(spec.raw_schema, spec.raw_table)
    name = raw.as_string(warehouse)
    for old, new in drift.renamed.items():
        warehouse.execute(
            sql.SQL("alter table {} rename column {} to {}").format(raw, sql.Identifier(old), sql.Identifier(new))
        )
    # A key may be of a type that loses rows: it goes before, and comes when the types are right.
    if drift.key is not None and drift.old_key:
        warehouse.execute("select ops.change_key(%s::regclass, '{}', false)", (name,))
    retyped = (*drift.widened, *drift.rebuilt)
    if retyped:
        warehouse.execute(
            "select ops.change_column_types(%s::regclass, %s::text[], %s::text[], %s::boolean[])",
            (
                name,
                [column.name for column, _ in retyped],
                [column.raw_type for column, _ in retyped],
                [pair in drift.rebuilt for pair in retyped],
            ),
        )
    actions = [
        *(sql.SQL("add column {} {}").format(sql.Identifier(c.name), sql.SQL(c.raw_type)) for c in drift.added),
        *(sql.SQL("alter column {} drop not null").format(sql.Identifier(name)) for name in drift.nullable),
    ]
    if actions:
        warehouse.execute(sql.SQL("alter table {} {}").format(raw, sql.SQL(", ").join(actions)))
    if drift.key:
        _change_key(drift.key, spec, warehouse, is_rebuilding=is_rebuilding)
    if retyped:
        # The new type has no statistics, and the merge that follows wants them.
        warehouse.execute(sql.SQL("analyze {}").format(raw))


def _change_key(key: tuple[str, ...], spec: TableSpec, warehouse: PgCursor, *, is_rebuilding: bool) -> None:
    raw = sql.Identifier(spec.raw_schema, spec.raw_table).as_string(warehouse)
    try:
        warehouse.execute("select ops.change_key(%s::regclass, %s::text[], %s)", (raw, list(key), is_rebuilding))
    except (psycopg2.errors.UniqueViolation, psycopg2.errors.NotNullViolation) as error:
        raise DataError(
            f"the key of {spec.label} is now ({', '.join(key)}), and rows of {spec.raw_schema}."
            f"{spec.raw_table} share one or have none: run `haven load {spec.label} --rebuild`"
        ) from error


def note_change(change: Change, spec: TableSpec, warehouse: PgCursor, *, load_id: int, mode: Mode) -> None:
    """Write one change and log it; a column that comes in any load but a full one lacks its older values."""
    is_partial = mode != "full" and change.change in ("added", "restored")
    warehouse.execute(
        "insert into ops.schema_changes (load_id, raw_schema, raw_table, source_name, table_name, "
        "column_name, change, old_type, raw_type, is_backfill_advised, old_name) "
        "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            load_id, spec.raw_schema, spec.raw_table, spec.source_name, spec.name, change.column,
            change.change, change.old_type, change.new_type, is_partial, change.old_name,
        ),
    )  # fmt: skip
    types = " to ".join(filter(None, dict.fromkeys((change.old_type, change.new_type))))
    hint = f"; rows loaded before lack its values until `haven load {spec.label} --full`" if is_partial else ""
    column = f"{change.old_name} -> {change.column}" if change.old_name else change.column
    log.info(
        f"  {spec.label}: column {column} {change.change}{f' ({types})' if types else ''}{hint}",
        table=spec.label,
        column=change.column,
        change=change.change,
    )


def note_backfill(spec: TableSpec, warehouse: PgCursor) -> None:
    """Note that a load has just read every row, so that no column lacks older values any more."""
    warehouse.execute(
        "update ops.schema_changes set backfilled_at = now() "
        "where raw_schema = %s and raw_table = %s and is_backfill_advised and backfilled_at is null",
        (spec.raw_schema, spec.raw_table),
    )
