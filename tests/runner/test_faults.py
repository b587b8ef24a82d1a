"""Faults of servers, networks, disks and people while a load runs: what is kept, what is said, what happens next.

The file has clusters of its own, as it stops them. Faults are planted at a point the load itself reaches (its listener
is called there), not after some time.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
from chaos import shop as small
from conftest import ROOT, Databases, Project, clean_environment, measured, rows

from runner import embedded
from runner.backoff import Backoff
from runner.connect import connect
from runner.contract import Contract, TableSpec
from runner.dbt import run_dbt
from runner.embedded.place import account
from runner.embedded.server import free_port
from runner.errors import HavenError, LockedError, UnreachableError
from runner.load.attempt import Listener
from runner.load.engine import load_tables
from runner.load.outcome import LoadRequest, TableOutcome
from runner.ops import lock_source, recorded_run
from runner.settings import Connection, Side

FULL = TableSpec(
    source_name="shop", name="", raw_schema="raw", raw_table="", source_schema="public",
    source_table="", file="models/sources.yml",
)  # fmt: skip


def full(name: str, **more: Any) -> TableSpec:
    """Return the spec of a table that is read whole."""
    return replace(FULL, name=name, raw_table=name, source_table=name, **more)


def incremental(name: str, **more: Any) -> TableSpec:
    """Return the spec of a table that is read by its `updated_at`."""
    return full(name, strategy="incremental", watermark="updated_at", **more)


@dataclass(frozen=True)
class Servers:
    """Two clusters that a test may stop."""

    home: Path

    def process(self, side: Side) -> psutil.Process:
        """Return the server's main process."""
        (found,) = (one for one in embedded.status(self.home) if one.side == side)
        return psutil.Process(found.pid)

    def stop(self, side: Side, how: signal.Signals) -> None:
        """Stop one server: SIGINT is a fast shutdown, SIGQUIT an immediate one, like a crash."""
        process = self.process(side)
        process.send_signal(how)
        process.wait(30)

    def start(self) -> None:
        """Start what is stopped."""
        embedded.up(self.home)

    def restart(self, side: Side, how: signal.Signals = signal.SIGINT) -> None:
        """Stop and start one server."""
        self.stop(side, how)
        self.start()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Clusters of this file's own. A commit is on disk when it is answered, as after a crash that matters."""
    made = Servers(tmp_path_factory.mktemp("faults"))
    made.start()
    for side in ("source", "warehouse"):
        with closing(connect(Databases(made.home).create(side))) as session:
            session.autocommit = True
            with session.cursor() as cursor:
                cursor.execute("alter system set synchronous_commit = on")
                cursor.execute("alter system set fsync = off")  # the machine itself does not fail
                cursor.execute("select pg_reload_conf()")
    yield made
    embedded.down(made.home, delete=True)


@dataclass
class Shop:
    """A source and a warehouse database, loaded through the engine; `retried` lists the tries that failed."""

    source: Connection
    warehouse: Connection
    runs: int = 0
    retried: list[str] = field(default_factory=list)

    @property
    def run_id(self) -> str:
        """Return the id of the latest run."""
        return f"run-{self.runs}"

    def load(
        self, *specs: TableSpec, on_bytes: Callable[[str], object] = lambda table: None, **request: Any
    ) -> dict[str, TableOutcome]:
        """Load `specs`; `on_bytes` is called in the worker, with the table, whenever bytes of it have passed."""
        self.runs += 1
        self.retried.clear()
        listener = Listener(
            on_bytes=lambda table, count: on_bytes(table) and None,
            on_retry=lambda what, reason, wait_s: self.retried.append(f"{what}: {reason}"),
        )
        wishes = LoadRequest(**({"workers": 1} | request))
        with recorded_run(
            self.source,
            self.warehouse,
            run_id=self.run_id,
            command="load",
            retries=wishes.retries,
            on_retry=listener.on_retry,
        ) as record:
            outcomes = load_tables(
                Contract(specs, ()), self.source, self.warehouse, wishes, run=record, listener=listener
            )
            record.is_ok = all(outcome.error is None for outcome in outcomes)
        return {outcome.table.split(".")[1]: outcome for outcome in outcomes}

    def ask(self, side: Side, query: str, *args: object) -> list[tuple[Any, ...]]:
        """Run one statement in a session of its own."""
        settings = self.source if side == "source" else self.warehouse
        with closing(connect(settings, application_name="test")) as session:
            return rows(session, query, *args)

    def run_status(self) -> str:
        """Return what ops.runs says of the latest run."""
        query = "select status from ops.runs where run_id = %s and finished_at is not null"
        return str(self.ask("warehouse", query, self.run_id)[0][0])

    def loads(self) -> list[tuple[Any, ...]]:
        """Return the latest run's rows of ops.table_loads: table, status, tries."""
        query = "select table_name, status, tries from ops.table_loads where run_id = %s order by load_id"
        return self.ask("warehouse", query, self.run_id)

    def check_equal(self, *tables: str) -> None:
        """Check that raw's live rows are the source's."""
        for name in tables:
            query = "select id, md5(body) from {} order by 1, 2"
            there = self.ask("warehouse", query.format(f"raw.{name} where _deleted_at is null"))
            assert there == self.ask("source", query.format(name)), name


