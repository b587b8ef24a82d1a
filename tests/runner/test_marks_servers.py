"""Watermarks where the source is more than one plain server: prepared transactions, a standby, a subscriber."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from conftest import Databases, rows
from psycopg2.extensions import connection as PgConnection
from test_load import SPEC, Shop

from runner.connect import connect
from runner.embedded import place
from runner.embedded.server import free_port
from runner.load import marks
from runner.settings import Connection

BARE = replace(SPEC, deletes="ignore", lookback="0 seconds")


@dataclass
class Servers:
    """A primary that allows prepared transactions, and its hot standby."""

    folder: Path
    primary: Connection
    standby: Connection

    def run(self, program: str, *args: str) -> None:
        """Run one of PostgreSQL's programs as the system user that the servers run as."""
        command = [str(place.binaries() / program), *args]
        # Not a pipe: a server inherits it, and it would never end.
        subprocess.run(command, cwd="/", stdout=subprocess.DEVNULL, check=True, **place.account())

    def start(self, name: str, port: int, how: str = "start") -> None:
        """Start or restart a server."""
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories= "
            "-c max_prepared_transactions=5 -c wal_level=logical"
        )
        data, log = str(self.folder / name), str(self.folder / f"{name}.log")
        self.run("pg_ctl", "-D", data, "-l", log, "-w", "-s", "-m", "fast", "-o", options, how)

    def caught_up(self) -> None:
        """Wait until the standby shows all that the primary has."""
        with closing(connect(self.primary)) as here, closing(connect(self.standby)) as there:
            ((at,),) = rows(here, "select pg_current_wal_insert_lsn()::text")
            deadline = time.monotonic() + 30
            while rows(there, "select pg_last_wal_replay_lsn() < %s::pg_lsn", at) == [(True,)]:
                assert time.monotonic() < deadline
                time.sleep(0.02)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Both servers; every local login is trusted, as nothing but these tests reaches them."""
    folder = Path(tempfile.mkdtemp(prefix="haven-standby-"))
    account = place.account()
    if account:
        os.chown(folder, account["user"], account["group"])
    ports = free_port(), free_port()
    both = [Connection("source", "127.0.0.1", port, "haven", "unused", "postgres", "disable") for port in ports]
    made = Servers(folder, *both)
    try:
        made.run("initdb", "-D", str(folder / "primary"), "-U", "haven", "-A", "trust", "--no-sync",
                 "--encoding=UTF8", "--locale=C")  # fmt: skip
        made.start("primary", ports[0])
        made.run("pg_basebackup", "-D", str(folder / "standby"), "-h", "127.0.0.1", "-p",
                 str(ports[0]), "-U", "haven", "-c", "fast", "--no-sync", "-R")  # fmt: skip
        made.start("standby", ports[1])
        with closing(connect(both[0])) as session:
            rows(session, "create role reader login")
        yield made
    finally:
        for name in ("standby", "primary"):
            if (folder / name / "postmaster.pid").is_file():
                made.run("pg_ctl", "-D", str(folder / name), "-w", "-s", "-m", "immediate", "stop")
        shutil.rmtree(folder)


class Remote(Shop):
    """A shop in a database of the primary, read by a login with SELECT only, from the primary or the standby."""

    def __init__(self, servers: Servers, warehouse: Connection) -> None:
        self.servers = servers
        self.owner = replace(servers.primary, dbname=f"test_{uuid4().hex[:12]}")
        Databases.execute(servers.primary, "create database {}", self.owner.dbname)
        super().__init__(self.owner, warehouse)
        self.execute("create table item (id bigint primary key, name text, updated_at timestamptz)")
        self.execute("insert into item select n, 'name', now() - '1 day'::interval from generate_series(1, 5) n")
        self.execute("grant select on item to reader")
        self.source_settings = replace(self.owner, user="reader")

    def read_standby(self) -> None:
        """Load from the standby from now on."""
        self.source_settings = replace(self.servers.standby, dbname=self.owner.dbname, user="reader")

    def load_one(self, spec: Any = BARE, **request: Any) -> Any:
        """Load as of all that was committed."""
        self.servers.caught_up()
        return super().load_one(spec, **request)

    def finish(self, name: str) -> None:
        """Commit a prepared transaction."""
        with closing(connect(self.owner)) as session:
            session.autocommit = True
            with session.cursor() as cursor:
                cursor.execute(f"commit prepared '{name}'")

    def open(self) -> PgConnection:
        """Return a session whose transaction has updated a row."""
        session = connect(self.owner)
        with session.cursor() as cursor:
            cursor.execute("update item set name = 'late', updated_at = now() where id = 1")
        return session


@pytest.fixture
def shop(servers: Servers, warehouse_settings: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    """A table of five rows."""
    monkeypatch.setattr(marks, "WAIT_S", 0.05)
    shop = Remote(servers, warehouse_settings)
    yield shop
    shop.source.close()
    shop.warehouse.close()


def soon(shop: Remote) -> None:
    """Commit a newer time than the open transaction has."""
    shop.execute("update item set name = 'soon', updated_at = now() where id = 2")


@pytest.mark.parametrize("is_restarted", [False, True])
def test_l1_a_prepared_transaction_is_waited_for(shop: Remote, is_restarted: bool) -> None:
    """It has no session, and after a restart no virtual id."""
    shop.load_one()
    late = connect(shop.owner)
    name = f"late_{shop.owner.dbname}"
    with late.cursor() as cursor:
        cursor.execute("begin; update item set name = 'late', updated_at = now() where id = 1")
    soon(shop)
    shop.load_one()
    with late.cursor() as cursor:
        cursor.execute(f"prepare transaction '{name}'")
    late.close()
    if is_restarted:
        shop.source.close()
        shop.servers.start("primary", shop.owner.port, "restart")
        shop.source = connect(shop.owner)
    soon(shop)
    shop.load_one()
    shop.finish(name)
    shop.load_one()
    assert shop.live() == shop.truth()
    assert rows(shop.warehouse, "select candidates from ops.watermarks") == [([],)]


@pytest.mark.parametrize("is_prepared", [False, True])
def test_k5_a_standby_as_source_loses_no_transaction_that_has_written(shop: Remote, is_prepared: bool) -> None:
    shop.read_standby()
    shop.load_one()
    late = shop.open()
    soon(shop)
    name = f"late_{shop.owner.dbname}"
    if is_prepared:
        with late.cursor() as cursor:
            cursor.execute(f"prepare transaction '{name}'")
    shop.load_one()
    assert len(rows(shop.warehouse, "select candidates from ops.watermarks")[0][0]) == 1
    late.commit()
    late.close()
    if is_prepared:
        shop.finish(name)
    shop.load_one()
    assert shop.live() == shop.truth()
    assert rows(shop.warehouse, "select candidates from ops.watermarks") == [([],)]


def test_k5_what_a_standby_cannot_show_is_found_by_the_sweep(shop: Remote) -> None:
    """The transaction has its time, and has not written when the load looks."""
    shop.read_standby()
    spec = replace(BARE, deletes="sweep")
    shop.load_one(spec)
    with closing(connect(shop.owner)) as late:
        with late.cursor() as cursor:
            cursor.execute("select now()")
        soon(shop)
        shop.load_one(spec)
        with late.cursor() as cursor:
            cursor.execute("update item set name = 'late', updated_at = now() where id = 1")
        late.commit()
    shop.load_one(spec)
    assert shop.live() == shop.truth()


def test_k5_a_candidate_of_the_primary_does_not_settle_on_the_standby(shop: Remote) -> None:
    shop.load_one()
    late = shop.open()
    soon(shop)
    shop.load_one()
    shop.read_standby()
    shop.load_one()
    late.commit()
    late.close()
    shop.load_one()
    assert shop.live() == shop.truth()


def test_l9_a_subscribed_table_is_named_and_swept(shop: Remote) -> None:
    """The apply worker writes in the order of commits, with the publisher's older times."""
    there = replace(shop.owner, dbname=f"{shop.owner.dbname}_sub")
    Databases.execute(shop.servers.primary, "create database {}", there.dbname)
    shop.execute("create publication p for table item")
    slot = there.dbname
    shop.execute(f"select pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    subscriber = connect(there)
    rows(subscriber, "create table item (id bigint primary key, name text, updated_at timestamptz)")
    rows(subscriber, "grant select on item to reader")
    subscriber.autocommit = True
    with subscriber.cursor() as cursor:
        cursor.execute(
            f"create subscription s connection 'host=127.0.0.1 port={there.port} user=haven "
            f"dbname={shop.owner.dbname}' publication p with (create_slot = false, "
            f"slot_name = '{slot}', copy_data = false)"
        )
    try:
        with closing(connect(replace(there, user="reader"))) as session, session.cursor() as cursor:
            assert marks.fed_tables(cursor, [BARE]) == [BARE]
        late = connect(shop.owner)
        with late.cursor() as cursor:
            cursor.execute("update item set name = 'late', updated_at = now() where id = 1")
            cursor.execute("insert into item values (8, 'late', now())")
        shop.execute("insert into item values (9, 'soon', now())")
        _arrived(subscriber, 1)
        shop.source_settings = replace(there, user="reader")
        shop.source.close()
        shop.source = connect(there)
        spec = replace(BARE, deletes="sweep")
        shop.load_one(spec)
        late.commit()
        late.close()
        _arrived(subscriber, 2)
        shop.load_one(spec)
        assert shop.live() == shop.truth()
    finally:
        with subscriber.cursor() as cursor:
            cursor.execute("drop subscription s")
        subscriber.close()
        shop.source.close()


def _arrived(subscriber: PgConnection, count: int) -> None:
    deadline = time.monotonic() + 60
    while rows(subscriber, "select count(*) >= %s from item", count) != [(True,)]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
