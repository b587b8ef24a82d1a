"""One build of a set of schemas at a time: commands take the claim that dbt takes on run start (macros/builds)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from runner.connect import connect, explained
from runner.errors import LockedError
from runner.ops import LOCK_SPACE, as_owner
from runner.settings import Settings

# How the claim refuses, in dbt's output.
LOCKED = "are being built by"
_PAUSE_S = 0.2
TOKEN = "HAVEN_BUILD_TOKEN"  # noqa: S105 (it tells runs apart and opens nothing)


@dataclass
class BuildClaim:
    """The claim of one run on the schemas that its target builds, kept by a session of dbt's own login.

    Its login, and as the owner of the claim's table: an operator's rights are not for what dbt may have put there.
    """

    settings: Settings
    run_id: str
    command: str
    _session: PgConnection | None = field(default=None, repr=False)

    @property
    def env(self) -> dict[str, str]:
        """Return what makes dbt a part of this claim; nothing where none was taken."""
        return {TOKEN: self.run_id} if self._session is not None else {}

    def take(self, before_wait: Callable[[], None] = lambda: None) -> None:
        """Take the claim, again after the connection broke; there is none where dbt has never built yet.

        `before_wait` is called if there is one.

        Raises LockedError, naming the holder, if others build for longer than HAVEN_BUILD_WAIT seconds, and what
        `connect` raises.
        """
        self._close()
        gives_up_at = time.monotonic() + self.settings.whole_number("HAVEN_BUILD_WAIT", 10)
        dbt = self.settings.connection("warehouse")
        user, password = self.settings.transformer
        name = f"haven {self.command} {self.run_id} build"
        session = connect(replace(dbt, user=user, password=password), application_name=name)
        session.autocommit = True
        try:
            with explained(), session.cursor() as cursor:
                cursor.execute("set default_transaction_isolation = 'read committed'")
                cursor.execute("select to_regclass(%s)", (self._table,))
                if cursor.fetchone() == (None,):
                    session.close()
                    return
                before_wait()
                cursor.execute("select pg_advisory_lock_shared(%s, hashtext(%s))", (LOCK_SPACE, self.run_id))
                while holder := self._ask(cursor):
                    if time.monotonic() > gives_up_at:
                        raise LockedError(str(holder))
                    time.sleep(_PAUSE_S)  # here, not in the server, as libpq would not hear of Ctrl-C
        except BaseException:
            session.close()
            raise
        self._session = session

    @property
    def _table(self) -> str:
        schema = f"{self.settings.schema_prefix}model_state".replace('"', '""')
        return f'"{schema}".build_claim'

    def _ask(self, cursor: PgCursor) -> object:
        """Return who builds, None if the claim is ours now."""
        schema = sql.Identifier(f"{self.settings.schema_prefix}model_state")
        statement = sql.SQL("select to_jsonb({}.claim_build(%s, %s, true, 0))").format(schema)
        return as_owner(cursor, self._table, statement.as_string(cursor), (self.run_id, f"haven {self.command}"))

    def release(self) -> None:
        """Give the claim back; a warehouse that is gone is left alone, as the claim ends with the session."""
        if self._session is not None:
            with suppress(psycopg2.Error), self._session.cursor() as cursor:
                statement = f"delete from {self._table} where token = %s"
                as_owner(cursor, self._table, statement, (self.run_id,))
        self._close()

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None


@contextmanager
def claimed_build(
    settings: Settings, *, run_id: str, command: str, before_wait: Callable[[], None] = lambda: None
) -> Iterator[BuildClaim]:
    """Hold the claim for as long as the block lasts. Raises what `BuildClaim.take` raises."""
    claim = BuildClaim(settings, run_id, command)
    claim.take(before_wait)
    try:
        yield claim
    finally:
        claim.release()
