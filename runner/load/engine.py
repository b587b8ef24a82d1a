"""Loads many tables: one exported source snapshot for all, workers in parallel, the largest table first.

A table that fails rolls back alone, is noted in ops.table_loads, and does not stop the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as PgConnection

from runner.connect import as_haven_error, connect, explained
from runner.contract import Contract, TableSpec
from runner.errors import HavenError
from runner.load.outcome import LoadRequest, TableOutcome
from runner.load.plan import TablePlan, plan_table
from runner.load.state import next_load_id, prepare
from runner.load.table import load_table, record
from runner.settings import Connection


@dataclass(frozen=True)
class Listener:
    """Called as the load goes on, from worker threads: with the plans, bytes copied, tables done."""

    on_plans: Callable[[Sequence[TablePlan]], None] = lambda plans: None
    on_bytes: Callable[[str, int], None] = lambda table, count: None
    on_done: Callable[[TableOutcome], None] = lambda outcome: None


@dataclass(frozen=True)
class _Snapshot:
    """A source snapshot that other sessions can join, and the watermark bound that goes with it."""

    name: str
    bound: datetime


def plan_tables(
    contract: Contract, source: Connection, warehouse: Connection, request: LoadRequest
) -> tuple[list[TablePlan], list[TableOutcome]]:
    """Return what a load would do, and the tables that cannot be loaded. Moves nothing.

    Raises UnreachableError if a database cannot be reached.
    """
    with (
        closing(connect(source)) as source_session,
        closing(connect(warehouse)) as warehouse_session,
    ):
        with explained():
            prepare(warehouse_session)
        return _plan_all(contract, source_session, warehouse_session, request)


def load_tables(
    contract: Contract,
    source: Connection,
    warehouse: Connection,
    request: LoadRequest,
    *,
    run_id: str,
    listener: Listener | None = None,
) -> list[TableOutcome]:
    """Load every table of `contract`; return one outcome each, failed ones included.

    The caller holds the source's lock (`recorded_run`).

    Raises UnreachableError if a database cannot be reached, or the warehouse cannot be written.
    """
    listener = listener or Listener()
    name = f"haven load {run_id}"
    with (
        closing(connect(warehouse, application_name=name)) as control,
        closing(connect(source, application_name=name)) as coordinator,
    ):
        snapshot = _export_snapshot(coordinator)
        plans, outcomes = _plan_all(contract, coordinator, control, request)
        _create_schemas(control, {plan.spec.raw_schema for plan in plans})
        listener.on_plans(plans)
        for outcome in outcomes:
            listener.on_done(outcome)
        with ThreadPoolExecutor(max_workers=max(request.workers, 1)) as pool:
            futures = [
                pool.submit(_load_one, plan, source, warehouse, snapshot, run_id, listener)
                for plan in sorted(plans, key=lambda plan: -plan.size_bytes)
            ]
            try:
                for future in as_completed(futures):
                    outcomes.append(future.result())
                    listener.on_done(outcomes[-1])
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        specs = {spec.label: spec for spec in contract.tables}
        with control, control.cursor() as cursor:
            for outcome in outcomes:
                if outcome.error and outcome.table in specs:
                    record(specs[outcome.table], cursor, outcome, run_id, next_load_id(cursor))
    order = [spec.label for spec in contract.tables]
    return sorted(outcomes, key=lambda o: order.index(o.table) if o.table in order else len(order))


def _create_schemas(warehouse: PgConnection, names: set[str]) -> None:
    """Create raw schemas that are missing; asking first, as `if not exists` needs the privilege even then."""
    with explained(), warehouse, warehouse.cursor() as cursor:
        for name in sorted(names):
            cursor.execute("select 1 from pg_namespace where nspname = %s", (name,))
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("create schema {}").format(sql.Identifier(name)))


def _export_snapshot(session: PgConnection) -> _Snapshot:
    """Start the run's read-only snapshot in `session`, which must stay open for as long as it is used.

    The bound is read BEFORE the snapshot is taken: a transaction that is open now may commit rows with a time as
    old as its start, one that starts later cannot write an older one.
    """
    session.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
    with session, session.cursor() as cursor:
        cursor.execute(
            """
            select least(
                clock_timestamp(),
                (
                    select min(xact_start) from pg_stat_activity
                    where pid <> pg_backend_pid() and datname = current_database()
                        and backend_type = 'client backend'
                ),
                (select min(prepared) from pg_prepared_xacts)
            )
            """
        )
        bound: datetime = cursor.fetchone()[0]  # type: ignore[index]
    cursor = session.cursor()
    cursor.execute("select pg_export_snapshot()")
    return _Snapshot(name=cursor.fetchone()[0], bound=bound)  # type: ignore[index]


def _plan_all(
    contract: Contract, source: PgConnection, warehouse: PgConnection, request: LoadRequest
) -> tuple[list[TablePlan], list[TableOutcome]]:
    plans: list[TablePlan] = []
    failures = [
        TableOutcome(p.label, strategy="?", mode=None, error=p.message, exit_code=2)
        for p in contract.problems
    ]
    with warehouse, warehouse.cursor() as target, source.cursor() as origin:
        for spec in contract.tables:
            try:
                plans.append(plan_table(origin, target, spec, request))
            except HavenError as error:
                failures.append(_failure(spec, error))
    return plans, failures


def _failure(spec: TableSpec, error: HavenError) -> TableOutcome:
    return TableOutcome(
        spec.label, spec.strategy, mode=None, error=str(error), exit_code=error.exit_code
    )


def _load_one(
    plan: TablePlan,
    source: Connection,
    warehouse: Connection,
    snapshot: _Snapshot,
    run_id: str,
    listener: Listener,
) -> TableOutcome:
    """Load one table in sessions of its own; a failure becomes its outcome."""
    started = time.monotonic()
    name = f"haven load {run_id} {plan.spec.name}"
    try:
        with (
            closing(connect(source, application_name=name)) as reader,
            closing(connect(warehouse, application_name=name)) as writer,
        ):
            reader.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
            with reader.cursor() as origin, writer.cursor() as target:
                origin.execute(
                    sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot.name))
                )
                outcome = load_table(
                    plan,
                    origin,
                    target,
                    run_id=run_id,
                    bound=snapshot.bound,
                    on_bytes=lambda count: listener.on_bytes(plan.spec.label, count),
                )
            writer.commit()
            return outcome
    except psycopg2.Error as error:
        failure = _failure(plan.spec, as_haven_error(error))
    except HavenError as error:
        failure = _failure(plan.spec, error)
    return replace(failure, mode=plan.mode, seconds=round(time.monotonic() - started, 3))
