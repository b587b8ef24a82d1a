"""Reads the differing keys of one table from the source again, with the loader's own statements, in one transaction.

The keys are looked up anew: whatever the source holds for them now is what raw gets, a key it lacks becomes a
tombstone. The watermark stays.
"""

from __future__ import annotations

import time
from contextlib import closing

from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import cursor as PgCursor

from runner.connect import connect
from runner.contract import TableSpec
from runner.errors import DataError
from runner.load import statements
from runner.load.copy import copy_rows
from runner.load.merge import check_key_holds
from runner.load.merge_statements import upsert
from runner.load.outcome import LoadRequest, TableOutcome
from runner.load.plan import TablePlan, plan_table
from runner.load.table import record
from runner.ops import check_still_ours, next_load_ids
from runner.reconcile import queries
from runner.reconcile.compare import key_lists, keys_condition
from runner.reconcile.reconciliation import Reconciliation
from runner.settings import Connection


def repair_table(
    spec: TableSpec, found: Reconciliation, source: Connection, warehouse: Connection, *, run_id: str
) -> TableOutcome:
    """Repair the keys that `found` names and return what was moved; the caller holds the source's lock.

    Raises:
        DataError: this table can only be mended by a whole load; the message says how.
        LockedError: another run took over; nothing was kept.
        psycopg2.Error: the repair failed and nothing was kept.
    """
    started = time.monotonic()
    whole = f"run `haven load {spec.name} --full`"
    if not found.key_columns:
        raise DataError(f"{spec.label} has no key to repair by: {whole}")
    differing = found.total + found.pending
    if differing > len(found.named):
        raise DataError(f"{spec.label}: too many keys differ ({differing:,}) to repair: {whole}")
    name = f"haven repair {run_id} {spec.name}"
    with (
        closing(connect(source, application_name=name)) as reader,
        closing(connect(warehouse, application_name=name)) as writer,
    ):
        reader.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        with reader.cursor() as origin, writer.cursor() as target:
            plan = plan_table(origin, target, spec, LoadRequest())
            if plan.drift.widened or plan.drift.renamed or plan.drift.key is not None:
                raise DataError(f"{spec.label}: its columns or its key changed: {whole}")
            (load_id,) = next_load_ids(target)
            read, inserted, updated, deleted = _repair(plan, found, origin, target, load_id)
            outcome = TableOutcome(
                table=spec.label,
                strategy=spec.strategy,
                mode="repair",
                rows_read=read,
                rows_inserted=inserted,
                rows_updated=updated,
                rows_unchanged=read - inserted - updated,
                rows_deleted=deleted,
                watermark_from=plan.watermark_from,
                watermark_to=plan.watermark_from,
                seconds=round(time.monotonic() - started, 3),
                load_id=load_id,
            )
            record(spec, target, outcome, run_id, load_id)
            check_still_ours(target, run_id)
        writer.commit()
    return outcome


def _repair(
    plan: TablePlan, found: Reconciliation, source: PgCursor, warehouse: PgCursor, load_id: int
) -> tuple[int, int, int, int]:
    """Return rows read, inserted, updated, deleted."""
    columns = tuple(column for column in plan.columns if column not in plan.drift.added)
    names = tuple(column.name for column in columns)
    key = tuple(column for name in plan.key for column in columns if column.name == name)
    warehouse.execute(statements.create_stage(statements.STAGE, plan.raw, names))
    warehouse.execute(statements.create_stage(statements.KEYS, plan.raw, plan.key))
    warehouse.execute(queries.fill_keys(key, key_lists(found.named)))
    query = statements.select_source(plan.source, columns, keys_condition(key, found.named))
    read = copy_rows(source, query, warehouse, statements.STAGE, names)
    for relation in (statements.STAGE, statements.KEYS):
        warehouse.execute(sql.SQL("analyze {}").format(relation))
    check_key_holds(plan, warehouse, statements.STAGE)
    warehouse.execute(upsert(plan.raw, names, plan.key, load_id))
    inserted, updated = warehouse.fetchone()  # type: ignore[misc]
    warehouse.execute(queries.tombstone_named(plan.raw, key, load_id))
    return read, inserted, updated, warehouse.rowcount
