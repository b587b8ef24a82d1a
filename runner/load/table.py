"""Loads one table: rows, tombstones, watermark and ops row in ONE warehouse transaction.

Either all of it is visible or none. The caller owns both transactions: it commits, or rolls back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner.contract import TableSpec
from runner.load import statements
from runner.load.copy import copy_rows
from runner.load.drift import apply_drift, note_backfill
from runner.load.merge import merge
from runner.load.outcome import TableOutcome
from runner.load.plan import TablePlan
from runner.load.split import take_over
from runner.load.state import check_still_ours

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
    bound: datetime,
    parts: int = 0,
    on_bytes: Callable[[int], None] = lambda count: None,
) -> TableOutcome:
    """Carry out `plan` and return its counts.

    `bound` is the time before which no open source transaction started: the watermark never passes it, so a row
    that commits late with an older time is still read next time. `parts` is how many parts of a first load
    are in its hidden table already (0: it is not split).

    Raises psycopg2.Error, DataError or LockedError; the caller rolls back.
    """
    started = time.monotonic()
    if plan.mode == "first":
        read, highest = _first(plan, source, warehouse, load_id, parts, on_bytes)
        inserted, updated, deleted = read, 0, 0
    else:
        apply_drift(plan.drift, plan.spec, warehouse, load_id=load_id, mode=plan.mode)
        read, inserted, updated, deleted = merge(plan, source, warehouse, load_id, on_bytes)
        # A full load that compares hashes stages only what differs.
        highest = (
            _highest(plan, source, plan.source)
            if plan.mode == "full"
            else _highest(plan, warehouse, statements.STAGE)
        )
    if plan.mode in ("first", "full"):
        note_backfill(plan.spec, warehouse)
    watermark = _advance_watermark(plan, warehouse, load_id, highest, bound)
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
    )
    record(plan.spec, warehouse, outcome, run_id, load_id)
    check_still_ours(warehouse, run_id)
    return outcome


def _first(
    plan: TablePlan,
    source: PgCursor,
    warehouse: PgCursor,
    load_id: int,
    parts: int,
    on_bytes: Callable[[int], None],
) -> tuple[int, str | None]:
    """Make the raw table and fill it; return the rows read and the highest watermark among them.

    All that is not the source's comes after the rows, which is faster.
    """
    if parts:
        read = take_over(plan, warehouse, load_id, parts)
    else:
        warehouse.execute(statements.create_raw(plan.raw, plan.columns, plan.key))
        query = statements.select_source(plan.source, plan.columns)
        read = copy_rows(
            source, query, warehouse, plan.raw, plan.names, freeze=True, on_bytes=on_bytes
        )
    # The source, idle now, looks for the watermark (in an index, if it has one) while the warehouse sorts.
    with ThreadPoolExecutor(max_workers=1) as aside:
        highest = aside.submit(_highest, plan, source, plan.source)
        warehouse.execute(_MORE_MEMORY)
        for statement in statements.finish_raw(plan.raw, plan.key, load_id):
            warehouse.execute(statement)
        warehouse.execute(sql.SQL("analyze {}").format(plan.raw))
    return read, highest.result()


def _highest(plan: TablePlan, cursor: PgCursor, relation: sql.Composable) -> str | None:
    """Return the highest watermark in `relation` as text, or None if it has none."""
    if plan.spec.watermark is None:
        return None
    column = sql.Identifier(plan.spec.watermark)
    cursor.execute(sql.SQL("select max({})::text from {}").format(column, relation))
    row = cursor.fetchone()
    return row[0] if row else None


def _advance_watermark(
    plan: TablePlan, warehouse: PgCursor, load_id: int, highest: str | None, bound: datetime
) -> str | None:
    """Store and return `highest`, capped by `bound`, never below the last; a backfill leaves it alone."""
    spec = plan.spec
    if spec.watermark is None or plan.mode == "backfill":
        return plan.watermark_from
    kind = sql.SQL(plan.watermark_type or "")
    watermark: sql.Composable = sql.SQL("greatest({}::{kind}, {}::{kind})").format(
        sql.Literal(highest), sql.Literal(plan.watermark_from), kind=kind
    )
    if plan.is_time:
        # `least` passes over a null: without any row there is no watermark, rather than the bound.
        watermark = sql.SQL(
            "case when {0} is not null then least({0}, {1}::timestamptz::{2}) end"
        ).format(watermark, sql.Literal(bound), kind)
    warehouse.execute(
        sql.SQL(
            "insert into ops.watermarks "
            "(source_name, table_name, watermark_column, watermark, load_id) "
            "select %(source)s, %(table)s, %(column)s, highest.value::text, %(load_id)s "
            "from (select {} as value) as highest where highest.value is not null "
            "on conflict (source_name, table_name) do update set "
            "watermark_column = excluded.watermark_column, watermark = excluded.watermark, "
            "load_id = excluded.load_id, updated_at = now() returning watermark"
        ).format(watermark),
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
