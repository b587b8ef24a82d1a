"""Loads one table: rows, tombstones, watermark and ops row in ONE warehouse transaction.

Either all of it is visible or none. The caller owns both transactions: it commits, or rolls back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor
from psycopg2.extras import Json

from runner import log
from runner.contract import TableSpec
from runner.errors import DataError
from runner.load import merge_statements, statements
from runner.load.copy import copy_rows
from runner.load.drift import apply_drift, note_backfill, note_change
from runner.load.identity import note_identity
from runner.load.marks import Probed
from runner.load.merge import check_key_holds, merge
from runner.load.outcome import TableOutcome
from runner.load.plan import TablePlan
from runner.load.row_filter import bare, hold
from runner.ops import check_still_ours

# Sorting a key in memory; what the server grants already stays, if that is more. Unit: kB.
_MORE_MEMORY = """
select set_config(name, greatest(setting::bigint, 262144)::text, true)
from pg_settings where name = 'maintenance_work_mem'
"""


def load_table(
    plan: TablePlan,
    source: PgCursor,
    warehouse: PgCursor,
    *,
    run_id: str,
    load_id: int,
    on_bytes: Callable[[int], None] = lambda count: None,
) -> TableOutcome:
    """Carry out `plan` and return its counts.

    Raises psycopg2.Error, DataError or LockedError; the caller rolls back.
    """
    started = time.monotonic()
    if plan.note:
        log.info(f"  {plan.spec.label}: {plan.note}", table=plan.spec.label)
    hold(source, plan.spec)
    if plan.mode == "first":
        read = _first(plan, source, warehouse, load_id, on_bytes)
        inserted, updated, deleted = read, 0, 0
    else:
        if plan.drift.rebuilt:
            _note_losses(plan, warehouse)
        apply_drift(plan.drift, plan.spec, warehouse, is_rebuilding=plan.is_rebuilding)
        read, inserted, updated, deleted = merge(plan, source, warehouse, load_id, on_bytes)
        if plan.drift.rebuilt:
            _check_losses(plan, warehouse)
    for change in plan.drift.changes:
        note_change(change, plan.spec, warehouse, load_id=load_id, mode=plan.mode)
    if plan.mode in ("first", "full"):
        note_backfill(plan.spec, warehouse)
    watermark = _advance_watermark(plan, warehouse, load_id)
    if plan.identity is not None:
        note_identity(plan.spec, plan.identity, warehouse, load_id=load_id)
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
        load_id=load_id,
        note=plan.note,
    )
    record(plan.spec, warehouse, outcome, run_id, load_id)
    check_still_ours(warehouse, run_id)
    return outcome


def _first(
    plan: TablePlan, source: PgCursor, warehouse: PgCursor, load_id: int, on_bytes: Callable[[int], None]
) -> int:
    """Make the raw table and fill it; return the rows read.

    All that is not the source's comes after the rows, which is faster.
    """
    warehouse.execute(statements.create_raw(plan.raw, plan.columns, plan.key))
    query = statements.select_source(plan.source, plan.columns)
    read = copy_rows(source, query, warehouse, plan.raw, plan.names, freeze=True, on_bytes=on_bytes)
    check_key_holds(plan, warehouse, plan.raw)
    warehouse.execute(_MORE_MEMORY)
    for statement in statements.finish_raw(plan.raw, plan.key, load_id):
        warehouse.execute(statement)
    warehouse.execute(sql.SQL("analyze {}").format(plan.raw))
    return read


def _note_losses(plan: TablePlan, warehouse: PgCursor) -> None:
    """Keep in a temp table which rows have values that their new type cannot hold, while they still have them."""
    types = {column.name: column.raw_type for column in plan.columns}

    def in_raw(names: Iterable[str]) -> list[tuple[sql.Identifier, str]]:
        return [(sql.Identifier(plan.drift.name_in_raw(name)), types[name]) for name in names]

    added = [column.name for column in plan.drift.added]
    among: sql.Composable = sql.SQL("true")
    # Without a key a row of another type is another row: it goes, and comes with the source's value.
    if not plan.key and plan.spec.deletes == "sweep":
        among = sql.SQL("_deleted_at is not null")
    elif set(plan.key) & set(added):  # no old row has that key
        among = sql.SQL("false")
    warehouse.execute(
        merge_statements.create_lost(
            plan.raw,
            in_raw(column.name for column, _ in plan.drift.rebuilt),
            in_raw(name for name in plan.key if name not in added),
            among,
        )
    )


def _check_losses(plan: TablePlan, warehouse: PgCursor) -> None:
    """Raise DataError if rows that the source no longer has lost values to a new type, and nobody said they may."""
    warehouse.execute("select to_regclass('pg_temp.haven_changes') is not null")
    has_changes = warehouse.fetchone() == (True,)
    present = [name for name in plan.key if name not in [c.name for c in plan.drift.added]]
    warehouse.execute(merge_statements.count_lost(plan.raw, present, with_changes=has_changes))
    ((lost,),) = warehouse.fetchall()
    if not lost:
        return
    label = plan.spec.label
    columns = ", ".join(f"{c.name} ({c.raw_type})" for c, _ in plan.drift.rebuilt)
    if not plan.may_lose_values:
        raise DataError(
            f"{label}: {lost:,} rows that the source no longer has hold values that do not fit {columns}: nothing was "
            f"changed. Keep them elsewhere, then run `haven load {label} --rebuild --allow-deletes`, which makes "
            "them null, or leave the column out with `exclude`"
        )
    log.info(f"  {label}: {lost:,} rows that the source no longer has lost values of {columns}", table=label, rows=lost)


def _advance_watermark(plan: TablePlan, warehouse: PgCursor, load_id: int) -> str | None:
    """Store and return the highest mark that is safe by now; a backfill leaves it alone.

    A load that has read everything stores what it saw, even if that is lower than the last mark.
    """
    spec, probed = plan.spec, plan.probed or Probed()
    if spec.watermark is None or plan.mode == "backfill":
        return plan.watermark_from
    marks = [plan.watermark_from, probed.settled, probed.mark]
    if plan.mode in ("first", "full") and (probed.is_below or probed.mark is not None):
        marks = [probed.mark]
    kind = bare(plan.watermark_type or "")
    warehouse.execute(
        sql.SQL(
            "insert into ops.watermarks "
            "(raw_schema, raw_table, source_name, table_name, watermark_column, watermark_type, watermark, load_id, "
            "candidates) values (%(raw_schema)s, %(raw_table)s, %(source)s, %(table)s, %(column)s, %(type)s, "
            "greatest({})::text, %(load_id)s, coalesce(%(waiting)s::jsonb, '[]')) "
            "on conflict (raw_schema, raw_table) do update set "
            "source_name = excluded.source_name, table_name = excluded.table_name, "
            "watermark_column = excluded.watermark_column, watermark_type = excluded.watermark_type, "
            "watermark = excluded.watermark, "
            "load_id = excluded.load_id, updated_at = now(), "
            # A table that could not be looked at keeps those it has, if they are of this column as it is.
            "candidates = coalesce(%(waiting)s::jsonb, case when "
            "(watermarks.watermark_column, watermarks.watermark_type) "
            "= (excluded.watermark_column, excluded.watermark_type) "
            "then watermarks.candidates end, '[]') returning watermark"
        ).format(sql.SQL(", ").join(sql.SQL("{}::{}").format(sql.Literal(m), sql.SQL(kind)) for m in marks)),
        {
            "raw_schema": spec.raw_schema,
            "raw_table": spec.raw_table,
            "source": spec.source_name,
            "table": spec.name,
            "column": spec.watermark,
            "type": kind,
            "load_id": load_id,
            "waiting": Json([c.as_dict() for c in probed.waiting]) if plan.probed else None,
        },
    )
    row = warehouse.fetchone()
    return row[0] if row else None


def record(spec: TableSpec, warehouse: PgCursor, outcome: TableOutcome, run_id: str, load_id: int) -> None:
    """Write the ops.table_loads row of `outcome`."""
    warehouse.execute(
        """
        insert into ops.table_loads (
            load_id, run_id, source_name, table_name, raw_schema, raw_table, strategy, mode, status,
            started_at, finished_at, rows_read, rows_inserted, rows_updated, rows_unchanged,
            rows_deleted, rows_rejected, watermark_from, watermark_to, error, tries
        ) values (
            %s, %s, %s, %s, %s, %s, %s, %s, %s,
            clock_timestamp() - make_interval(secs => %s), clock_timestamp(), %s, %s, %s, %s,
            %s, %s, %s, %s, %s, %s
        )
        """,
        (
            load_id, run_id, spec.source_name, spec.name, spec.raw_schema, spec.raw_table,
            spec.strategy, outcome.mode, "failed" if outcome.error else "ok", outcome.seconds,
            outcome.rows_read, outcome.rows_inserted, outcome.rows_updated, outcome.rows_unchanged,
            outcome.rows_deleted, outcome.rows_rejected, outcome.watermark_from,
            outcome.watermark_to, outcome.error, outcome.tries,
        ),
    )  # fmt: skip