@pytest.fixture
def shop(servers: Servers) -> Iterator[Shop]:
    """A source with the tables `big`, `item` and `bag` (which has no key); `big` is loaded first."""
    servers.start()
    databases = Databases(servers.home)
    made = Shop(databases.create("source"), databases.create("warehouse"))
    # `item` is more than the sockets' buffers hold, so that it is still under way when its first bytes have passed;
    # compressed, it is smaller than `big`.
    for name, count, width, key in (
        ("big", 20000, 90, "primary key"),
        ("item", 5000, 3000, "primary key"),
        ("bag", 50, 90, ""),
    ):
        made.ask("source", f"create table {name} (id bigint {key}, body text, updated_at timestamptz default now())")
        made.ask(
            "source", f"insert into {name} select n, repeat('x', {width}) || n from generate_series(1, {count}) as n"
        )
    yield made
    servers.start()
    databases.drop_all()


def once(table: str, action: Callable[[], object]) -> Callable[[str], object]:
    """Return a listener that does `action` when the first bytes of `table` have passed."""
    done: list[bool] = []

    def listen(name: str) -> None:
        if name == f"shop.{table}" and not done:
            done.append(True)
            action()

    return listen


# Retries


def test_the_wait_doubles_up_to_a_bound_and_is_never_the_same() -> None:
    waits = []
    for _ in range(50):
        backoff = Backoff(retries=12)
        waits.append([backoff.next_wait() for _ in range(12)])
        assert backoff.tries == 13
        assert backoff.is_spent
    for number, column in enumerate(zip(*waits, strict=True)):
        bound = min(0.5 * 2**number, 30.0)
        assert bound / 4 <= min(column) < max(column) <= bound
        assert len(set(column)) > 40


def test_a_tables_lock_ends_with_its_load(shop: Shop) -> None:
    """Its owner may change it while others are read, and the locks of thousands are never held at once."""
    held: list[list[tuple[Any, ...]]] = []
    query = "select relation::regclass::text from pg_locks where relation in ('big'::regclass, 'item'::regclass)"
    done = shop.load(full("big"), full("item"), on_bytes=once("item", lambda: held.append(shop.ask("source", query))))
    assert [outcome.error for outcome in done.values()] == [None, None]
    assert held == [[("item",)]]


def test_what_no_retry_mends_is_tried_once(shop: Shop) -> None:
    shop.ask("source", "create view wrong as select 1 / (id - 7) as id, body from item")
    shop.load(full("item"))
    shop.ask("source", "update item set body = 'too long' where id = 3")
    shop.ask("warehouse", "alter table raw.item add constraint short check (body <> 'too long')")
    done = shop.load(full("wrong"), full("item"), full("bag"))
    assert shop.retried == []
    assert [done[name].tries for name in ("wrong", "item", "bag")] == [1, 1, 1]
    assert done["wrong"].error == "division by zero"
    assert 'violates check constraint "short"' in (done["item"].error or "")
    assert done["bag"].error is None
    assert sorted(shop.loads()) == [("bag", "ok", 1), ("item", "failed", 1), ("wrong", "failed", 1)]


# A server restarts


