"""Numbers everything a load says to its two servers, and dies of SIGKILL before the n-th.

Works from outside: sessions made by psycopg2.connect become ones that count, and the COPY stream's class is wrapped.
A point is: before each statement, before and after each commit, in the middle of each piece of COPY that is written.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from runner.load.wire import Wire

_WORDS = 6


class Counter:
    """Counts points over all threads; dies at number `at`, of those whose name begins with `words` (0: never)."""

    def __init__(self, at: int, words: str = "") -> None:
        self.at, self.words, self.count = at, words, 0
        self._lock = threading.Lock()

    def reach(self, name: str, last_act: Callable[[], object] = lambda: None) -> None:
        """Say on standard output that point `name` is reached; if it is the one, do `last_act` and die."""
        with self._lock:
            print(name, flush=True)  # a SIGKILL from outside keeps no buffer
            self.count += name.startswith(self.words)
            if self.count == self.at and name.startswith(self.words):
                last_act()
                os.kill(os.getpid(), signal.SIGKILL)


def install(counter: Counter, warehouse_port: int) -> None:
    """Have all sessions that this process opens from now on report to `counter`."""
    original = psycopg2.connect

    def side(session: PgConnection) -> str:
        return "warehouse" if session.info.port == warehouse_port else "source"

    class Cursor(PgCursor):
        def execute(self, query: str | sql.Composable, vars: Any = None) -> None:
            text = query if isinstance(query, str) else query.as_string(self)
            counter.reach(f"before {side(self.connection)}: {_short(text)}")
            super().execute(query, vars)

    class Session(PgConnection):
        def cursor(self, *args: Any, **kwargs: Any) -> PgCursor:
            return super().cursor(*args, **({"cursor_factory": Cursor} | kwargs))  # type: ignore[no-any-return]

        def commit(self) -> None:
            counter.reach(f"before {side(self)}: commit")
            super().commit()
            counter.reach(f"after {side(self)}: commit")

    def connect(*args: Any, **kwargs: Any) -> PgConnection:
        return original(*args, **kwargs, connection_factory=Session)

    psycopg2.connect = connect
    write_some, start = Wire.write_some, Wire.start
    copies: dict[int, str] = {}

    def counted_start(wire: Wire, statement: bytes, *args: Any, **kwargs: Any) -> None:
        copies[id(wire)] = _short(statement.decode())
        start(wire, statement, *args, **kwargs)

    def counted_write(wire: Wire, view: memoryview) -> int:
        counter.reach(
            f"in the middle of {side(wire.session)}: {copies[id(wire)]}",
            lambda: write_some(wire, view[: len(view) // 2]),
        )
        return write_some(wire, view)

    Wire.start, Wire.write_some = counted_start, counted_write  # type: ignore[method-assign]


def _short(statement: str) -> str:
    return " ".join(statement.split()[:_WORDS])[:70]
