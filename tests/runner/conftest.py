"""Shared fixtures: real PostgreSQL clusters made by `haven up`, and the real command line.

The whole session works in a copy of the project, in a folder whose name has a space.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from coverage import Coverage
from dbt.cli.main import dbtRunner
from dbt_common.behavior_flags import BehaviorFlagRendered
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from runner import embedded
from runner.child import look_less_for_garbage
from runner.connect import connect
from runner.embedded import place
from runner.embedded.server import free_port
from runner.settings import Connection, read_state

ROOT = Path(__file__).parents[2]
STARTUP = Path(__file__).parent / "startup"
# Opens a page and returns its DOM.
Browser = Callable[[Path], str]
# What dbt reads of the project; everything else (.venv, target, the tests themselves) stays behind.
COPIED = (
    "analyses", "macros", "models", "offline_packages", "seeds", "snapshots", "tests/reconciliation",
    "dbt_project.yml", "packages.yml", "profiles.yml",
)  # fmt: skip


# Where each worker begins, and the files that take longest: no worker is left alone with one of them at the end.
LONGEST = (
    "test_load", "test_types",  # without dbt, while the warm one is not ready
    "test_pipeline", "test_privacy", "test_histories", "test_builds", "test_values", "test_strategy", "test_faults",
    "test_partitioned", "test_embedded", "test_cli", "test_features", "test_conformance", "test_reconcile",
)  # fmt: skip

# Where the controller keeps the address of the warm dbt.
_WARM_DBT = pytest.StashKey[str]()

# How coverage hands itself to every Python process that is started, once it is on in this one.
_COVERAGE: dict[str, str] = {}


def measured() -> dict[str, str]:
    """Return the variables with which coverage measures a `haven` that is started, but not the dbt that it starts."""
    return _COVERAGE | {"PYTHONPATH": str(STARTUP)} if _COVERAGE else {}


def clean_environment() -> dict[str, str]:
    """Return the environment without what a developer may have set for Haven, dbt or PostgreSQL."""
    prefixes = ("HAVEN_", "DBT_", "PG")
    return {k: v for k, v in os.environ.items() if not k.startswith(prefixes)} | {
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_LOG_LEVEL_FILE": "none",
        "COLUMNS": "140",
    }


class _ByFile(LoadScopeScheduling):
    """Keeps each file's tests, or each package variant of them, on one worker: they share what is slow.

    Not xdist's own loadgroup: with pytest 9.2 it groups nothing, without a word.
    """

    def _split_scope(self, nodeid: str) -> str:
        variant = re.search(r"\[(offline|real)\b", nodeid)
        return nodeid.split("::", maxsplit=1)[0] + (variant[1] if variant else "")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Let xdist hand out the tests by file."""
    return _ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest.

    And keep coverage for processes that ask for it (`measured`): by now it is on in this one.
    """
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONGEST)))
    for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        _COVERAGE[name] = os.environ.pop(name)


@pytest.fixture(scope="session", autouse=True)
def quick_dbt() -> Iterator[None]:
    """Spare a dbt that runs in this process what is slow only here.

    Coverage measures nothing of ours in it. For the text of a warning it asks each frame, of which pytest has many,
    which of all modules it belongs to: four fifths of the time of a small build. And all that pytest keeps would be
    looked through for garbage again and again.
    """
    invoke = dbtRunner.invoke
    look_less_for_garbage()

    def unmeasured(*args: Any, **options: Any) -> Any:
        measuring = Coverage.current()
        if measuring:
            measuring.stop()
        try:
            return invoke(*args, **options)
        finally:
            if measuring:
                measuring.start()

    with (
        patch.object(dbtRunner, "invoke", unmeasured),
        patch.object(BehaviorFlagRendered, "_default_source", return_value="dbt"),
    ):
        yield


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the warm dbt, one for all workers: what the tests start are forks of it as soon as it is warm."""
    config = session.config
    if hasattr(config, "workerinput") or config.option.collectonly or not hasattr(os, "pidfd_open"):
        return  # a worker; no test will run; not on Linux
    folder = Path(tempfile.mkdtemp(prefix="haven-dbt-"))
    settings = {"DBT_TARGET_PATH": str(folder), "DBT_LOG_PATH": str(folder), "WARM_DBT": ""}
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "warm_dbt.py"), str(folder / "socket")],
        env=clean_environment() | settings, cwd=folder, stdin=subprocess.PIPE,
    )  # fmt: skip

    def end() -> None:
        process.kill()
        process.communicate()
        shutil.rmtree(folder)

    config.add_cleanup(end)
    config.stash[_WARM_DBT] = str(folder / "socket")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Tell a worker where the warm dbt is."""
    node.workerinput["warm_dbt"] = node.config.stash.get(_WARM_DBT, "")


@pytest.fixture(scope="session", autouse=True)
def warm_dbt(pytestconfig: pytest.Config) -> Iterator[None]:
    """Let whatever dbt the tests start be a fork of the warm one (see warm_dbt.py)."""
    at_worker = getattr(pytestconfig, "workerinput", {}).get("warm_dbt", "")
    address = pytestconfig.stash.get(_WARM_DBT, at_worker)
    with pytest.MonkeyPatch.context() as patched:
        if address:
            patched.setenv("WARM_DBT", f"{os.getsid(0)} {address}")
            patched.setenv("PYTHONPATH", str(STARTUP))
        yield


@pytest.fixture
def cold_dbt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each dbt be a process of its own: for tests of what happens to processes."""
    monkeypatch.delenv("WARM_DBT", raising=False)