@contextmanager
def family(shop: Shop) -> Iterator[None]:
    """Keep adding a parent and its two children in one transaction, whatever happens to the server."""
    shop.ask("source", "create table parent (id bigint primary key, body text, updated_at timestamptz)")
    shop.ask(
        "source", "create table child (id bigint primary key, parent_id bigint, body text, updated_at timestamptz)"
    )
    shop.ask("source", "insert into parent select n, repeat('p', 500), now() from generate_series(1, 2000) as n")
    # As `item` above: still under way when its first bytes have passed, and on disk smaller than its parent.
    shop.ask(
        "source", "insert into child select n, (n + 1) / 2, repeat('c', 3000), now() from generate_series(1, 4000) as n"
    )
    stop = threading.Event()

    def write() -> None:
        number = 2000
        while not stop.is_set():
            with suppress(HavenError, psycopg2.Error), closing(connect(shop.source)) as session:
                while not stop.is_set():
                    with session, session.cursor() as cursor:
                        cursor.execute("select max(id) from parent")
                        number = cursor.fetchone()[0] + 1  # type: ignore[index]
                        cursor.execute("insert into parent values (%s, 'p', now())", (number,))
                        cursor.execute(
                            "insert into child select n, %s, 'c', now() from generate_series(%s, %s) as n",
                            (number, 2 * number - 1, 2 * number),
                        )
                    time.sleep(0.005)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_a_source_that_restarts_in_mid_load_is_read_as_of_one_later_moment(
    shop: Shop, servers: Servers, how: signal.Signals
) -> None:
    starting = threading.Timer(1.0, servers.start)  # some tries find nobody

    def fail() -> None:
        servers.stop("source", how)
        starting.start()

    with family(shop):
        # The parents are loaded before the fault, their children after it: two snapshots would not agree.
        try:
            done = shop.load(incremental("parent"), incremental("child"), on_bytes=once("child", fail))
        finally:
            starting.join()
    assert {name: outcome.error for name, outcome in done.items()} == {"parent": None, "child": None}
    assert shop.retried
    assert shop.run_status() == "ok"
    assert [load[:2] for load in shop.loads()] == [("parent", "ok"), ("parent", "ok"), ("child", "ok")]
    unequal = shop.ask(
        "warehouse",
        "select count(*) from raw.parent full join raw.child on parent.id = child.parent_id "
        "where parent.id is null or child.id is null",
    )
    assert unequal == [(0,)]
    counted = shop.ask("warehouse", "select (select count(*) from raw.parent), count(*) from raw.child")
    parents, children = counted[0]
    assert children == 2 * parents
    assert parents > 2000
    assert done["parent"].rows_inserted == parents


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_a_warehouse_that_restarts_in_mid_load_loses_nothing(shop: Shop, servers: Servers, how: signal.Signals) -> None:
    held: list[str] = []
    fail = once("item", lambda: servers.restart("warehouse", how))

    def listen(table: str) -> None:
        fail(table)
        if table == "shop.bag":
            with closing(connect(shop.warehouse)) as session, suppress(LockedError):
                lock_source(session, shop.source)
                held.append("by nobody")
            held.append("checked")

    done = shop.load(full("big"), full("item"), full("bag"), on_bytes=listen)
    assert {name: (o.error, o.tries > 1) for name, o in done.items()} == {
        "big": (None, False),
        "item": (None, True),
        "bag": (None, False),
    }
    assert set(held) == {"checked"}
    assert shop.run_status() == "ok"
    shop.check_equal("big", "item", "bag")


def test_a_run_that_lost_its_place_commits_nothing_more(shop: Shop, servers: Servers) -> None:
    other = recorded_run(shop.source, shop.warehouse, run_id="other", command="load")

    def fail() -> None:
        servers.restart("warehouse")
        other.__enter__()

    try:
        with suppress(LockedError):
            done = shop.load(full("big"), full("item"), full("bag"), on_bytes=once("item", fail))
            assert {name: o.exit_code for name, o in done.items()} == {"big": 0, "item": 75, "bag": 75}
            assert "is being loaded by haven load other" in (done["item"].error or "")
    finally:
        other.__exit__(None, None, None)
    assert shop.run_status() == "failed"
    assert shop.ask("warehouse", "select relname::text from pg_class where relname in ('item', 'bag')") == []
    shop.check_equal("big")
    shop.load(full("big"), full("item"), full("bag"))
    shop.check_equal("big", "item", "bag")


# A session is ended

COORDINATORS = {
    "lock": ("warehouse", "pid in (select pid from pg_locks where locktype = 'advisory')"),
    "control": ("warehouse", "pid not in (select pid from pg_locks where locktype = 'advisory')"),
    "keeper": ("source", "true"),
}


