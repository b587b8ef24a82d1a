"""The two embedded clusters of the harness, and the ways to hurt them."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as PgConnection

from crash.shop import NAME
from runner import embedded
from runner.connect import connect
from runner.embedded import place, server
from runner.errors import UnreachableError
from runner.settings import Connection, Side, read_state

PATIENCE_S = 60.0
# Everything Haven opens is named so.
_SESSIONS = "select pid from pg_stat_activity where application_name like 'haven%' and datname = current_database()"


@dataclass(frozen=True)
class Servers:
    """Two running clusters in `home`; `source` and `warehouse` are the databases used in them."""

    home: Path
    source: Connection
    warehouse: Connection

    @staticmethod
    def up(home: Path) -> Servers:
        """Start both clusters in an empty folder."""
        embedded.up(home)
        state = read_state(home) or {}
        return Servers(
            home, Connection(side="source", **state["source"]), Connection(side="warehouse", **state["warehouse"])
        )

    def open(self, side: Side) -> PgConnection:
        """Return the harness's own session; waits for a server that recovers."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return connect(getattr(self, side), application_name=NAME)
            except UnreachableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def loader_pids(self, session: PgConnection) -> list[int]:
        """Return the backends that serve the loader."""
        with session, session.cursor() as cursor:
            cursor.execute(_SESSIONS)
            return [row[0] for row in cursor.fetchall()]

    def terminate(self, side: Side, rng: random.Random) -> str:
        """End one, or all, of the loader's sessions as an administrator would; return what was done."""
        with closing(self.open(side)) as session:
            pids = self.loader_pids(session)
            if pids and rng.random() < 0.7:
                pids = [rng.choice(pids)]
            with session, session.cursor() as cursor:
                cursor.execute("select pg_terminate_backend(pid) from unnest(%s::int[]) as pid", (pids,))
        return f"{len(pids)} sessions ended"

    def kill_backend(self, side: Side, rng: random.Random) -> str:
        """SIGKILL one of the loader's backends; the server restarts all of its sessions and recovers."""
        with closing(self.open(side)) as session:
            pids = self.loader_pids(session)
            if not pids:
                return "no session was there"
            os.kill(rng.choice(pids), signal.SIGKILL)
        return "a backend killed"

    def crash(self, side: Side, rng: random.Random) -> str:
        """Stop the whole server as `pg_ctl stop -m immediate` does, and start it after a moment."""
        state = read_state(self.home) or {}
        data_dir = Path(state["data_root"]) / side
        process = server.postmaster(data_dir)
        assert process is not None
        process.send_signal(signal.SIGQUIT)
        while server.postmaster(data_dir) is not None:
            time.sleep(0.02)
        pause_s = rng.uniform(0, 0.5)
        time.sleep(pause_s)
        server.start(place.binaries(), data_dir, side)
        return f"down for {pause_s:.1f} s and the start"

    def wait_until_idle(self, side: Side) -> float:
        """Wait until the server is up and no session of the loader is left; return the seconds it took.

        Raises TimeoutError: a session stays.
        """
        started = time.monotonic()
        pids: list[int] | None = None
        while pids != []:
            if time.monotonic() - started > PATIENCE_S:
                raise TimeoutError(f"{side}: the loader's sessions {pids} stay")
            # A server that has just lost a backend may let us in and end us a moment later.
            with suppress(psycopg2.Error), closing(self.open(side)) as session:
                pids = self.loader_pids(session)
            time.sleep(0.01)
        return time.monotonic() - started