@dataclass(frozen=True)
class Done:
    """A finished command: exit code and both outputs."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return standard output as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Project:
    """A dbt project folder and the databases it works on; `haven` runs the real command line there."""

    path: Path
    source: Connection
    warehouse: Connection
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, *command: str, timeout_s: float = 600, **env: str) -> Done:
        """Run a program in the project with its settings; `env` adds to or overrides them."""
        values = clean_environment() | self.source.as_env() | self.warehouse.as_env()
        done = subprocess.run(
            command,
            cwd=self.path,
            env=values | dict(self.env) | env,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def haven(self, *args: str, expect: int | None = 0, **env: str) -> Done:
        """Run `haven` and check its exit code (None: any)."""
        done = self.run(sys.executable, "-m", "runner.cli", *args, **(measured() | env))
        assert expect is None or done.code == expect, f"exit {done.code}\n{done.out}\n{done.err}"
        return done

    def dbt(self, *args: str, expect: int | None = 0, **env: str) -> Done:
        """Run plain dbt and check its exit code (None: any)."""
        done = self.run(sys.executable, "-m", "dbt.cli.main", *args, **({"DBT_PROFILES_DIR": str(ROOT)} | env))
        assert expect is None or done.code == expect, f"exit {done.code}\n{done.out}\n{done.err}"
        return done


def rows(session: PgConnection, query: str | sql.Composable, *args: object) -> list[tuple[Any, ...]]:
    """Run one statement, commit, and return its rows (empty for a statement without any)."""
    with session, session.cursor() as cursor:
        cursor.execute(query, args or None)
        return cursor.fetchall() if cursor.description else []


def differences(project: Project, raw_schema: str, tables: Iterable[str]) -> dict[str, int]:
    """Return, for each table, how many rows are on one side only: the source's against raw's live rows, as text.

    Equal rows count as often as they are there.
    """
    found = {}
    with closing(connect(project.source)) as one, closing(connect(project.warehouse)) as two:
        for name in tables:
            columns = rows(
                one,
                "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 "
                "and not attisdropped order by attnum",
                f"public.{name}",
            )
            names = sql.SQL(", ").join(sql.Identifier(row[0]) for row in columns)
            query = sql.SQL("select row({})::text from {} where {}")
            here = query.format(names, sql.Identifier("public", name), sql.SQL("true"))
            there = query.format(names, sql.Identifier(raw_schema, name), sql.SQL("_deleted_at is null"))
            left, right = Counter(rows(one, here)), Counter(rows(two, there))
            found[name] = sum(((left - right) + (right - left)).values())
    return found


@pytest.fixture(scope="session")
def cluster_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a space in its name in which both embedded clusters run."""
    home = tmp_path_factory.mktemp("haven") / "my warehouse"
    home.mkdir()
    embedded.up(home)
    yield home
    embedded.down(home, delete=True)


