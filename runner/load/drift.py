"""Schema drift: what changed in the source's columns, and what raw does about it. Nothing is ever lost silently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner import log
from runner.catalog import Column, Table
from runner.contract import TableSpec
from runner.errors import DataError
from runner.load.outcome import Mode
from runner.load.statements import META_COLUMNS
from runner.load.widening import is_widening


@dataclass(frozen=True)
class Change:
    """One column's change, as ops.schema_changes keeps it. Types are raw's, None where there is none."""

    column: str
    change: str
    old_type: str | None
    new_type: str | None


@dataclass(frozen=True)
class Drift:
    """How raw's columns must follow the source's.

    `added` are columns raw lacks, `widened` those whose type grew, with raw's type so far; `nullable` lose their
    NOT NULL. `dropped` are gone in the source and kept in raw, `restored` came back; both only when that is news.
    """

    added: tuple[Column, ...] = ()
    widened: tuple[tuple[Column, str], ...] = ()
    nullable: tuple[str, ...] = ()
    dropped: tuple[Column, ...] = ()
    restored: tuple[Column, ...] = ()

    @property
    def changes(self) -> list[Change]:
        """Return what is to be noted, one for each column and change."""
        gone = {column.name for column in self.dropped}
        return [
            *(Change(c.name, "added", None, c.raw_type) for c in self.added),
            *(Change(c.name, "restored", c.raw_type, c.raw_type) for c in self.restored),
            *(Change(c.name, "widened", old, c.raw_type) for c, old in self.widened),
            *(Change(name, "nullable", None, None) for name in self.nullable if name not in gone),
            *(Change(c.name, "dropped", c.raw_type, None) for c in self.dropped),
        ]


def find_drift(
    spec: TableSpec,
    columns: tuple[Column, ...],
    key: tuple[str, ...],
    raw: Table | None,
    noted: Mapping[str, str],
) -> Drift:
    """Compare the source's `columns` with raw's; `noted` is each column's last coming or going.

    Raises DataError for a type that changed in a way that could lose something.
    """
    if raw is None:
        return Drift()
    ours = {column.name: column for column in raw.columns}
    theirs = {column.name: column for column in columns}
    changed = [
        (c, ours[c.name].raw_type)
        for c in columns
        if c.name in ours and c.raw_type != ours[c.name].raw_type
    ]
    for column, old in changed:
        if not is_widening(old, column.raw_type):
            raise DataError(
                f"column {column.name} of {spec.label} is now {column.raw_type} but {old} in "
                f"{spec.raw_schema}.{spec.raw_table}, and not every value would survive that: leave it "
                "out with `exclude`, or alter raw's column by hand, or drop the raw table to load it anew"
            )
    gone = [c for c in raw.columns if c.name not in theirs and c.name not in META_COLUMNS]
    return Drift(
        added=tuple(c for c in columns if c.name not in ours),
        widened=tuple(changed),
        nullable=tuple(
            c.name
            for c in raw.columns
            if c.is_not_null
            and c.name not in (*key, *META_COLUMNS)
            and not (c.name in theirs and theirs[c.name].is_not_null)
        ),
        dropped=tuple(c for c in gone if noted.get(c.name) != "dropped"),
        restored=tuple(
            ours[c.name] for c in columns if c.name in ours and noted.get(c.name) == "dropped"
        ),
    )


def noted_changes(warehouse: PgCursor, spec: TableSpec) -> dict[str, str]:
    """Return each column's last coming or going since raw was first loaded: added, dropped or restored."""
    warehouse.execute(
        """
        select distinct on (column_name) column_name, change
        from ops.schema_changes
        where source_name = %(source)s and table_name = %(table)s
            and change in ('added', 'dropped', 'restored')
            and load_id > coalesce((
                select max(load_id) from ops.table_loads
                where source_name = %(source)s and table_name = %(table)s
                    and mode = 'first' and status = 'ok'
            ), 0)
        order by column_name, schema_change_id desc
        """,
        {"source": spec.source_name, "table": spec.name},
    )
    return dict(warehouse.fetchall())


def apply_drift(
    drift: Drift, spec: TableSpec, warehouse: PgCursor, *, load_id: int, mode: Mode
) -> None:
    """Make raw's columns fit, inside the load's transaction, and note each change in ops.schema_changes.

    Raises psycopg2.Error: a view cannot be made again, raw is in use, or the role may not alter it.
    """
    raw = sql.Identifier(spec.raw_schema, spec.raw_table)
    if drift.widened:
        warehouse.execute(
            "select ops.change_column_types(%s::regclass, %s::text[], %s::text[])",
            (
                raw.as_string(warehouse),
                [column.name for column, _ in drift.widened],
                [column.raw_type for column, _ in drift.widened],
            ),
        )
    actions = [
        *(
            sql.SQL("add column {} {}").format(sql.Identifier(c.name), sql.SQL(c.raw_type))
            for c in drift.added
        ),
        *(
            sql.SQL("alter column {} drop not null").format(sql.Identifier(name))
            for name in drift.nullable
        ),
    ]
    if actions:
        warehouse.execute(sql.SQL("alter table {} {}").format(raw, sql.SQL(", ").join(actions)))
    for change in drift.changes:
        _note(change, spec, warehouse, load_id=load_id, mode=mode)
    if drift.widened:
        # The new type has no statistics, and the merge that follows wants them.
        warehouse.execute(sql.SQL("analyze {}").format(raw))


def _note(
    change: Change, spec: TableSpec, warehouse: PgCursor, *, load_id: int, mode: Mode
) -> None:
    """Write one change and log it; a column that comes in any load but a full one lacks its older values."""
    is_partial = mode != "full" and change.change in ("added", "restored")
    warehouse.execute(
        "insert into ops.schema_changes (load_id, source_name, table_name, column_name, change, "
        "old_type, raw_type, is_backfill_advised) values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            load_id, spec.source_name, spec.name, change.column, change.change,
            change.old_type, change.new_type, is_partial,
        ),
    )  # fmt: skip
    types = " to ".join(filter(None, dict.fromkeys((change.old_type, change.new_type))))
    hint = (
        f"; rows loaded before lack its values until `haven load {spec.label} --full`"
        if is_partial
        else ""
    )
    log.info(
        f"  {spec.label}: column {change.column} {change.change}{f' ({types})' if types else ''}{hint}",
        table=spec.label,
        column=change.column,
        change=change.change,
    )


def note_backfill(spec: TableSpec, warehouse: PgCursor) -> None:
    """Note that a load has just read every row, so that no column lacks older values any more."""
    warehouse.execute(
        "update ops.schema_changes set backfilled_at = now() "
        "where source_name = %s and table_name = %s and is_backfill_advised and backfilled_at is null",
        (spec.source_name, spec.name),
    )