@pytest.mark.parametrize("which", COORDINATORS)
def test_a_coordinating_session_may_be_ended(shop: Shop, which: str) -> None:
    side, condition = COORDINATORS[which]

    def fail() -> None:
        ended = shop.ask(
            side,  # type: ignore[arg-type]
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            f"where application_name = %s and datname = current_database() and {condition}",
            f"haven load {shop.run_id}",
        )
        assert ended == [(True,)]

    done = shop.load(full("big"), full("item"), full("bag"), on_bytes=once("item", fail), workers=2)
    assert [outcome.error for outcome in done.values()] == [None, None, None]
    assert shop.run_status() == "ok"
    shop.check_equal("big", "item", "bag")


@pytest.mark.parametrize("side", ["source", "warehouse"])
def test_only_the_table_whose_session_was_ended_is_loaded_again(shop: Shop, side: Side) -> None:
    def fail() -> None:
        ended = shop.ask(
            side,
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = %s",
            f"haven load {shop.run_id} shop.item",
        )
        assert ended == [(True,)]

    done = shop.load(full("big"), full("item"), full("bag"), on_bytes=once("item", fail))
    assert {name: (o.error, o.tries) for name, o in done.items()} == {
        "big": (None, 1),
        "item": (None, 2),
        "bag": (None, 1),
    }
    assert len(shop.retried) == 1
    assert shop.retried[0].startswith("shop.item: the connection broke: ")
    shop.check_equal("big", "item", "bag")


def test_a_backend_that_hangs_is_cut_off_by_the_tables_timeout(shop: Shop) -> None:
    stopped: list[psutil.Process] = []

    def fail() -> None:
        found = shop.ask(
            "warehouse",
            "select pid from pg_stat_activity where application_name = %s",
            f"haven load {shop.run_id} shop.item",
        )
        stopped.append(psutil.Process(found[0][0]))
        stopped[0].send_signal(signal.SIGSTOP)

    started = time.monotonic()
    try:
        done = shop.load(full("item", timeout="1 second"), full("bag"), on_bytes=once("item", fail))
    finally:
        stopped[0].send_signal(signal.SIGCONT)
    assert time.monotonic() - started < 8
    assert "took longer than its timeout of 1 s and was stopped" in (done["item"].error or "")
    assert done["bag"].error is None
    shop.load(full("item"))
    shop.check_equal("item", "bag")


# The network


