"""What a worker does: one table, again in new sessions when a connection breaks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import psycopg2

from runner.backoff import Backoff
from runner.connect import as_haven_error, is_connection_error
from runner.errors import DataError, HavenError
from runner.load.outcome import LoadRequest, TableOutcome
from runner.load.plan import TablePlan
from runner.load.sessions import Pool, SessionPair, SnapshotLost, end_backend, wait_or_stop
from runner.load.table import load_table


@dataclass(frozen=True)
class Job:
    """Everything the workers of one attempt share.

    `hold` makes sure that the run still has its lock, `on_bytes` and `on_retry` tell of progress.
    """

    pool: Pool
    request: LoadRequest
    run_id: str
    hold: Callable[[], None]
    on_bytes: Callable[[str, int], None]
    on_retry: Callable[[str, str, float], None]

    def load(self, plan: TablePlan, load_id: int) -> TableOutcome:
        """Load one table; a failure becomes its outcome.

        Raises SnapshotLost or Stopped: the whole attempt is over.
        """
        started = time.monotonic()
        backoff = Backoff(self.request.retries)
        done: list[TableOutcome] = []

        def work(pair: SessionPair) -> None:
            if done and _is_committed(pair, load_id):
                return
            with pair.source.cursor() as origin, pair.warehouse.cursor() as target:
                done[:] = [
                    load_table(
                        plan,
                        origin,
                        target,
                        run_id=self.run_id,
                        load_id=load_id,
                        on_bytes=lambda count: self.on_bytes(plan.spec.label, count),
                    )
                ]
            pair.warehouse.commit()

        try:
            self._persist(plan, work, backoff)
        except HavenError as error:
            return failure(plan, error, tries=backoff.tries, started=started)
        return replace(done[0], tries=backoff.tries, seconds=round(time.monotonic() - started, 3))

    def _persist(self, plan: TablePlan, work: Callable[[SessionPair], None], backoff: Backoff) -> None:
        """Do `work` with this thread's sessions, anew as long as connections break and tries are left.

        Raises HavenError for what no retry mends, SnapshotLost, Stopped.
        """
        label = plan.spec.label
        earlier: int | None = None
        while True:
            try:
                if backoff.tries > 1:
                    self.hold()
                with self.pool.lend(label, plan.timeout_s) as pair:
                    if earlier is not None:
                        end_backend(pair.warehouse, earlier, self.run_id)
                    earlier = pair.warehouse.info.backend_pid
                    work(pair)
                return
            except (psycopg2.Error, HavenError) as error:
                reason = _reason(plan, error) if isinstance(error, psycopg2.Error) else error
                is_deadlock = isinstance(error, psycopg2.errors.DeadlockDetected)
                if not is_deadlock and not is_connection_error(error):
                    raise reason from None
                if not self.pool.is_alive():
                    raise SnapshotLost(reason) from None
                if backoff.is_spent:
                    raise reason from None
            wait_s = backoff.next_wait()
            self.on_retry(label, str(reason), wait_s)
            wait_or_stop(self.pool, wait_s)


def _is_committed(pair: SessionPair, load_id: int) -> bool:
    """Return whether an earlier try was committed after all, its connection having broken too early to hear so."""
    with pair.warehouse.cursor() as cursor:
        cursor.execute("select from ops.table_loads where load_id = %s", (load_id,))
        return cursor.fetchone() is not None


def _reason(plan: TablePlan, error: psycopg2.Error) -> HavenError:
    """Return what a failed statement says, or what is wrong with the key that it failed for."""
    said = as_haven_error(error)
    missing = [name for name in plan.key if f'column "{name}"' in str(said)]
    if isinstance(error, psycopg2.errors.UniqueViolation):
        wrong = "rows of the source share one"
    elif isinstance(error, psycopg2.errors.NotNullViolation) and missing:
        wrong = f"a row of the source has no {missing[0]}"
    elif isinstance(error, psycopg2.errors.ProgramLimitExceeded) and "index row" in str(said):
        wrong = "one is longer than an index can hold (about 2,700 bytes)"
    else:
        return said
    return DataError(
        f"the key of {plan.spec.label} is ({', '.join(plan.key)}), and {wrong}: fix the rows, or name the columns "
        f"that tell rows apart with `primary_key` in {plan.spec.file}"
    )


def failure(plan: TablePlan, error: HavenError, *, tries: int = 1, started: float | None = None) -> TableOutcome:
    """Return the outcome of a planned table that failed; `started` is of the monotonic clock."""
    return TableOutcome(
        plan.spec.label,
        plan.spec.strategy,
        plan.mode,
        seconds=round(time.monotonic() - started, 3) if started else 0.0,
        error=str(error),
        exit_code=error.exit_code,
        tries=tries,
    )
