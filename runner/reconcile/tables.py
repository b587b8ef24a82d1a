"""Reconciles the tables of a contract as of one source snapshot, several at a time; notes every result."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as PgConnection

from runner.checksums import ADD_UP_IN_PLACE
from runner.connect import as_haven_error, connect, explained
from runner.contract import Contract, TableSpec
from runner.errors import DataError, HavenError
from runner.load.catalogs import Catalogs, read_catalogs
from runner.load.identity import check_origin
from runner.load.outcome import LoadRequest
from runner.load.plan import plan_table
from runner.load.row_filter import hold
from runner.load.suppression import check_people
from runner.ops import prepare
from runner.reconcile.compare import compare
from runner.reconcile.reconciliation import Reconciliation
from runner.settings import Connection

# Keys named per table; a repair takes up to REPAIR_LIMIT, beyond that a whole reload is quicker and plainer.
NAMED_LIMIT = 1000
REPAIR_LIMIT = 10_000
STORED_KEYS = 100


@dataclass(frozen=True)
class ReconcileRequest:
    """What the caller wants: how many keys by name, their values too, and the load's snapshot to look at.

    Without a snapshot one is taken: all tables are seen as of the same moment. `workers` tables at a time.
    """

    limit: int = NAMED_LIMIT
    with_values: bool = False
    snapshot: str | None = None
    workers: int = 2


def reconcile_tables(
    contract: Contract,
    source: Connection,
    warehouse: Connection,
    request: ReconcileRequest,
    *,
    run_id: str,
    on_done: Callable[[Reconciliation], None] = lambda result: None,
) -> list[Reconciliation]:
    """Compare every table of `contract`, write ops.reconciliations, return one result each; raw is only read.

    Raises:
        UnreachableError: a database cannot be reached, or the warehouse cannot be written.
        ConfigError: the source is not the database that raw was loaded from.
    """
    done: list[Reconciliation] = []
    with closing(connect(warehouse, application_name=f"haven reconcile {run_id}")) as control:
        with explained():
            prepare(control)
        for problem in contract.problems:
            done.append(Reconciliation(problem.label, error=problem.message, error_code=2))
        with (
            _one_moment(source, control, contract, request, run_id) as (snapshot, seen),
            ThreadPoolExecutor(max_workers=request.workers) as workers,
        ):
            futures = [
                workers.submit(
                    reconcile_table, spec, source, warehouse, request, run_id=run_id, snapshot=snapshot, seen=seen
                )
                for spec in contract.tables
            ]
            try:
                for spec, future in zip(contract.tables, futures, strict=True):
                    done.append(future.result())
                    with explained():
                        record(control, spec, done[-1], run_id)
                    on_done(done[-1])
            except BaseException:
                workers.shutdown(wait=False, cancel_futures=True)
                raise
    return done


@contextmanager
def _one_moment(
    source: Connection, control: PgConnection, contract: Contract, request: ReconcileRequest, run_id: str
) -> Iterator[tuple[str, Catalogs]]:
    """Give the source snapshot that all tables are read from, and what the catalogs and ops say of them."""
    with closing(connect(source, application_name=f"haven reconcile {run_id}")) as keeper:
        with explained(), keeper.cursor() as origin, control, control.cursor() as target:
            _start_reading(keeper, request.snapshot)
            seen = read_catalogs(origin, target, contract.tables)
            check_origin(contract.tables, seen.origin, seen.identities)
            check_people(contract, target)
            origin.execute("select pg_export_snapshot()")
            snapshot = origin.fetchone()[0]  # type: ignore[index]
        yield snapshot, seen


def reconcile_table(
    spec: TableSpec,
    source: Connection,
    warehouse: Connection,
    request: ReconcileRequest,
    *,
    run_id: str,
    snapshot: str | None = None,
    seen: Catalogs | None = None,
) -> Reconciliation:
    """Compare one table in sessions of its own; a failure becomes its result."""
    started = time.monotonic()
    name = f"haven reconcile {run_id} {spec.name}"
    try:
        with (
            closing(connect(source, application_name=name)) as ours,
            closing(connect(warehouse, application_name=name)) as theirs,
        ):
            for session in (ours, theirs):
                _start_reading(session, (snapshot or request.snapshot) if session is ours else None)
            with ours.cursor() as origin, theirs.cursor() as target:
                plan = plan_table(origin, target, spec, LoadRequest(), seen)
                hold(origin, spec)
                target.execute(ADD_UP_IN_PLACE)
                # What a view gives may depend on its plan: it gets the one that the load had.
                if plan.kind != "view":
                    origin.execute(ADD_UP_IN_PLACE)
            if plan.mode == "first":
                raise DataError(f"{spec.label} was never loaded: run `haven load {spec.name}`")
            result = compare(
                plan,
                ours,
                theirs,
                limit=request.limit,
                with_values=request.with_values,
                is_same_moment=request.snapshot is not None,
            )
    except psycopg2.Error as error:
        result = _failure(spec, as_haven_error(error))
    except HavenError as error:
        result = _failure(spec, error)
    return replace(result, seconds=round(time.monotonic() - started, 3))


def _start_reading(session: PgConnection, snapshot: str | None) -> None:
    session.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
    with session.cursor() as cursor:
        if snapshot is not None:
            cursor.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot)))


def _failure(spec: TableSpec, error: HavenError) -> Reconciliation:
    return Reconciliation(spec.label, error=str(error), error_code=error.exit_code)


def record(session: PgConnection, spec: TableSpec, result: Reconciliation, run_id: str) -> None:
    """Write the ops.reconciliations row of `result` and commit. Keys are kept, values never."""
    kept = [replace(d, values={}).as_dict() for d in result.named[:STORED_KEYS]]
    with session, session.cursor() as cursor:
        cursor.execute(
            """
            insert into ops.reconciliations (
                run_id, source_name, table_name, raw_schema, raw_table, status, started_at, finished_at,
                source_rows, raw_rows, missing_rows, extra_rows, different_rows, pending_rows, match_pct,
                column_differences, lacking_columns, key_columns, sample_keys, error
            ) values (
                %s, %s, %s, %s, %s, %s, clock_timestamp() - make_interval(secs => %s), clock_timestamp(),
                %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s
            )
            """,
            (
                run_id, spec.source_name, spec.name, spec.raw_schema, spec.raw_table, result.status,
                result.seconds, result.source_rows, result.raw_rows, result.missing, result.extra,
                result.different, result.pending, result.match_pct, json.dumps(result.columns),
                json.dumps(result.lacking), json.dumps(result.key_columns), json.dumps(kept), result.error,
            ),
        )  # fmt: skip