class Proxy:
    """Passes bytes between a port of its own and a server; `on_query` decides, statement by statement, to cut.

    It gets the bytes the client sends and all it sent on that connection before, and returns None (pass on), "before"
    (cut without passing them on), "after" (pass them on, wait for the answer, cut) or "at once" (pass them on, cut).
    """

    def __init__(self, target: Connection) -> None:
        self.target = target
        self.port = free_port()
        self.on_query: Callable[[bytes, bytes], str | None] = lambda data, earlier: None
        self._server: socket.socket | None = None

    @property
    def settings(self) -> Connection:
        """Return the target's settings by way of this proxy."""
        return replace(self.target, port=self.port)

    def open(self) -> None:
        """Start to listen."""
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def close(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.shutdown(socket.SHUT_RDWR)
            self._server.close()
            self._server = None

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                up = socket.create_connection((self.target.host, self.target.port))
                threading.Thread(target=self._up, args=(client, up), daemon=True).start()
                threading.Thread(target=self._down, args=(client, up), daemon=True).start()

    def _up(self, client: socket.socket, up: socket.socket) -> None:
        earlier = b""
        with suppress(OSError):
            while data := client.recv(1 << 16):
                cut = self.on_query(data, earlier)
                if cut == "after":
                    client.shutdown(socket.SHUT_RDWR)  # the answer finds nobody
                if cut != "before":
                    up.sendall(data)
                if cut == "after":
                    time.sleep(0.3)
                if cut:
                    break
                earlier = (earlier + data)[-(1 << 20) :]
        self._end(client, up)

    def _down(self, client: socket.socket, up: socket.socket) -> None:
        with suppress(OSError):
            while data := up.recv(1 << 16):
                client.sendall(data)
        self._end(client, up)

    @staticmethod
    def _end(*ends: socket.socket) -> None:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxied(shop: Shop) -> Iterator[tuple[Shop, Proxy]]:
    """The shop, its warehouse behind a proxy."""
    proxy = Proxy(shop.warehouse)
    proxy.open()
    yield replace(shop, warehouse=proxy.settings), proxy
    proxy.close()


def cut_commit(proxy: Proxy, how: str) -> None:
    """Have the proxy cut one connection, once: the one on which a table's load is committed."""
    done: list[bool] = []

    def decide(data: bytes, earlier: bytes) -> str | None:
        if b"COMMIT" in data and b"insert into ops.table_loads" in earlier and not done:
            done.append(True)
            return how
        return None

    proxy.on_query = decide


@pytest.mark.parametrize("how", ["before", "after"])
def test_a_commit_whose_answer_is_lost_doubles_nothing(proxied: tuple[Shop, Proxy], how: str) -> None:
    shop, proxy = proxied
    for number in (1, 2):
        shop.ask("source", "insert into bag values (0, %s), (0, 'same'), (0, 'same')", str(number))
        cut_commit(proxy, how)
        done = shop.load(full("bag"))
        assert (done["bag"].error, done["bag"].tries, len(shop.retried)) == (None, 2, 1)
        assert [load[:2] for load in shop.loads()] == [("bag", "ok")]
        assert shop.run_status() == "ok"
        shop.check_equal("bag")


def test_a_commit_under_way_when_the_connection_breaks_is_waited_for(proxied: tuple[Shop, Proxy]) -> None:
    """The old backend, still at its commit, would otherwise lock the rows the next try wants, or double them."""
    shop, proxy = proxied
    shop.load(full("bag"))
    direct = replace(shop, warehouse=proxy.target)
    direct.ask("warehouse", "create sequence dozes")
    direct.ask(
        "warehouse",
        "create function doze() returns trigger language plpgsql as "
        "$$ begin if nextval('dozes') = 1 then perform pg_sleep(30); end if; return null; end $$",
    )
    direct.ask(
        "warehouse",
        "create constraint trigger doze after insert on raw.bag deferrable initially deferred "
        "for each row execute function doze()",
    )
    shop.ask("source", "insert into bag values (0, 'slow')")
    cut_commit(proxy, "at once")
    started = time.monotonic()
    done = shop.load(full("bag"))
    assert time.monotonic() - started < 10
    assert (done["bag"].error, done["bag"].tries) == (None, 2)
    assert direct.ask("warehouse", "select last_value from dozes") == [(2,)]
    shop.check_equal("bag")


def test_a_source_out_of_reach_is_left_alone_for_a_while(shop: Shop) -> None:
    proxy = Proxy(shop.source)
    shop = replace(shop, source=proxy.settings)

    def fail(**request: Any) -> str:
        with pytest.raises(UnreachableError) as caught:
            shop.load(full("bag"), full("item"), **request)
        assert caught.value.exit_code == 3
        assert shop.run_status() == "failed"
        return str(caught.value)

    for number in range(1, 4):
        message = fail(retries=1)
        assert "nothing listens there; check HAVEN_SOURCE_HOST" in message
        assert len(shop.retried) == 1
        assert sorted(load[:2] for load in shop.loads()) == [("bag", "failed"), ("item", "failed")]
        query = "select failed_runs, retry_at > now() from ops.circuit_breakers where source = %s"
        assert shop.ask("warehouse", query, proxy.settings.place) == [(number, number == 3)]
    started = time.monotonic()
    message = fail(retries=4)
    assert time.monotonic() - started < 1
    assert shop.retried == []
    assert "could not be reached by 3 runs in a row, the next try is in " in message
    fail(retries=1, retry_now=True)
    assert len(shop.retried) == 1
    # The wait over, one try; as that fails, the next wait is twice as long as the one before it.
    shop.ask("warehouse", "update ops.circuit_breakers set retry_at = now()")
    fail(retries=4)
    assert shop.retried == []
    waits = "select failed_runs, extract(epoch from retry_at - last_failed_at)::int from ops.circuit_breakers"
    assert shop.ask("warehouse", waits) == [(5, 240)]
    proxy.open()
    shop.ask("warehouse", "update ops.circuit_breakers set retry_at = now()")
    try:
        assert shop.load(full("bag"))["bag"].error is None
    finally:
        proxy.close()
    assert shop.ask("warehouse", waits) == []


def test_a_snapshot_lost_without_retries_leaves_no_table_out(shop: Shop, servers: Servers) -> None:
    done = shop.load(
        full("big"), full("item"), full("bag"), on_bytes=once("item", lambda: servers.restart("source")), retries=0
    )
    assert {name: outcome.exit_code for name, outcome in done.items()} == {"big": 0, "item": 3, "bag": 3}
    assert sorted(load[:2] for load in shop.loads()) == [("bag", "failed"), ("big", "ok"), ("item", "failed")]


# Limits


@pytest.fixture
def small_disk(shop: Shop) -> Iterator[Path]:
    """A file system of 8 MB on which everything new of the warehouse is put."""
    owner = account()
    folder = Path("/tmp") / f"haven-disk-{os.getpid()}"  # noqa: S108
    folder.mkdir()
    options = "size=8m,mode=0700" + (f",uid={owner['user']},gid={owner['group']}" if owner else "")
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("this user may not mount a small file system")
    name = shop.warehouse.dbname
    try:
        with closing(connect(replace(shop.warehouse, dbname="postgres"))) as session:
            session.autocommit = True
            with session.cursor() as cursor:
                cursor.execute("create tablespace small location %s", (str(folder),))
                cursor.execute(f"alter database {name} set default_tablespace = small")
        yield folder
        with closing(connect(replace(shop.warehouse, dbname="postgres"))) as session:
            session.autocommit = True
            with session.cursor() as cursor:
                cursor.execute(f"drop database {name} with (force)")
                cursor.execute("drop tablespace small")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def test_a_full_disk_fails_the_table_that_did_not_fit(shop: Shop, small_disk: Path) -> None:
    shop.ask("source", "insert into big select n, repeat('y', 900) from generate_series(20001, 40000) as n")
    done = shop.load(full("big"), full("item"), full("bag"))
    assert {name: outcome.exit_code for name, outcome in done.items()} == {"big": 1, "item": 0, "bag": 0}
    assert "No space left on device" in (done["big"].error or "")
    assert "the disk is full; nothing of the table was kept" in (done["big"].error or "")
    assert done["big"].tries == 1
    shop.check_equal("item", "bag")
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    assert shop.load(full("big"), full("item"))["big"].error is None
    shop.check_equal("big", "item", "bag")


@pytest.mark.parametrize("side", ["source", "warehouse"])
def test_a_locked_table_fails_alone(shop: Shop, side: Side) -> None:
    shop.load(full("item"), full("bag"))
    shop.ask("source", "update item set body = 'new' where id = 1")
    shop.ask("source", "insert into bag values (77, 'new')")
    settings = shop.source if side == "source" else shop.warehouse
    with closing(connect(settings)) as session, session.cursor() as cursor:
        cursor.execute(f"lock table {'item' if side == 'source' else 'raw.item'}")
        done = shop.load(full("item"), full("bag"), lock_timeout_s=0.5)
    assert done["item"].exit_code == 1
    assert "another session held the table for longer than HAVEN_LOCK_TIMEOUT" in (done["item"].error or "")
    assert done["bag"].rows_inserted == 1
    shop.load(full("item"))
    shop.check_equal("item", "bag")


def test_a_table_that_takes_too_long_fails_alone_and_nothing_of_it_is_kept(shop: Shop) -> None:
    shop.ask("source", "create view late as select id, body from item, pg_sleep(0.005) where id > 0")
    shop.ask(
        "source",
        "create view endless as select generate_series(1, 1000000000) as id, "
        "repeat('x', 10000) || pg_sleep(0.002)::text as body",
    )
    started = time.monotonic()
    done = shop.load(full("endless", timeout="1 second"), full("bag"), full("item", timeout="1 hour"))
    assert time.monotonic() - started < 5
    assert done["endless"].error == (
        "shop.endless took longer than its timeout of 1 s and was stopped; nothing of it was kept. "
        "Give it more with `timeout` in the sources YAML"
    )
    assert shop.ask("warehouse", "select to_regclass('raw.endless') is null") == [(True,)]
    shop.check_equal("item", "bag")


def test_timeouts_that_the_databases_set_do_not_end_a_run(shop: Shop) -> None:
    """The session that keeps the snapshot waits for the others, the one that keeps the lock for the whole run."""
    version = shop.ask("source", "select current_setting('server_version_num')::int")[0][0]
    names = ["idle_in_transaction_session_timeout", "idle_session_timeout", "statement_timeout"]
    names += ["transaction_timeout"] * (version >= 170000)
    for settings, side in ((shop.source, "source"), (shop.warehouse, "warehouse")):
        for name in names:
            shop.ask(side, f"alter database {settings.dbname} set {name} = '400ms'")  # type: ignore[arg-type]
    shop.ask("source", "create view slow as select 1 as id, 'x'::text as body from pg_sleep(1.5)")
    done = shop.load(full("slow"), full("item"), full("bag"), workers=2)
    assert shop.retried == []
    assert {o.table: (o.error, o.tries) for o in done.values()} == {
        f"shop.{name}": (None, 1) for name in ("slow", "item", "bag")
    }
    assert shop.run_status() == "ok"
    shop.check_equal("item", "bag")


# The command line

SOURCES = """
sources:
  - name: shop
    schema: raw
    config: {meta: {load: {strategy: full}}}
    tables:
      - name: item
        config: {meta: {load: {strategy: incremental, watermark: updated_at}}}
      - name: bag
      - name: wrong
      - name: endless
      - name: late
        config: {meta: {load: {source_table: endless, timeout: 1 second}}}
"""
STOPPED = "stopped: nothing half-done was kept, the next run goes on from here"


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is nothing but a sources YAML, parsed once."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "models").mkdir()
    (folder / "dbt_project.yml").write_text("name: shop\nversion: 1.0.0\nprofile: haven\n")
    (folder / "models" / "sources.yml").write_text(SOURCES)
    shutil.copy(ROOT / "profiles.yml", folder)
    assert run_dbt(["parse"], project_dir=folder, env=clean_environment()).returncode == 0
    return folder


@pytest.fixture
def project(shop: Shop, parsed: Path) -> Project:
    """The shop as a project for the command line; `wrong` always fails, `endless` never ends."""
    shop.ask("source", "create view wrong as select 1 / (id - 7) as id from item")
    shop.ask(
        "source",
        "create view endless as select generate_series(1, 1000000000) as id, "
        "repeat('x', 10000) || pg_sleep(0.002)::text as body",
    )
    return Project(parsed, shop.source, shop.warehouse)


@contextmanager
def started(project: Project, *args: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Run `haven` beside the test; it is killed if the test leaves it running."""
    values = clean_environment() | project.source.as_env() | project.warehouse.as_env() | measured() | env
    process = subprocess.Popen(
        [sys.executable, "-m", "runner.cli", *args],
        cwd=project.path, env=values, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def sessions(shop: Shop) -> list[tuple[Any, ...]]:
    """Return side, name and state of all of Haven's sessions."""
    query = (
        "select %s, application_name, coalesce(wait_event_type, '') from pg_stat_activity "
        "where datname = current_database() and application_name like 'haven %%' order by 1, 2"
    )
    return [row for side in ("source", "warehouse") for row in shop.ask(side, query, side)]  # type: ignore[arg-type]


def wait_for(condition: Callable[[], object], within_s: float = 20) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def is_alive(process: psutil.Process) -> bool:
    """Return whether the process runs; in a container nobody may bury the dead."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["ctrl-c", "sigterm", "closed terminal"],
)
def test_a_stopped_run_leaves_nothing_behind(shop: Shop, project: Project, number: signal.Signals, code: int) -> None:
    with started(project, "--log-json", "load", "endless", "item") as process:
        wait_for(lambda: any(row[1].endswith("shop.endless") for row in sessions(shop)))
        time.sleep(0.3)
        # One run id in all: every session of both servers, every line, every row.
        ((run_id,),) = shop.ask("warehouse", "select run_id from ops.runs where status = 'running'")
        names = [row[1] for row in sessions(shop)]
        assert len(names) >= 4
        assert all(name.startswith(f"haven load {run_id}") for name in names)
        # A second run meanwhile: refused at once, naming the first.
        began = time.monotonic()
        second = project.haven("load", "bag", expect=75)
        assert time.monotonic() - began < 2
        assert f"is being loaded by haven load {run_id}" in second.err
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - began < 3
    assert process.returncode == code
    assert out == ""
    lines = [json.loads(line) for line in err.splitlines()]
    assert {line["run_id"] for line in lines} == {run_id}
    assert lines[-1]["message"] == STOPPED
    wait_for(lambda: not sessions(shop), within_s=2)
    runs = "select run_id, status, finished_at is not null from ops.runs order by started_at limit 1"
    assert shop.ask("warehouse", runs) == [(run_id, "failed", True)]
    assert shop.ask("warehouse", "select to_regclass('raw.endless') is null") == [(True,)]
    project.haven("load", "item", "bag")
    shop.check_equal("item", "bag")


@pytest.fixture(scope="module")
def slow_model(parsed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of one table and a model that takes 100 s."""
    folder = tmp_path_factory.mktemp("slow") / "shop"
    shutil.copytree(parsed, folder)
    sources = SOURCES[: SOURCES.index("      - name: bag")]
    (folder / "models" / "sources.yml").write_text(sources)
    (folder / "models" / "slow.sql").write_text("{{ config(materialized='table') }} select 1 as id from pg_sleep(100)")
    return folder


@pytest.mark.usefixtures("cold_dbt")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)], ids=["sigterm", "sigkill"])
def test_k2_ending_a_run_ends_dbt_and_its_query(
    shop: Shop, slow_model: Path, number: signal.Signals, code: int
) -> None:
    project = Project(slow_model, shop.source, shop.warehouse)
    asleep = "select pid from pg_stat_activity where query ~ 'pg_sleep.100' and pid <> pg_backend_pid()"
    with started(project, "run", "--no-reports") as process:
        wait_for(lambda: process.poll() is not None or shop.ask("warehouse", asleep), within_s=240)
        assert process.poll() is None, process.communicate()
        (dbt,) = psutil.Process(process.pid).children()
        process.send_signal(number)
        process.wait(timeout=8)
        wait_for(lambda: not is_alive(dbt), within_s=2)
        wait_for(lambda: not shop.ask("warehouse", asleep), within_s=2)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    if number != signal.SIGKILL:
        assert err.splitlines()[-1] == STOPPED
        assert shop.ask("warehouse", "select status from ops.runs") == [("failed",)]


