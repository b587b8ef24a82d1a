"""`haven up` and `down` on real clusters: what a laptop, a container or a reboot may do to them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest
from conftest import clean_environment, measured

from runner import embedded
from runner.connect import connect
from runner.embedded import place
from runner.errors import ConfigError, UnreachableError
from runner.settings import Connection, load_settings, read_state, state_copy, state_file


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder whose path is longer than a socket's name may be."""
    folder = tmp_path / "a folder with spaces" / ("long-" * 22)
    folder.mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: x\nprofile: haven\n")
    yield folder
    embedded.down(folder, delete=True)


def settings_of(home: Path, side: str) -> Connection:
    """Return the connection that `haven up` remembered."""
    state = read_state(home)
    assert state is not None
    return Connection(side="source" if side == "source" else "warehouse", **state[side])


def answer(home: Path, side: str) -> str:
    """Return the database name that answers on one side."""
    session = connect(settings_of(home, side))
    try:
        with session.cursor() as cursor:
            cursor.execute("select current_database()")
            row = cursor.fetchone()
            assert row is not None
            return str(row[0])
    finally:
        session.close()


def test_up_makes_two_clusters_and_is_safe_to_repeat(home: Path) -> None:
    first = embedded.up(home)
    assert [(c.side, c.state) for c in first] == [("source", "running"), ("warehouse", "running")]
    assert embedded.up(home) == first
    assert (answer(home, "source"), answer(home, "warehouse")) == ("haven_source", "haven_warehouse")


def test_passwords_are_asked_for_and_only_the_owner_can_read_them(home: Path) -> None:
    embedded.up(home)
    assert stat.S_IMODE(state_file(home).stat().st_mode) == 0o600
    good = settings_of(home, "warehouse")
    with pytest.raises(UnreachableError, match="check HAVEN_WAREHOUSE_USER and HAVEN_WAREHOUSE_PASSWORD"):
        connect(Connection(**{**good.__dict__, "password": "wrong"}))
    assert good.password not in repr(good)
    session = connect(good)
    with session.cursor() as cursor:
        cursor.execute("select count(*), bool_and(auth_method = 'scram-sha-256') from pg_hba_file_rules")
        assert cursor.fetchone()[1] is True  # type: ignore[index]
        cursor.execute("select current_setting('listen_addresses'), current_setting('unix_socket_directories')")
        assert cursor.fetchone() == ("127.0.0.1", "")
    session.close()


def test_data_survives_a_crash_with_a_stale_pid_file_and_a_taken_port(home: Path) -> None:
    """kill -9 of everything, as a power cut does; the pid file then names a program that is no server."""
    embedded.up(home)
    old = settings_of(home, "warehouse")
    session = connect(old)
    with session, session.cursor() as cursor:
        cursor.execute("create table kept as select 42 as answer")
        cursor.execute("checkpoint")
    session.close()
    for cluster in embedded.status(home):
        assert cluster.pid is not None
        children = psutil.Process(cluster.pid).children()
        for process in (psutil.Process(cluster.pid), *children):
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(children, timeout=10)
        data_dir = Path(cluster.data_dir)
        text = (data_dir / "postmaster.pid").read_text()
        (data_dir / "postmaster.pid").write_text(str(os.getpid()) + "\n" + text.split("\n", 1)[1])
    taken = socket.socket()
    # As servers do: connections of the killed server may linger on the port for a minute.
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + 30
    while True:  # the port is free once the kernel has buried the old listener
        try:
            taken.bind(("127.0.0.1", old.port))
            break
        except OSError:
            assert time.monotonic() < deadline, "the killed server's port is not free"
            time.sleep(0.1)
    taken.listen()
    try:
        embedded.up(home)
        new = settings_of(home, "warehouse")
        assert new.port != old.port
        assert new.password == old.password
        session = connect(new)
        with session.cursor() as cursor:
            cursor.execute("select answer from kept")
            assert cursor.fetchone() == (42,)
        session.close()
    finally:
        taken.close()
    embedded.down(home)
    assert {c.state for c in embedded.status(home)} == {"stopped"}
    embedded.up(home)
    assert settings_of(home, "warehouse").port == new.port


