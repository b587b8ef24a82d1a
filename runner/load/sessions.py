"""The sessions of a run's workers: one pair for each thread, kept from table to table, and a way to stop them all."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as PgConnection

from runner.connect import connect
from runner.errors import DataError, HavenError, UnreachableError
from runner.settings import Connection

# How long a server may take to cancel a statement before its connection is cut.
GRACE_S = 2.0
# A cancel that comes between two statements has no effect, so it is sent again.
AGAIN_S = 0.25


class SnapshotLost(Exception):
    """The session that keeps the run's source snapshot is gone; `cause` is what ended it."""

    def __init__(self, cause: HavenError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Stopped(Exception):
    """The run was stopped from outside; what this worker did is rolled back."""


@dataclass(frozen=True)
class SessionPair:
    """A session in the source, inside the run's snapshot, and one in the warehouse."""

    source: PgConnection
    warehouse: PgConnection
    is_free: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """Have both servers cancel what they do; cut the connections if that does not help in time."""
        # Threads of their own: a cancel is a new connection, and a server that hangs never answers it.
        for session in (self.source, self.warehouse):
            threading.Thread(target=self._cancel, args=(session,), daemon=True).start()
        if not self.is_free.wait(GRACE_S):
            for session in (self.source, self.warehouse):
                with suppress(psycopg2.Error, OSError), socket.socket(fileno=os.dup(session.fileno())) as cut:
                    cut.shutdown(socket.SHUT_RDWR)

    def _cancel(self, session: PgConnection) -> None:
        with suppress(psycopg2.Error):
            while not self.is_free.is_set():
                session.cancel()
                self.is_free.wait(AGAIN_S)

    def close(self) -> None:
        """Close both; the servers roll back what was open."""
        for session in (self.source, self.warehouse):
            with suppress(psycopg2.Error):
                session.close()


class Pool:
    """Lends each worker thread its pair. `snapshot` is the exported source snapshot all of them read."""

    def __init__(
        self,
        source: Connection,
        warehouse: Connection,
        *,
        snapshot: str,
        keeper: PgConnection,
        run_id: str,
        lock_timeout_s: float,
    ) -> None:
        self._source, self._warehouse = source, warehouse
        self._snapshot, self._keeper = snapshot, keeper
        self._name = f"haven load {run_id}"
        self._lock_timeout_s = lock_timeout_s
        self._local = threading.local()
        self._pairs: list[SessionPair] = []
        self.stopped = threading.Event()

    @contextmanager
    def lend(self, label: str, timeout_s: float) -> Iterator[SessionPair]:
        """Lend this thread's pair for the work on table `label`; a pair whose work failed is closed.

        Raises:
            DataError: the work took longer than `timeout_s` seconds.
            Stopped: `stop` was called.
            UnreachableError: there was no pair yet and none could be opened.
            SnapshotLost: the run's snapshot is gone.
        """
        if self.stopped.is_set():
            raise Stopped
        pair: SessionPair | None = getattr(self._local, "pair", None)
        if pair is None:
            pair = self._local.pair = self._open()
        too_late = threading.Event()

        def stop_late() -> None:
            too_late.set()
            pair.stop()

        timer = threading.Timer(timeout_s, stop_late)
        timer.daemon = True
        pair.is_free.clear()
        timer.start()
        try:
            if self.stopped.is_set():  # in time for neither this pair nor its timer to be seen by `stop`
                raise Stopped
            self._prepare(pair, label, timeout_s)
            yield pair
        except BaseException as error:
            pair.is_free.set()
            self._discard(pair)
            if self.stopped.is_set():
                raise Stopped from error
            if too_late.is_set():
                raise DataError(
                    f"{label} took longer than its timeout of {timeout_s:g} s and was stopped; nothing of "
                    "it was kept. Give it more with `timeout` in the sources YAML"
                ) from None
            raise
        finally:
            pair.is_free.set()
            timer.cancel()
            timer.join()
            if too_late.is_set() and pair in self._pairs:
                self._discard(pair)  # done just in time, but the cancel may still come

    def _discard(self, pair: SessionPair) -> None:
        self._local.pair = None
        pair.close()
        self._pairs.remove(pair)

    def _open(self) -> SessionPair:
        reader = connect(self._source, application_name=self._name)
        try:
            reader.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
            writer = connect(self._warehouse, application_name=self._name)
        except BaseException:
            reader.close()
            raise
        pair = SessionPair(reader, writer)
        self._pairs.append(pair)
        return pair

    def _prepare(self, pair: SessionPair, label: str, timeout_s: float) -> None:
        """Begin in the run's snapshot, name the sessions after their work, and bound each statement's time."""
        # The locks of the table before go: its owner need not wait for the others' loads.
        pair.source.rollback()
        with pair.source.cursor() as cursor:
            try:
                cursor.execute("set transaction snapshot %s", (self._snapshot,))
            except psycopg2.Error as error:
                raise SnapshotLost(
                    UnreachableError(
                        f"the source's snapshot is gone: {' '.join(str(error).split())}", is_transient=True
                    )
                ) from error
        for session in (pair.source, pair.warehouse):
            with session.cursor() as cursor:
                cursor.execute(
                    "select set_config('application_name', %s, false), "
                    "set_config('lock_timeout', %s, false), "
                    "set_config('statement_timeout', %s, false)",
                    (
                        f"{self._name} {label}",
                        f"{self._lock_timeout_s * 1000:.0f}",
                        # A little later than the timer here, which gives the better message.
                        f"{(timeout_s + GRACE_S) * 1000:.0f}",
                    ),
                )

    def is_alive(self) -> bool:
        """Return whether the snapshot can still be joined."""
        try:
            with self._keeper.cursor() as cursor:
                cursor.execute("select 1")
        except psycopg2.Error:
            return False
        return True

    def stop(self) -> None:
        """Cancel all work; workers raise Stopped. Returns when no connection is in use any more."""
        self.stopped.set()
        threads = [threading.Thread(target=pair.stop, daemon=True) for pair in list(self._pairs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def close(self) -> None:
        """Close all sessions; no worker may be at work."""
        for pair in self._pairs:
            pair.close()


def set_lock_timeout(session: PgConnection, seconds: float) -> None:
    """Bound how long statements of `session` wait for a locked table."""
    with session, session.cursor() as cursor:
        cursor.execute("select set_config('lock_timeout', %s, false)", (f"{seconds * 1000:.0f}",))


def end_backend(session: PgConnection, pid: int, run_id: str) -> None:
    """End backend `pid` of this run's, if it still lives, and wait until it is gone.

    After a broken connection it may still hold locks, or be about to commit.
    """
    with session.cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity "
            "where pid = %s and starts_with(application_name, %s) and pid <> pg_backend_pid()",
            (pid, f"haven load {run_id}"),
        )


def wait_or_stop(pool: Pool, seconds: float) -> None:
    """Sleep, unless the pool is stopped meanwhile. Raises Stopped."""
    if pool.stopped.wait(seconds):
        raise Stopped