def test_k6_a_build_whose_warehouse_restarts_goes_on(servers: Servers, tmp_path: Path) -> None:
    made = Databases(servers.home)
    folder = small.make_project(tmp_path / "small")
    project = Project(folder, made.create("source"), made.create("warehouse"))
    small.fill(project)
    small.pause(project, 600)
    with started(project, "run", "--no-reports", "--json") as process:

        def is_asleep() -> bool:
            with closing(connect(project.warehouse)) as session:
                query = "select pid from pg_stat_activity where query ~ 'pg_sleep..select' and pid <> pg_backend_pid()"
                return bool(rows(session, query))

        wait_for(lambda: process.poll() is not None or is_asleep(), within_s=240)
        assert process.poll() is None, process.communicate()
        servers.stop("warehouse", signal.SIGINT)
        time.sleep(4)
        servers.start()
        small.pause(project, 0)
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "lost the warehouse: what failed is run again when it answers" in err
    summary = json.loads(out)
    # Hooks and exposures are no models.
    assert (summary["models"], summary["tests"]) == ({"success": 6}, {"pass": 4})
    assert small.faults(project) == []
    with closing(connect(project.warehouse)) as session:
        assert rows(session, "select status from ops.runs") == [("ok",)]
    made.drop_all()


def test_a_run_that_waits_for_a_lock_can_be_stopped(shop: Shop, project: Project) -> None:
    with closing(connect(shop.source)) as session, session.cursor() as cursor:
        cursor.execute("lock table item")
        with started(project, "load", "item") as process:
            wait_for(lambda: "Lock" in {row[2] for row in sessions(shop)})
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=30)
            assert time.monotonic() - began < 3
    assert (process.returncode, out, err.splitlines()) == (143, "", [STOPPED])