def test_down_delete_forgets_everything(home: Path) -> None:
    embedded.up(home)
    folder = Path(embedded.status(home)[0].data_dir)
    embedded.down(home, delete=True)
    assert embedded.status(home) == []
    assert not folder.exists()
    embedded.down(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand the server to another user")
def test_root_opens_no_folder_of_a_private_checkout(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    before = {p: p.stat().st_mode for p in (private, *private.parents)}
    try:
        embedded.up(private)
        assert {p: p.stat().st_mode for p in before} == before
        data_dir = Path(embedded.status(private)[0].data_dir)
        assert data_dir.is_relative_to(place.ROOT_STATE)
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
        assert answer(private, "source") == "haven_source"
    finally:
        embedded.down(private, delete=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand the server to another user")
def test_root_copies_binaries_out_of_a_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "ROOT_STATE", tmp_path / "state")
    monkeypatch.setattr(place, "reachable", lambda folder: False)
    binaries = place.binaries()
    assert binaries.is_relative_to(tmp_path / "state")
    assert (binaries / "postgres").stat().st_mode & 0o005 == 0o005
    assert place.binaries() == binaries


def test_a_server_that_does_not_start_says_why(home: Path) -> None:
    embedded.up(home)
    embedded.down(home)
    config = Path(embedded.status(home)[0].data_dir) / "postgresql.conf"
    good = config.read_text()
    config.write_text(good + "\nno_such_setting = 1\n")
    with pytest.raises(UnreachableError, match="no_such_setting"):
        embedded.up(home)
    config.write_text(good)


def test_k1_a_damaged_state_file_is_read_from_its_copy(home: Path) -> None:
    running = embedded.up(home)
    text = state_file(home).read_text()
    for torn in ("", "{", "[]", text[:100]):
        state_file(home).write_text(torn)
        assert embedded.up(home) == running
    state_copy(home).write_text("{")
    with pytest.raises(ConfigError, match=r"connections\.json in \.haven and its copy are damaged"):
        embedded.status(home)
    state_copy(home).unlink()
    state_file(home).write_text(text)


def test_settings_come_from_the_environment_then_dotenv_then_the_state(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.up(home)
    monkeypatch.chdir(home)
    state = json.loads(state_file(home).read_text())
    assert load_settings(environ={}).connection("source").port == state["source"]["port"]
    (home / ".env").write_text("HAVEN_SOURCE_DBNAME=from_file\nHAVEN_SOURCE_USER=file\n")
    found = load_settings(environ={"HAVEN_SOURCE_USER": "env"}).connection("source")
    assert (found.dbname, found.user) == ("from_file", "env")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "70000", "HAVEN_SOURCE_PORT is '70000'; it must be a number from 1 to 65535"),
        ("PORT", "five", "HAVEN_SOURCE_PORT is 'five'"),
        ("SSLMODE", "maybe", "HAVEN_SOURCE_SSLMODE is 'maybe'; it must be one of disable"),
        ("USER", "", "HAVEN_SOURCE_USER is not set: run `haven up`"),
    ],
)
def test_a_wrong_setting_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: x\n")
    monkeypatch.chdir(tmp_path)
    good = {"HOST": "h", "PORT": "1", "USER": "u", "PASSWORD": "p", "DBNAME": "d"}
    environ = {f"HAVEN_SOURCE_{k}": v for k, v in (good | {name: value}).items()}
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        load_settings(environ=environ).connection("source")


def test_a_session_starts_in_utc(home: Path) -> None:
    embedded.up(home)
    session = connect(settings_of(home, "source"))
    with session.cursor() as cursor:
        cursor.execute("show timezone")
        assert cursor.fetchone() == ("UTC",)
    session.close()
    assert isinstance(session, psycopg2.extensions.connection)


def test_the_commands_up_status_env_and_down(home: Path) -> None:
    def haven(*args: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "runner.cli", *args],
            cwd=home,
            env=clean_environment() | measured(),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert haven("up").count("running on 127.0.0.1:") == 2
    clusters = json.loads(haven("status", "--json"))
    assert [cluster["state"] for cluster in clusters] == ["running", "running"]
    assert f"127.0.0.1:{clusters[0]['port']}, pid {clusters[0]['pid']}" in haven("status")
    script = haven("env", "--psql", "source") + '\npsql -qAtc "select current_database()"'
    answer = subprocess.run(["bash", "-c", script], env=clean_environment(), capture_output=True, text=True, check=True)
    assert answer.stdout == "haven_source\n"
    assert haven("down") == "databases are down\n"
    assert haven("status").count("stopped on") == 2
    assert haven("down", "--delete") == "databases are down and removed\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand the server to another user")
def test_k12_root_with_a_strict_umask_in_a_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state's place and the binaries, also those that pip installed under that umask, are the server's to enter."""
    state = Path("/var/lib") / f"haven-test-{os.getpid()}"
    monkeypatch.setattr(place, "ROOT_STATE", state)
    monkeypatch.setattr(place, "reachable", lambda folder: folder.is_relative_to(state))
    private = tmp_path / "private"
    old = os.umask(0o077)
    try:
        private.mkdir()
        (private / "dbt_project.yml").write_text("name: x\n")
        embedded.up(private)
        assert answer(private, "warehouse") == "haven_warehouse"
        assert stat.S_IMODE(state_file(private).stat().st_mode) == 0o600
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        # What an earlier version left: folders and programs that only root may enter.
        embedded.down(private)
        programs = place.binaries()
        for path in (programs / "initdb", programs, programs.parent, state):
            path.chmod(0o700)
        embedded.up(private)
        assert answer(private, "source") == "haven_source"
    finally:
        os.umask(old)
        embedded.down(private, delete=True)
        shutil.rmtree(state)
