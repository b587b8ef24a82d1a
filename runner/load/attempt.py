"""One attempt of a load: all tables as of one exported source snapshot, by parallel workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as PgConnection

from runner.connect import as_haven_error, connect, explained, is_connection_error
from runner.contract import Contract
from runner.errors import HavenError
from runner.load.breaker import Breaker
from runner.load.jobs import Job
from runner.load.marks import read_marks
from runner.load.outcome import LoadRequest, TableOutcome
from runner.load.plan import TablePlan, not_planned, plan_all
from runner.load.sessions import Pool, SessionPair, SnapshotLost, set_lock_timeout
from runner.load.table import record
from runner.ops import RunRecord, next_load_ids
from runner.settings import Connection


@dataclass(frozen=True)
class Listener:
    """Called as the load goes on, from worker threads: tables to plan, plans, bytes, tables done, failed tries.

    `on_retry` gets the table's label (or "source"), the reason and the seconds until the next try. `on_loaded` gets
    the source snapshot that all tables were read from, which can be joined until it returns, and what became of them.
    """

    on_plans: Callable[[Sequence[TablePlan]], None] = lambda plans: None
    on_bytes: Callable[[str, int], None] = lambda table, count: None
    on_done: Callable[[TableOutcome], None] = lambda outcome: None
    on_retry: Callable[[str, str, float], None] = lambda what, reason, wait_s: None
    on_loaded: Callable[[str, Sequence[TableOutcome]], None] = lambda snapshot, outcomes: None
    on_planning: Callable[[int], None] = lambda tables: None


@dataclass
class Attempt:
    """Loads all tables as of one source snapshot; `outcomes` adds up over the rounds of a run."""

    contract: Contract
    source: Connection
    warehouse: Connection
    request: LoadRequest
    run: RunRecord
    listener: Listener

    def __post_init__(self) -> None:
        self.name = f"haven load {self.run.run_id}"
        self.outcomes: dict[str, TableOutcome] = {}

    def load(self) -> None:
        """Load all tables. Raises SnapshotLost if a new attempt may do better, else HavenError or psycopg2.Error."""
        try:
            self.run.hold()
            with (
                closing(connect(self.warehouse, application_name=self.name)) as control,
                closing(connect(self.source, application_name=self.name)) as keeper,
            ):
                self._load_with(control, keeper)
        except (psycopg2.Error, HavenError) as error:
            if not is_connection_error(error):
                raise
            reason = as_haven_error(error) if isinstance(error, psycopg2.Error) else error
            raise SnapshotLost(reason) from error

    def _load_with(self, control: PgConnection, keeper: PgConnection) -> None:
        for session in (control, keeper):
            set_lock_timeout(session, self.request.lock_timeout_s)
        self.listener.on_planning(len(self.contract.tables))
        snapshot, plans, failures = self._begin(control, keeper)
        self.listener.on_plans(plans)
        for outcome in failures:
            self._done(outcome)
        pool = Pool(
            self.source,
            self.warehouse,
            snapshot=snapshot,
            keeper=keeper,
            run_id=self.run.run_id,
            lock_timeout_s=self.request.lock_timeout_s,
        )
        job = Job(
            pool=pool,
            request=self.request,
            run_id=self.run.run_id,
            hold=self.run.hold,
            on_bytes=self.listener.on_bytes,
            on_retry=self.listener.on_retry,
        )
        with closing(pool), ThreadPoolExecutor(max_workers=self.request.workers) as workers:
            try:
                for future in as_completed(self._submit(workers, job, plans, control)):
                    self._done(future.result())
            except BaseException:
                workers.shutdown(wait=False, cancel_futures=True)
                pool.stop()
                raise
        try:
            self._finish(control)
        except psycopg2.Error as error:
            if not is_connection_error(error):
                raise
            # It was idle while the workers went on, each over its own broken connections.
            with closing(connect(self.warehouse, application_name=self.name)) as again:
                self._finish(again)
        self.listener.on_loaded(snapshot, list(self.outcomes.values()))

    def _finish(self, control: PgConnection) -> None:
        self._record_failures(control)
        Breaker(control, self.source.place).succeeded()

    def _begin(self, control: PgConnection, keeper: PgConnection) -> tuple[str, list[TablePlan], list[TableOutcome]]:
        """Start the snapshot and plan, in a thread: libpq, waiting for a lock, would not hear of Ctrl-C."""
        pair = SessionPair(keeper, control)

        def work() -> tuple[str, list[TablePlan], list[TableOutcome]]:
            try:
                # Before the snapshot: whatever is found to have ended by then is seen by it.
                keeper.autocommit = True
                marks = read_marks(keeper, control, self.contract.tables)
                snapshot = _export_snapshot(keeper)
                plans, failures = plan_all(self.contract, keeper, control, self.request, marks)
                _create_schemas(control, {plan.spec.raw_schema for plan in plans})
                return snapshot, plans, failures
            finally:
                pair.is_free.set()

        with ThreadPoolExecutor(max_workers=1) as aside:
            future = aside.submit(work)
            try:
                return future.result()
            except BaseException:
                pair.stop()
                raise

    def _submit(
        self, workers: ThreadPoolExecutor, job: Job, plans: Sequence[TablePlan], control: PgConnection
    ) -> list[Future[TableOutcome]]:
        """Hand out the tables, largest first."""
        with control, control.cursor() as target:
            load_ids = next_load_ids(target, len(plans))
        largest_first = sorted(plans, key=lambda plan: -plan.size_bytes)
        return [workers.submit(job.load, plan, load_id) for plan, load_id in zip(largest_first, load_ids, strict=True)]

    def _done(self, outcome: TableOutcome) -> None:
        earlier = self.outcomes.get(outcome.table)
        if earlier is not None and earlier.error is None and outcome.error is None:
            outcome = outcome.after(earlier)
        self.outcomes[outcome.table] = outcome
        self.listener.on_done(outcome)

    def give_up(self, cause: HavenError) -> None:
        """Note that no further attempt will be tried. Raises `cause` if not one table was loaded."""
        with closing(connect(self.warehouse, application_name=self.name)) as control:
            try:
                connect(self.source, application_name=self.name).close()
            except HavenError as error:
                Breaker(control, self.source.place).failed(error)
            for spec in self.contract.tables:
                if spec.label not in self.outcomes:
                    self._done(not_planned(spec, cause))
            self._record_failures(control)
        if all(outcome.error for outcome in self.outcomes.values()):
            raise cause

    def _record_failures(self, control: PgConnection) -> None:
        specs = {spec.label: spec for spec in self.contract.tables}
        with control, control.cursor() as cursor:
            failed = [o for o in self.outcomes.values() if o.error and o.table in specs]
            for outcome, load_id in zip(failed, next_load_ids(cursor, len(failed)), strict=True):
                record(specs[outcome.table], cursor, outcome, self.run.run_id, load_id)


def _create_schemas(warehouse: PgConnection, names: set[str]) -> None:
    """Create raw schemas that are missing; asking first, as `if not exists` needs the privilege even then."""
    with explained(), warehouse, warehouse.cursor() as cursor:
        for name in sorted(names):
            cursor.execute("select 1 from pg_namespace where nspname = %s", (name,))
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("create schema {}").format(sql.Identifier(name)))


def _export_snapshot(session: PgConnection) -> str:
    """Start the run's read-only snapshot in `session`, which must stay open while it is used; return its name."""
    session.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True, autocommit=False)
    cursor = session.cursor()
    cursor.execute("select pg_export_snapshot()")
    return str(cursor.fetchone()[0])  # type: ignore[index]