def test_a_table_that_always_fails_is_reported_once(shop: Shop, project: Project) -> None:
    done = project.haven("load", "item", "wrong", "late", expect=1)
    lines = [line for line in done.err.splitlines() if "error:" in line]
    assert lines == [
        "error: shop.wrong: division by zero",
        "error: shop.late took longer than its timeout of 1 s and was stopped; nothing of it was kept. "
        "Give it more with `timeout` in the sources YAML",
    ]
    assert "Traceback" not in done.err
    done = project.haven("load", "item", "wrong", "--json", expect=1)
    assert done.json["status"] == "failed"
    assert [(t["table"], t["error"]) for t in done.json["tables"]] == [
        ("shop.item", None),
        ("shop.wrong", "division by zero"),
    ]
    query = "select table_name, status, coalesce(error, '') from ops.table_loads where run_id = %s order by 1"
    assert shop.ask("warehouse", query, done.json["run_id"]) == [
        ("item", "ok", ""),
        ("wrong", "failed", "division by zero"),
    ]
    shop.check_equal("item")


def test_a_source_that_is_down_is_said_in_one_line(shop: Shop, project: Project) -> None:
    nobody = replace(project, source=replace(shop.source, port=free_port()))
    for _ in range(3):
        done = nobody.haven("load", "item", expect=3, HAVEN_RETRIES="1")
        assert "trying again in" in done.err
        assert done.err.splitlines()[-1].startswith("error: cannot connect to source")
    done = nobody.haven("load", "item", expect=3)
    (line,) = done.err.splitlines()
    assert "3 runs in a row, the next try is in" in line
    assert "--retry-now" in line
    assert "trying again" in nobody.haven("load", "item", "--retry-now", expect=3, HAVEN_RETRIES="1").err
