"""The circuit breaker: a source that was out of reach several runs in a row is left alone for a while.

Each run retries by itself; the breaker keeps a scheduler that starts a run every few minutes from hammering a
database that is trying to come back. After the wait one run tries once; if that fails, the next wait is twice as long.
Pattern: M. Nygard, "Release It!" (2007), "Circuit Breaker".
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2.extensions import connection as PgConnection

from runner.errors import HavenError, UnreachableError

OPENS_AFTER_RUNS = 3
FIRST_WAIT_S = 60
LONGEST_WAIT_S = 30 * 60


@dataclass(frozen=True)
class Breaker:
    """The breaker of one source, kept in ops.circuit_breakers through the warehouse session `control`."""

    control: PgConnection
    source: str

    def check(self) -> bool:
        """Return whether this run is the one that tries again after a wait, and so must try only once.

        Raises UnreachableError while the breaker is open.
        """
        with self.control, self.control.cursor() as cursor:
            cursor.execute(
                "select failed_runs, retry_at > now(), "
                "ceil(extract(epoch from retry_at - now()))::int, last_error "
                "from ops.circuit_breakers where source = %s",
                (self.source,),
            )
            row = cursor.fetchone()
        if row is None:
            return False
        failed_runs, is_waiting, wait_s, last_error = row
        if is_waiting:
            raise UnreachableError(
                f"source {self.source} could not be reached by {failed_runs} runs in a row, the next try "
                f"is in {wait_s} s (--retry-now tries at once); the last one said: {last_error}"
            )
        return bool(failed_runs >= OPENS_AFTER_RUNS)

    def failed(self, error: HavenError) -> None:
        """Count a run that could not reach the source."""
        with self.control, self.control.cursor() as cursor:
            cursor.execute(
                """
                insert into ops.circuit_breakers as stored
                    (source, failed_runs, last_failed_at, retry_at, last_error)
                values (%(source)s, 1, now(), now(), %(error)s)
                on conflict (source) do update set
                    failed_runs = stored.failed_runs + 1,
                    last_failed_at = now(),
                    retry_at = now() + case
                        when stored.failed_runs + 1 < %(opens_after)s then interval '0'
                        else make_interval(secs => least(
                            %(first)s * power(2.0, stored.failed_runs + 1 - %(opens_after)s),
                            %(longest)s
                        ))
                    end,
                    last_error = excluded.last_error
                """,
                {
                    "source": self.source,
                    "error": str(error),
                    "opens_after": OPENS_AFTER_RUNS,
                    "first": FIRST_WAIT_S,
                    "longest": LONGEST_WAIT_S,
                },
            )

    def succeeded(self) -> None:
        """Forget earlier failures."""
        with self.control, self.control.cursor() as cursor:
            cursor.execute("delete from ops.circuit_breakers where source = %s", (self.source,))
