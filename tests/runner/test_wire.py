"""COPY beneath libpq against real servers: every way a stream can be cut up, end, break or be interrupted."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
from conftest import Databases, rows
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection

from runner.connect import connect, is_connection_error
from runner.embedded.place import account
from runner.embedded.server import free_port
from runner.errors import DataError, UnreachableError
from runner.load import copy as copying
from runner.load.copy import copy_rows
from runner.load.sessions import SessionPair
from runner.load.wire import ServerError
from runner.settings import Connection

DEBIAN = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "tls-pass-w0rd"
# The first sends rows at once and without end, the second none for a long time.
ENDLESS = "select generate_series(1, 100000000) as n, repeat('x', 200) as body"
SILENT = "select 1 as n, 'x' as body from pg_sleep(60)"


@dataclass
class Sides:
    """A session in a source and one in a warehouse, each inside a transaction, and where they are."""

    source_settings: Connection
    warehouse_settings: Connection

    def __post_init__(self) -> None:
        self.source, self.warehouse = (connect(self.source_settings), connect(self.warehouse_settings))
        self.begin()

    def begin(self) -> None:
        """Open a transaction on both sides: a copy needs one."""
        for session in (self.source, self.warehouse):
            with session.cursor() as cursor:
                cursor.execute("select 1")

    def copy(self, query: str, into: str = "target", columns: str = "n body", **more: Any) -> int:
        """Copy `query` into a table of the warehouse; commit nothing."""
        with self.source.cursor() as origin, self.warehouse.cursor() as target:
            return copy_rows(origin, sql.SQL(query), target, sql.Identifier(into), tuple(columns.split()), **more)

    def make(self, ddl: str = "create table target (n integer, body text)") -> None:
        """Run a statement in the warehouse and commit it."""
        rows(self.warehouse, ddl)
        self.begin()

    def other(self, side: str, query: str, *args: object) -> list[tuple[Any, ...]]:
        """Run one statement in a further session of that side."""
        settings = self.source_settings if side == "source" else self.warehouse_settings
        with closing(connect(settings, application_name="someone else")) as session:
            return rows(session, query, *args)

    def pid(self, side: str) -> int:
        """Return the backend's process id."""
        return (self.source if side == "source" else self.warehouse).info.backend_pid

    def close(self) -> None:
        """Close both sessions."""
        self.source.close()
        self.warehouse.close()


