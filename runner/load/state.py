"""The runner's state in the warehouse's ops schema: tables, locks, runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import psycopg2
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from runner.connect import connect, explained
from runner.errors import LockedError
from runner.settings import Connection

# First half of every advisory lock Haven takes: 'HAVN' in ASCII, so that others' locks do not meet ours.
LOCK_SPACE = 0x4841564E
_SETUP_LOCK = 0


def prepare(session: PgConnection) -> None:
    """Bring the ops schema up to date, in one transaction; two runs may start at once.

    The digest of ops.sql is kept in the schema's comment: only a changed file is run.
    """
    ddl = resources.files("runner.load").joinpath("ops.sql").read_text(encoding="utf-8")
    comment = f"The runner's own state (ops.sql {hashlib.sha256(ddl.encode()).hexdigest()[:12]})."
    with session, session.cursor() as cursor:
        cursor.execute("select obj_description(to_regnamespace('ops'), 'pg_namespace')")
        if cursor.fetchone() == (comment,):
            return
        cursor.execute("select pg_advisory_xact_lock(%s, %s)", (LOCK_SPACE, _SETUP_LOCK))
        cursor.execute(ddl)
        cursor.execute("comment on schema ops is %s", (comment,))


def lock_source(session: PgConnection, source: Connection) -> None:
    """Take this source's lock for as long as `session` lives.

    Raises LockedError naming the holder if another load of the same source is under way.
    """
    name = _source_name(source)
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
    raise LockedError(f"source {name} is being loaded by {holder}: wait for it, then try again")


def _source_name(source: Connection) -> str:
    """Return what tells one source from another, whoever connects."""
    return f"{source.host}:{source.port}/{source.dbname}"


def next_load_id(cursor: PgCursor) -> int:
    """Return a new load id; ids grow, so a table's newer load has the higher one."""
    cursor.execute("select nextval('ops.load_id_seq')")
    return int(cursor.fetchone()[0])  # type: ignore[index]


@dataclass
class RunRecord:
    """What the caller of `recorded_run` fills in before it ends: the outcome for ops.runs."""

    is_ok: bool = False
    summary: dict[str, Any] = field(default_factory=dict)


@contextmanager
def recorded_run(
    source: Connection, warehouse: Connection, *, run_id: str, command: str
) -> Iterator[RunRecord]:
    """Hold the source's lock and keep the run's row in ops.runs for as long as the block lasts.

    Raises:
        UnreachableError: the warehouse cannot be reached or is read-only.
        ConfigError: the role lacks a privilege.
        LockedError: another run of this source is under way.
    """
    record = RunRecord()
    with closing(connect(warehouse, application_name=f"haven {command} {run_id}")) as session:
        with explained():
            prepare(session)
            lock_source(session, source)
            with session, session.cursor() as cursor:
                # Who holds the lock is alone: a run that still says so was killed.
                cursor.execute(
                    "update ops.runs set status = 'failed', finished_at = now() "
                    "where source = %s and status = 'running'",
                    (_source_name(source),),
                )
                cursor.execute(
                    "insert into ops.runs (run_id, source, command, status) "
                    "values (%s, %s, %s, 'running')",
                    (run_id, _source_name(source), command),
                )
        try:
            yield record
        finally:
            # A broken session must not hide the error that broke it.
            with suppress(psycopg2.Error), session, session.cursor() as cursor:
                # A backend outlives its client for a moment; the next run must not meet the lock.
                cursor.execute("select pg_advisory_unlock_all()")
                cursor.execute(
                    "update ops.runs set status = %s, finished_at = clock_timestamp(), "
                    "summary = %s where run_id = %s",
                    ("ok" if record.is_ok else "failed", json.dumps(record.summary), run_id),
                )