class Databases:
    """Makes and drops databases in the session's clusters."""

    def __init__(self, home: Path) -> None:
        state = read_state(home)
        assert state is not None
        self._source = Connection(side="source", **state["source"])
        self._warehouse = Connection(side="warehouse", **state["warehouse"])
        self._made: list[Connection] = []

    def create(self, side: str, options: str = "") -> Connection:
        """Return a connection to a new, empty database of that side's cluster."""
        cluster = self._source if side == "source" else self._warehouse
        fresh = replace(cluster, dbname=f"test_{uuid4().hex[:12]}")
        self.execute(cluster, f"create database {{}} {options}", fresh.dbname)
        self._made.append(fresh)
        return fresh

    def drop_all(self) -> None:
        """Drop what was made; sessions left open by a failed test are ended."""
        for fresh in self._made:
            cluster = self._source if fresh.side == "source" else self._warehouse
            self.execute(cluster, "drop database if exists {} with (force)", fresh.dbname)

    @staticmethod
    def execute(cluster: Connection, statement: str, name: str) -> None:
        session = connect(cluster)
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(sql.Identifier(name)))
        session.close()


@pytest.fixture
def databases(cluster_home: Path) -> Iterator[Databases]:
    """Databases for one test."""
    made = Databases(cluster_home)
    yield made
    made.drop_all()


@pytest.fixture(scope="module")
def module_databases(cluster_home: Path) -> Iterator[Databases]:
    """Databases that live as long as this module's tests."""
    made = Databases(cluster_home)
    yield made
    made.drop_all()


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """A function that opens a page in headless Chromium without a network and returns its DOM."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium or Chrome on this machine to open the page with")

    def open_page(page: Path) -> str:
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--virtual-time-budget=8000",
            f"--user-data-dir={tmp_path_factory.mktemp('browser')}",
        ]
        done = subprocess.run(
            [found, *flags, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout

    return open_page


@pytest.fixture
def source_settings(databases: Databases) -> Connection:
    """An empty source database."""
    return databases.create("source")


@pytest.fixture
def warehouse_settings(databases: Databases) -> Connection:
    """An empty warehouse database."""
    return databases.create("warehouse")


@pytest.fixture
def source_connection(source_settings: Connection) -> Iterator[PgConnection]:
    """A session in an empty source database."""
    session = connect(source_settings)
    yield session
    session.close()


@pytest.fixture
def warehouse_connection(warehouse_settings: Connection) -> Iterator[PgConnection]:
    """A session in an empty warehouse database."""
    session = connect(warehouse_settings)
    yield session
    session.close()


DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="session")
def debian_server() -> Iterator[Connection]:
    """A PostgreSQL 15 server of the system's package, as a second version beside the embedded 18."""
    if not (DEBIAN_15 / "initdb").is_file():
        pytest.skip(f"no PostgreSQL 15 in {DEBIAN_15}")
    account = place.account()  # as root: a system user, as PostgreSQL refuses to be root
    folder = Path(tempfile.mkdtemp(prefix="haven-pg15-"))

    def run(program: str, *args: str) -> None:
        command = [str(DEBIAN_15 / program), "-D", str(folder / "data"), *args]
        # Not a pipe: the server inherits it, and it would never end.
        done = subprocess.run(command, cwd="/", stdout=subprocess.DEVNULL, check=False, **account)
        assert done.returncode == 0, program

    try:
        if account:
            os.chown(folder, account["user"], account["group"])
        port = free_port()
        run("initdb", "-U", "haven", "-A", "trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories="
        run("pg_ctl", "-l", str(folder / "log"), "-w", "-s", "-o", options, "start")
        yield Connection("source", "127.0.0.1", port, "haven", "unused", "postgres", "disable")
        run("pg_ctl", "-w", "-s", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def debian_source(debian_server: Connection) -> Iterator[Connection]:
    """An empty database of the PostgreSQL 15 server."""
    fresh = replace(debian_server, dbname=f"test_{uuid4().hex[:12]}")
    Databases.execute(debian_server, "create database {}", fresh.dbname)
    yield fresh
    Databases.execute(debian_server, "drop database {} with (force)", fresh.dbname)


def copy_project(target: Path) -> Path:
    """Copy the project's dbt files to `target`, without anything that was generated."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name)
        else:
            shutil.copy(ROOT / name, target)
    return target
