"""Loads one table: rows, tombstones, watermark and ops row in ONE warehouse transaction.

Either all of it is visible or none. The caller owns both transactions: it commits, or rolls back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner.contract import TableSpec
from runner.load import statements
from runner.load.copy import copy_rows
from runner.load.outcome import TableOutcome
from runner.load.plan import TablePlan
from runner.load.state import next_load_id


def load_table(
    plan: TablePlan,
    source: PgCursor,
    warehouse: PgCursor,
    *,
    run_id: str,
    bound: datetime,
    on_bytes: Callable[[int], None] = lambda count: None,
) -> TableOutcome:
    """Carry out `plan` and return its counts.

    `bound` is the time before which no open source transaction started: the watermark never passes it, so a row
    that commits late with an older time is still read next time.

    Raises psycopg2.Error or DataError; the caller rolls back.
    """
    started = time.monotonic()
    load_id = next_load_id(warehouse)
    if plan.mode == "first":
        read = _first(plan, source, warehouse, load_id, on_bytes)
        inserted, updated, deleted = read, 0, 0
    else:
        read, inserted, updated, deleted = _again(plan, source, warehouse, load_id, on_bytes)
    watermark = _advance_watermark(plan, warehouse, load_id, bound)
    outcome = TableOutcome(
        table=plan.spec.label,
        strategy=plan.spec.strategy,
        mode=plan.mode,
        rows_read=read,
        rows_inserted=inserted,
        rows_updated=updated,
        rows_unchanged=read - inserted - updated,
        rows_deleted=deleted,
        watermark_from=plan.watermark_from,
        watermark_to=watermark,
        seconds=round(time.monotonic() - started, 3),
    )
    record(plan.spec, warehouse, outcome, run_id, load_id)
    return outcome


def _first(
    plan: TablePlan,
    source: PgCursor,
    warehouse: PgCursor,
    load_id: int,
    on_bytes: Callable[[int], None],
) -> int:
    """Make the raw table and fill it; key and index come after the rows, which is faster."""
    warehouse.execute(statements.create_raw(plan.raw, plan.columns, load_id))
    query = statements.select_source(plan.source, plan.columns)
    read = copy_rows(source, query, warehouse, plan.raw, plan.names, freeze=True, on_bytes=on_bytes)
    for statement in statements.finish_raw(plan.raw, plan.key):
        warehouse.execute(statement)
    warehouse.execute(sql.SQL("analyze {}").format(plan.raw))
    return read


def _again(
    plan: TablePlan,
    source: PgCursor,
    warehouse: PgCursor,
    load_id: int,
    on_bytes: Callable[[int], None],
) -> tuple[int, int, int, int]:
    """Stage what the plan reads and merge it; return rows read, inserted, updated, deleted."""
    _apply_drift(plan, warehouse, load_id)
    raw, names, key = plan.raw, plan.names, plan.key
    warehouse.execute(statements.create_stage(statements.STAGE, raw, names))
    query = statements.select_source(plan.source, plan.columns, plan.condition)
    read = copy_rows(source, query, warehouse, statements.STAGE, names, on_bytes=on_bytes)
    warehouse.execute(sql.SQL("analyze {}").format(statements.STAGE))
    deleted = 0
    if not key:
        if plan.spec.deletes == "sweep":
            warehouse.execute(statements.tombstone_bag(raw, names, load_id))
            deleted = warehouse.rowcount
        warehouse.execute(statements.insert_bag(raw, names, load_id))
        return read, warehouse.rowcount, 0, deleted
    present = statements.STAGE if plan.mode == "full" and plan.spec.deletes == "sweep" else None
    if plan.is_sweeping:
        read += _sweep(plan, source, warehouse, on_bytes)
        present = statements.KEYS
    warehouse.execute(statements.upsert(raw, names, key, load_id))
    inserted, updated = warehouse.fetchone()  # type: ignore[misc]
    if present is not None:
        warehouse.execute(statements.tombstone(raw, key, load_id, present))
        deleted = warehouse.rowcount
    return read, inserted, updated, deleted


def _sweep(
    plan: TablePlan, source: PgCursor, warehouse: PgCursor, on_bytes: Callable[[int], None]
) -> int:
    """Copy all keys of the source, and stage the rows that raw lacks although no watermark told."""
    types = {column.name: column for column in plan.columns}
    key = [types[name] for name in plan.key]
    warehouse.execute(statements.create_stage(statements.KEYS, plan.raw, plan.key))
    query = statements.select_source(plan.source, key)
    copy_rows(source, query, warehouse, statements.KEYS, plan.key, on_bytes=on_bytes)
    warehouse.execute(sql.SQL("analyze {}").format(statements.KEYS))
    warehouse.execute(statements.missing_keys(plan.raw, plan.key))
    values = warehouse.fetchone()
    if values is None or values[0] is None:
        return 0
    condition = statements.key_condition(key, values)
    query = statements.select_source(plan.source, plan.columns, condition)
    return copy_rows(source, query, warehouse, statements.STAGE, plan.names, on_bytes=on_bytes)


def _apply_drift(plan: TablePlan, warehouse: PgCursor, load_id: int) -> None:
    """Add the columns raw lacks; note what came and went in ops.schema_changes."""
    for column in plan.added:
        warehouse.execute(
            sql.SQL("alter table {} add column {} {}").format(
                plan.raw, sql.Identifier(column.name), sql.SQL(column.raw_type)
            )
        )
        _note_change(plan, warehouse, load_id, column.name, "added", column.raw_type)
    for name in plan.dropped:
        _note_change(plan, warehouse, load_id, name, "dropped", None)


def _note_change(
    plan: TablePlan,
    warehouse: PgCursor,
    load_id: int,
    column: str,
    change: str,
    raw_type: str | None,
) -> None:
    """Write one change, unless it is what was noted last for this column."""
    warehouse.execute(
        """
        insert into ops.schema_changes
            (load_id, source_name, table_name, column_name, change, raw_type)
        select %(load_id)s, %(source)s, %(table)s, %(column)s, %(change)s, %(raw_type)s
        where %(change)s is distinct from (
            select schema_changes.change from ops.schema_changes
            where source_name = %(source)s and table_name = %(table)s and column_name = %(column)s
            order by schema_change_id desc limit 1
        )
        """,
        {
            "load_id": load_id,
            "source": plan.spec.source_name,
            "table": plan.spec.name,
            "column": column,
            "change": change,
            "raw_type": raw_type,
        },
    )


def _advance_watermark(
    plan: TablePlan, warehouse: PgCursor, load_id: int, bound: datetime
) -> str | None:
    """Store and return the highest watermark read, capped by `bound`; a backfill leaves it alone."""
    spec = plan.spec
    if spec.watermark is None or plan.mode == "backfill":
        return plan.watermark_from
    kind = sql.SQL(plan.watermark_type or "")
    relation = plan.raw if plan.mode == "first" else statements.STAGE
    highest = sql.SQL("greatest((select max({}) from {}), {}::{})").format(
        sql.Identifier(spec.watermark), relation, sql.Literal(plan.watermark_from), kind
    )
    if plan.is_time:
        highest = sql.SQL("least({}, {}::timestamptz::{})").format(
            highest, sql.Literal(bound), kind
        )
    warehouse.execute(
        sql.SQL(
            "insert into ops.watermarks "
            "(source_name, table_name, watermark_column, watermark, load_id) "
            "select %(source)s, %(table)s, %(column)s, highest.value::text, %(load_id)s "
            "from (select {} as value) as highest where highest.value is not null "
            "on conflict (source_name, table_name) do update set "
            "watermark_column = excluded.watermark_column, watermark = excluded.watermark, "
            "load_id = excluded.load_id, updated_at = now() returning watermark"
        ).format(highest),
        {
            "source": spec.source_name,
            "table": spec.name,
            "column": spec.watermark,
            "load_id": load_id,
        },
    )
    row = warehouse.fetchone()
    return row[0] if row else None


def record(
    spec: TableSpec, warehouse: PgCursor, outcome: TableOutcome, run_id: str, load_id: int
) -> None:
    """Write the ops.table_loads row of `outcome`."""
    warehouse.execute(
        """
        insert into ops.table_loads (
            load_id, run_id, source_name, table_name, raw_schema, raw_table, strategy, mode, status,
            started_at, finished_at, rows_read, rows_inserted, rows_updated, rows_unchanged,
            rows_deleted, rows_rejected, watermark_from, watermark_to, error
        ) values (
            %s, %s, %s, %s, %s, %s, %s, %s, %s,
            clock_timestamp() - make_interval(secs => %s), clock_timestamp(), %s, %s, %s, %s,
            %s, %s, %s, %s, %s
        )
        """,
        (
            load_id, run_id, spec.source_name, spec.name, spec.raw_schema, spec.raw_table,
            spec.strategy, outcome.mode, "failed" if outcome.error else "ok", outcome.seconds,
            outcome.rows_read, outcome.rows_inserted, outcome.rows_updated, outcome.rows_unchanged,
            outcome.rows_deleted, outcome.rows_rejected, outcome.watermark_from,
            outcome.watermark_to, outcome.error,
        ),
    )  # fmt: skip