@pytest.fixture
def sides(databases: Databases) -> Iterator[Sides]:
    """Two sessions and a table `target (n, body)` in the warehouse."""
    made = Sides(databases.create("source"), databases.create("warehouse"))
    made.make()
    yield made
    made.close()


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Connection, Path]]:
    """Debian's PostgreSQL with TLS and SCRAM, and the certificate it shows (of 127.0.0.1)."""
    openssl = shutil.which("openssl")
    if not (DEBIAN / "initdb").is_file() or openssl is None:
        pytest.skip("needs openssl and Debian's PostgreSQL 15, which is built with OpenSSL")
    owner = account()
    folder = Path("/tmp") if owner else tmp_path_factory.mktemp("tls")  # noqa: S108
    data = folder / f"haven-tls-{os.getpid()}"
    data.mkdir(mode=0o700)
    if owner:
        os.chown(data, owner["user"], owner["group"])

    def command(*args: object) -> None:
        # A file, not a pipe: the server would inherit the pipe and it would never end.
        with (data.parent / f"{data.name}.log").open("ab") as out:
            subprocess.run(
                [str(arg) for arg in args],
                check=True, cwd=data, stdout=out, stderr=out, stdin=subprocess.DEVNULL, **owner,
            )  # fmt: skip

    command(DEBIAN / "initdb", "-D", data, "-U", "haven", "--auth=trust", "--encoding=UTF8")
    certificate = data / "server.crt"
    command(
        openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=haven",
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", data / "server.key", "-out", certificate,
    )  # fmt: skip
    port = free_port()
    (data / "postgresql.auto.conf").write_text(
        f"port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nssl = on\n"
        "fsync = off\npassword_encryption = 'scram-sha-256'\n"
    )
    settings = Connection("source", "127.0.0.1", port, "haven", PASSWORD, "postgres", "require")
    command(DEBIAN / "pg_ctl", "-D", data, "-w", "-l", data / "log", "start")
    try:
        with closing(connect(settings)) as session:
            rows(session, "alter role haven password %s", PASSWORD)
        (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        command(DEBIAN / "pg_ctl", "-D", data, "reload")
        root = tmp_path_factory.mktemp("root") / "root.crt"
        shutil.copy(certificate, root)
        yield settings, root
    finally:
        command(DEBIAN / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(data)
        (data.parent / f"{data.name}.log").unlink()


@pytest.fixture(params=["TLSv1.2", "TLSv1.3"])
def tls(
    tls_server: tuple[Connection, Path], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sides]:
    """Both sides behind TLS of one version, certificates verified."""
    settings, root = tls_server
    monkeypatch.setenv("PGSSLROOTCERT", str(root))
    monkeypatch.setenv("PGSSLMAXPROTOCOLVERSION", request.param)
    verified = replace(settings, sslmode="verify-full")
    made = Sides(verified, replace(verified, side="warehouse"))
    version = rows(made.source, "select version from pg_stat_ssl where pid = pg_backend_pid()")
    assert version == [(request.param,)]
    made.make("drop table if exists target")
    made.make()
    yield made
    made.close()


def digest(session: PgConnection, relation: str) -> tuple[Any, ...]:
    """Return count and hash of all rows as text."""
    query = f"select count(*), sum(hashtextextended(row(x.*)::text, 0)) from {relation} as x"
    return rows(session, query)[0]


def aside(action: Callable[[], object], after_s: float) -> threading.Thread:
    """Do `action` in a thread, `after_s` seconds from now."""
    thread = threading.Timer(after_s, action)
    thread.start()
    return thread


MIXED = (
    "select n, case when n % 7 = 0 then null when n % 100 = 0 then repeat('z', 300000) "
    "else repeat(chr(97 + n % 26), n % 97) end as body from generate_series(1, 3000) as n"
)


def test_tls_carries_every_byte_and_verifies_the_server(tls: Sides) -> None:
    assert tls.copy(MIXED) == 3000
    assert digest(tls.warehouse, "target") == digest(tls.source, f"({MIXED})")


def test_tls_passes_an_error_a_notice_and_a_cancel(tls: Sides) -> None:
    rows(
        tls.source,
        "create or replace function boom(n int) returns int language plpgsql as "
        "$$ begin if n = 5 then raise notice 'five'; end if; "
        "if n > 90000 then raise 'boom'; end if; return n; end $$",
    )
    tls.begin()
    with pytest.raises(psycopg2.errors.RaiseException, match="boom"):
        tls.copy("select boom(n), repeat('x', 100) from generate_series(1, 99999) as n")
    assert any("five" in notice for notice in tls.source.notices)
    tls.close()
    tls.__post_init__()
    timer = aside(tls.source.cancel, 0.3)
    with pytest.raises(psycopg2.errors.QueryCanceled):
        tls.copy(ENDLESS)
    timer.join()


def test_an_unknown_certificate_is_refused(
    tls_server: tuple[Connection, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = tls_server
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=other",
         "-keyout", tmp_path / "key", "-out", tmp_path / "root.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    with monkeypatch.context() as other:
        other.setenv("PGSSLROOTCERT", str(tmp_path / "root.crt"))
        with pytest.raises(UnreachableError, match="TLS could not be agreed") as caught:
            connect(replace(settings, sslmode="verify-full"))
    assert not caught.value.is_transient
    with pytest.raises(UnreachableError, match="refuses the login"):
        connect(replace(settings, password="wrong"))


@pytest.mark.parametrize("size", [16, 17, 19, 23, 61, 64, 255])
def test_values_cross_the_ends_of_the_buffer_at_every_offset(
    sides: Sides, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "BUFFER_BYTES", size)
    query = f"select n, repeat('x', n % {size * 2 + 5}) as body from generate_series(1, {size * 4 + 20}) as n"
    assert sides.copy(query) == size * 4 + 20
    assert digest(sides.warehouse, "target") == digest(sides.source, f"({query})")


def test_payload_that_looks_like_protocol_messages_is_data(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "BUFFER_BYTES", 37)
    sides.make("create table bytes (n bigint, body bytea)")
    message = b"SERROR\0C57P01\0Mnot real\0\0"
    fakes = b"".join(kind + struct.pack(">I", len(message) + 4) + message for kind in (b"E", b"N", b"c", b"Z"))
    rows(sides.source, "create table item (n bigint, body bytea)")
    for number in range(40):
        body = b"d" * number + fakes + b"c\0\0\0\4Z\0\0\0\5I"
        rows(sides.source, "insert into item values (%s, %s)", number, psycopg2.Binary(body))
    sides.begin()
    assert sides.copy("select * from item", "bytes") == 40
    assert digest(sides.warehouse, "bytes") == digest(sides.source, "item")


def test_no_rows_and_sessions_that_go_on_as_usual(sides: Sides) -> None:
    """libpq knows nothing of the copy: statements, a second copy, a notice and the commit all work after it."""
    rows(sides.source, "create table item (n bigint, body text)")
    sides.begin()
    assert sides.copy("select * from item") == 0
    for session in (sides.source, sides.warehouse):
        with session.cursor() as cursor:
            cursor.execute("do $$ begin raise notice 'hello'; end $$")
            cursor.execute("select generate_series(1, 1000)")
            assert len(cursor.fetchall()) == 1000
        assert "hello" in session.notices[-1]
    assert sides.copy(MIXED) == 3000
    with pytest.raises(psycopg2.errors.DivisionByZero), sides.source.cursor() as cursor:
        cursor.execute("select 1 / 0")
    sides.source.rollback()
    sides.warehouse.commit()
    assert sides.other("warehouse", "select count(*) from target") == [(3000,)]


def test_notices_in_mid_stream_are_kept(sides: Sides) -> None:
    rows(
        sides.source,
        "create function chatty(n int) returns int language plpgsql as "
        "$$ begin if n % 1000 = 0 then raise notice 'at %', n; end if; return n; end $$",
    )
    sides.make(
        "create function heard() returns trigger language plpgsql as "
        "$$ begin if new.n % 1500 = 0 then raise warning 'took %', new.n; end if; return new; end $$"
    )
    sides.make("create trigger heard before insert on target for each row execute function heard()")
    query = "select chatty(n), repeat('x', 500) from generate_series(1, 6000) as n"
    assert sides.copy(query) == 6000
    assert [n.strip() for n in sides.source.notices] == [f"NOTICE:  at {n}" for n in range(1000, 6001, 1000)]
    assert [n.strip() for n in sides.warehouse.notices] == [f"WARNING:  took {n}" for n in range(1500, 6001, 1500)]


def test_an_error_of_the_source_after_many_rows_leaves_nothing(sides: Sides) -> None:
    query = "select n, repeat('x', 50) || 1 / (200000 - n) from generate_series(1, 300000) as n"
    with pytest.raises(psycopg2.errors.DivisionByZero, match="division by zero"):
        sides.copy(query)
    sides.close()
    assert sides.other("warehouse", "select count(*) from target") == [(0,)]


@pytest.mark.parametrize("trickle", [False, True], ids=["fast source", "slow source"])
def test_an_error_of_the_warehouse_is_reported_at_once(sides: Sides, trickle: bool) -> None:
    """Not after the source has sent all; also with a notice before it, and while the source is silent."""
    sides.make("alter table target add constraint small check (n < 5)")
    sides.make(
        "create function heard() returns trigger language plpgsql as $$ begin raise notice 'row'; return new; end $$"
    )
    sides.make("create trigger heard before insert on target for each row execute function heard()")
    query = ENDLESS
    if trickle:
        rows(
            sides.source,
            "create function pause(n int) returns int volatile language plpgsql as $$ begin "
            "if n > 9 then perform pg_sleep(60); end if; return n; end $$",
        )
        sides.begin()
        # Rows of 10 kB leave the server as they are made; then it falls silent.
        query = "select pause(n), repeat('x', 10000) from generate_series(1, 100) as n"
    started = time.monotonic()
    with pytest.raises(psycopg2.errors.CheckViolation, match='violates check constraint "small"'):
        sides.copy(query)
    assert time.monotonic() - started < 5


def test_a_made_up_sqlstate_is_no_broken_connection(sides: Sides) -> None:
    rows(
        sides.source,
        "create function odd(n int) returns int language plpgsql as "
        "$$ begin raise 'my own' using errcode = 'MY001'; end $$",
    )
    sides.begin()
    with pytest.raises(ServerError, match="my own") as caught:
        sides.copy("select odd(n), '' from generate_series(1, 2) as n")
    assert not is_connection_error(caught.value)


def test_both_counts_are_compared(sides: Sides) -> None:
    sides.make(
        "create function swallow() returns trigger language plpgsql as "
        "$$ begin if new.n = 7 then return null; end if; return new; end $$"
    )
    sides.make("create trigger swallow before insert on target for each row execute function swallow()")
    with pytest.raises(DataError, match="the source sent 10 rows but the warehouse took 9"):
        sides.copy("select n, 'x' from generate_series(1, 10) as n")


@pytest.mark.parametrize(
    ("side", "how", "query"),
    [
        ("source", "cancel", ENDLESS),
        ("source", "terminate", ENDLESS),
        ("source", "cancel", SILENT),
        ("warehouse", "cancel", ENDLESS),
        ("warehouse", "terminate", ENDLESS),
        ("warehouse", "terminate", SILENT),
    ],
)
def test_another_session_ends_the_copy(sides: Sides, side: str, how: str, query: str) -> None:
    pid = sides.pid(side)
    timer = aside(lambda: sides.other(side, f"select pg_{how}_backend(%s)", pid), 0.3)
    started = time.monotonic()
    with pytest.raises(psycopg2.Error) as caught:
        sides.copy(query)
    assert time.monotonic() - started < 5
    timer.join()
    assert is_connection_error(caught.value) == (how == "terminate")
    # A backend that is ended while it waits to send says nothing: it would break the message under way.
    wanted = ("user request",) if how == "cancel" else ("administrator command", "server closed it")
    assert any(words in str(caught.value) for words in wanted)
    sides.close()
    assert sides.other("warehouse", "select count(*) from target") == [(0,)]


@pytest.mark.parametrize("side", ["source", "warehouse"])
def test_a_server_that_hangs_is_cut_off(sides: Sides, side: str) -> None:
    """A stopped backend answers neither data nor cancel: `SessionPair.stop`, called by the table's timer, cuts it."""
    pair = SessionPair(sides.source, sides.warehouse)
    backend = psutil.Process(sides.pid(side))

    def hang() -> None:
        backend.send_signal(signal.SIGSTOP)
        time.sleep(0.3)
        pair.stop()

    timer = aside(hang, 0.3)
    started = time.monotonic()
    try:
        with pytest.raises(psycopg2.Error):
            sides.copy(ENDLESS)
        assert time.monotonic() - started < 6
    finally:
        timer.join()
        backend.send_signal(signal.SIGCONT)
    sides.close()
    assert sides.other("warehouse", "select count(*) from target") == [(0,)]


def test_a_session_in_the_wrong_state_is_refused(sides: Sides) -> None:
    for session in (sides.source, sides.warehouse):
        session.rollback()
        with pytest.raises(psycopg2.InterfaceError, match="needs an open transaction"):
            sides.copy("select 1, 'x'")
        sides.begin()
    with pytest.raises(psycopg2.errors.UndefinedTable), sides.source.cursor() as cursor:
        cursor.execute("select from nowhere")
    with pytest.raises(psycopg2.InterfaceError, match="needs an open transaction"):
        sides.copy("select 1, 'x'")


def test_notifications_and_changed_settings_in_mid_stream_are_no_data(sides: Sides) -> None:
    for session in (sides.source, sides.warehouse):
        rows(session, "listen news")
    # Reported to the client as soon as a session that reads its own setting anew tells it: inside the copy.
    rows(
        sides.source,
        "create function change(n int) returns int language plpgsql as $$ begin "
        "if n % 500 = 0 then perform set_config('application_name', 'at ' || n, false); "
        "perform pg_notify('news', n::text); end if; return n; end $$",
    )
    sides.begin()

    def shout() -> None:
        for number in range(10):
            for side in ("source", "warehouse"):
                sides.other(side, "select pg_notify('news', %s)", str(number))
                sides.other(side, "select pg_reload_conf()")

    timer = aside(shout, 0.0)
    query = "select change(n), repeat('x', 2000) from generate_series(1, 60000) as n"
    assert sides.copy(query) == 60000
    timer.join()
    sides.warehouse.commit()
    assert rows(sides.warehouse, "select count(*), sum(n) from target") == [(60000, 1800030000)]


_BIG = """
import resource, sys
from psycopg2 import sql
from runner.connect import connect
from runner.load.copy import copy_rows
from runner.settings import Connection
source, warehouse = (connect(Connection(*eval(text))) for text in sys.argv[1:])
query = sql.SQL("select n, repeat(md5(n::text), 50 * 32768) from generate_series(1, 2) as n")
with source.cursor() as origin, warehouse.cursor() as target:
    origin.execute("select 1")
    target.execute("select 1")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert copy_rows(origin, query, target, sql.Identifier("target"), ("n", "body")) == 2
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
warehouse.commit()
"""


def test_values_of_50_mb_pass_in_flat_memory(sides: Sides) -> None:
    def words(c: Connection) -> str:
        return repr((c.side, c.host, c.port, c.user, c.password, c.dbname, c.sslmode))

    settings = [words(sides.source_settings), words(sides.warehouse_settings)]
    done = subprocess.run([sys.executable, "-c", _BIG, *settings], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 10_000  # kB
    found = rows(sides.warehouse, "select n, length(body), md5(body) from target order by n")
    query = "select n, 50 * 32768 * 32, md5(repeat(md5(n::text), 50 * 32768)) from generate_series(1, 2) as n"
    assert found == rows(sides.source, query)
