"""Runs and their locks: who loads a source, since when, and how it ended."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from runner.backoff import Backoff
from runner.connect import connect, explained
from runner.errors import HavenError, LockedError, UnreachableError
from runner.ops.migrate import LOCK_SPACE, prepare
from runner.ops.owner import as_owner
from runner.settings import Connection


def lock_source(session: PgConnection, source: Connection, raw_schemas: Sequence[str] = ()) -> None:
    """Lock this source, and what is written: the raw schemas, for as long as `session` lives.

    A source may be spelled in several ways, so that its name alone keeps no two loads apart.

    Raises LockedError naming the holder if another load of one of them is under way.
    """
    _lock(session, source.place, f"source {source.place}")
    for name in sorted(raw_schemas):
        _lock(session, f"raw {name}", f"raw schema {name}")


def _lock(session: PgConnection, name: str, what: str) -> None:
    with session, session.cursor() as cursor:
        cursor.execute("select hashtext(%s)", (name,))
        key = cursor.fetchone()[0]  # type: ignore[index]
        cursor.execute("select pg_try_advisory_lock(%s, %s)", (LOCK_SPACE, key))
        if cursor.fetchone() == (True,):
            return
        cursor.execute(
            """
            select activity.application_name, activity.pid, activity.backend_start::timestamptz(0)
            from pg_locks as locks
            inner join pg_stat_activity as activity on locks.pid = activity.pid
            where locks.locktype = 'advisory' and locks.granted
                and activity.datname = current_database()
                and locks.classid::bigint = %s and locks.objid = (%s::bigint & 4294967295)
            """,
            (LOCK_SPACE, key),
        )
        row = cursor.fetchone()
    holder = f"{row[0]} (backend {row[1]}, since {row[2]})" if row else "a run that just ended"
    raise LockedError(f"{what} is being loaded by {holder}: wait for it, then try again")


def next_load_ids(cursor: PgCursor, count: int = 1) -> list[int]:
    """Return new load ids; they grow, so a table's newer load has the higher one."""
    cursor.execute("select nextval('ops.load_id_seq') from generate_series(1, %s)", (count,))
    return [load_id for (load_id,) in cursor.fetchall()]


def note_removed_files(session: PgConnection, run_id: str, count: int) -> None:
    """Write into an erasure's audit row how many files were removed. Raises HavenError."""
    with explained(), session, session.cursor() as cursor:
        as_owner(
            cursor, "ops.erasures", "update ops.erasures set removed_files = %s where run_id = %s", (count, run_id)
        )


def check_still_ours(cursor: PgCursor, run_id: str) -> None:
    """Make sure that no other run has taken over, and that none can before this transaction ends.

    A run that loses its lock with its session may go on for a moment. The next one closes its row of ops.runs
    first; that update and this lock on the row keep them apart.

    Raises LockedError if it has happened.
    """
    row = as_owner(
        cursor,
        "ops.runs",
        "select to_jsonb(run_id) from ops.runs where run_id = %s and status = 'running' for share",
        (run_id,),
    )
    if row is None:
        raise LockedError(f"run {run_id} lost its lock and another run has taken over")


