"""Loads many tables: one exported source snapshot for all, workers in parallel, the largest table first.

A table that fails rolls back alone, is noted in ops.table_loads, and does not stop the others. An attempt ends when the
source loses the snapshot (it restarts, say); the next one reads everything as of a new snapshot, so that tables still
agree with each other.
"""

from __future__ import annotations

import time
from contextlib import closing

from runner.backoff import Backoff
from runner.connect import connect, explained
from runner.contract import Contract
from runner.load.attempt import Attempt, Listener
from runner.load.breaker import Breaker
from runner.load.outcome import LoadRequest, TableOutcome
from runner.load.plan import TablePlan, plan_all
from runner.load.sessions import SnapshotLost
from runner.ops import RunRecord, prepare
from runner.settings import Connection


def plan_tables(
    contract: Contract, source: Connection, warehouse: Connection, request: LoadRequest
) -> tuple[list[TablePlan], list[TableOutcome]]:
    """Return what a load would do, and the tables that cannot be loaded. Moves nothing.

    Raises UnreachableError if a database cannot be reached.
    """
    with closing(connect(source)) as source_session, closing(connect(warehouse)) as warehouse_session, explained():
        prepare(warehouse_session)
        return plan_all(contract, source_session, warehouse_session, request)


def load_tables(
    contract: Contract,
    source: Connection,
    warehouse: Connection,
    request: LoadRequest,
    *,
    run: RunRecord,
    listener: Listener | None = None,
) -> list[TableOutcome]:
    """Load every table of `contract`; return one outcome each, failed ones included.

    `run` is what `recorded_run` gave: it holds the source's lock.

    Raises:
        UnreachableError: a database cannot be reached, also after retries, or the breaker is open.
        LockedError: another run took over while this one had lost the warehouse.
    """
    listener = listener or Listener()
    attempt = Attempt(contract, source, warehouse, request, run, listener)
    backoff = Backoff(request.retries)
    with explained():
        with closing(connect(warehouse, application_name=attempt.name)) as control:
            is_trial = not request.retry_now and Breaker(control, source.place).check()
        while True:
            try:
                attempt.load()
                break
            except SnapshotLost as lost:
                if backoff.is_spent or is_trial:
                    attempt.give_up(lost.cause)
                    break
                wait_s = backoff.next_wait()
                listener.on_retry("run", str(lost.cause), wait_s)
                time.sleep(wait_s)
    run.has_loaded()
    order = [spec.label for spec in contract.tables]
    return sorted(attempt.outcomes.values(), key=lambda o: order.index(o.table) if o.table in order else len(order))