@dataclass
class RunRecord:
    """A run that holds its source's lock; the caller says in `is_ok` and `summary` how it ended, for ops.runs."""

    run_id: str
    command: str
    source: Connection
    warehouse: Connection
    raw_schemas: tuple[str, ...] = ()
    is_ok: bool = False
    summary: dict[str, Any] = field(default_factory=dict)
    _session: PgConnection | None = None
    _has_begun: bool = False
    _has_released: bool = False
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def hold(self) -> None:
        """Take the lock, or make sure that it is still held; a session that broke is replaced.

        Raises:
            UnreachableError: the warehouse cannot be reached or is read-only.
            ConfigError: the role lacks a privilege.
            LockedError: another run of this source is under way.
        """
        with self._one_at_a_time:
            if self._session is not None:
                with suppress(psycopg2.Error), self._session, self._session.cursor() as cursor:
                    cursor.execute("select 1")
                    return
                self._session.close()
            session = connect(self.warehouse, application_name=f"haven {self.command} {self.run_id}")
            try:
                self._take(session)
            except BaseException:
                session.close()  # without the lock it must not pass for the one that holds it
                raise
            self._session = session
            self._has_begun = True

    def _take(self, session: PgConnection) -> None:
        with explained():
            with session, session.cursor() as cursor:
                cursor.execute("set search_path to pg_catalog, pg_temp")
            prepare(session)
            with session, session.cursor() as cursor:
                # After a broken connection the server may not have noticed yet that we are gone. Only the backend
                # that has the lock: the run's other sessions have the same name.
                cursor.execute(
                    "select pg_terminate_backend(locks.pid, 1000) from pg_locks as locks "
                    "inner join pg_stat_activity as activity on locks.pid = activity.pid "
                    "where locks.locktype = 'advisory' and locks.classid::bigint = %s "
                    "and activity.application_name = current_setting('application_name') "
                    "and locks.pid <> pg_backend_pid()",
                    (LOCK_SPACE,),
                )
            if self._has_released:
                return  # a session to write the run's end with
            lock_source(session, self.source, self.raw_schemas)
            with session, session.cursor() as cursor:
                if self._has_begun:
                    check_still_ours(cursor, self.run_id)
                else:
                    self._begin(cursor)

    def _begin(self, cursor: PgCursor) -> None:
        # Who holds the lock loads alone: a run that still says that it loads was killed. One that builds has a lock.
        as_owner(
            cursor,
            "ops.runs",
            "update ops.runs set status = 'failed', finished_at = now() "
            "where (source = %s or raw_schemas && %s::text[]) and status = 'running' and run_id <> %s "
            "and (loading_from is not null or not exists ("
            "select from pg_locks where locktype = 'advisory' and granted and classid::bigint = %s "
            "and objid = (hashtext(runs.run_id)::bigint & 4294967295)))",
            (self.source.place, list(self.raw_schemas), self.run_id, LOCK_SPACE),
        )
        as_owner(
            cursor,
            "ops.runs",
            "insert into ops.runs (run_id, source, raw_schemas, command, status, loading_from) "
            "select %s, %s, %s, %s, 'running', last_value from ops.load_id_seq "
            "on conflict do nothing",  # the answer to an earlier try's commit was lost
            (self.run_id, self.source.place, list(self.raw_schemas), self.command),
        )

    def release(self) -> None:
        """Let others load the source, while this run builds. Its row goes on, and a lock says that it lives.

        No load of this run may come after this.
        """
        with self._one_at_a_time, suppress(psycopg2.Error):
            if self._session is not None:
                with self._session, self._session.cursor() as cursor:
                    # Together: without a lock it would be taken for dead.
                    cursor.execute(
                        "select pg_advisory_unlock_all(), pg_advisory_lock_shared(%s, hashtext(%s))",
                        (LOCK_SPACE, self.run_id),
                    )
            self._has_released = True

    def has_loaded(self) -> None:
        """Note that no load of this run will commit any more, so that models built from here on take all for read.

        Left out (the warehouse is gone, or the process was killed), models only read some rows twice.
        """
        with suppress(HavenError, psycopg2.Error):
            self.hold()
            session = self._session
            if session is None:
                return
            with session, session.cursor() as cursor:
                as_owner(
                    cursor, "ops.runs", "update ops.runs set loading_from = null where run_id = %s", (self.run_id,)
                )

    def end(self) -> None:
        """Write how the run ended and give the lock back; a warehouse that is gone is left alone."""
        # A warehouse that is gone must not hide the error that said so.
        with suppress(HavenError):
            if self._has_begun:
                self.hold()
        if self._session is None:
            return
        with closing(self._session) as session, suppress(psycopg2.Error):
            with session, session.cursor() as cursor:
                as_owner(
                    cursor,
                    "ops.runs",
                    "update ops.runs set status = %s, finished_at = clock_timestamp(), "
                    "loading_from = null, summary = %s where run_id = %s and (status = 'running' or %s)",
                    (
                        "ok" if self.is_ok else "failed",
                        json.dumps(self.summary),
                        self.run_id,
                        self._has_released,  # it may have been taken for dead while its lock's session was
                    ),
                )
            with session, session.cursor() as cursor:
                # A backend outlives its client for a moment; the next run must not meet the lock.
                cursor.execute("select pg_advisory_unlock_all()")


@contextmanager
def recorded_run(
    source: Connection,
    warehouse: Connection,
    *,
    run_id: str,
    command: str,
    raw_schemas: Sequence[str] = (),
    retries: int = 0,
    on_retry: Callable[[str, str, float], None] = lambda what, reason, wait_s: None,
) -> Iterator[RunRecord]:
    """Lock the source and the raw schemas, and keep the run's row in ops.runs, for as long as the block lasts.

    A warehouse that cannot be reached is tried `retries` times more; `on_retry` gets "run", the reason, the seconds.

    Raises what `RunRecord.hold` raises.
    """
    record = RunRecord(run_id, command, source, warehouse, tuple(raw_schemas))
    backoff = Backoff(retries)
    try:
        while True:
            try:
                record.hold()
                break
            except UnreachableError as error:
                if backoff.is_spent or not error.is_transient:
                    raise
                wait_s = backoff.next_wait()
                on_retry("run", str(error), wait_s)
                time.sleep(wait_s)
        yield record
    finally:
        record.end()
