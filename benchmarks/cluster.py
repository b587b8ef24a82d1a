"""The bench's own two clusters, in a temporary folder, and what every trial does with them."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from benchmarks import table
from benchmarks.measure import Measured, Pipe, run
from benchmarks.table import Shape
from runner import embedded
from runner.connect import connect
from runner.contract import DEFAULT_LOOKBACK
from runner.embedded import place
from runner.settings import Connection, read_state

ROOT = Path(__file__).parents[1]
# Source, its index and key, up to ten copies, bloat of the changes; and WAL besides.
BYTES_PER_ROW = 3500
SPARE_BYTES = 2 << 30
# How long a server may take to notice that a session ended.
REAPED_S = 0.2
PROFILE = "name: {name}\nprofile: haven\n"
SOURCES = """
sources:
  - name: {schema}
    schema: {schema}
    config:
      meta:
        load: {{strategy: {strategy}, watermark: updated_at, deletes: {deletes}, lookback: {lookback}}}
    tables: [{tables}]
"""


class WrongResult(Exception):
    """A method was quick, but its copy is not the source."""


class NotEnoughDisk(Exception):
    """The bench would fill the disk."""


@dataclass(frozen=True)
class Bench:
    """Both databases and the folder in which projects and the peers' state live."""

    home: Path
    source: Connection
    warehouse: Connection

    def execute(self, target: Connection, *statements: str) -> list[tuple[Any, ...]]:
        """Run SQL, each statement its own transaction; return the last one's rows."""
        with closing(connect(target)) as session:
            session.autocommit = True
            with session.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def prepare(self, *statements: str) -> None:
        """Run SQL in the warehouse before a trial."""
        self.execute(self.warehouse, *statements)

    def checkpoint(self) -> None:
        """Write out what earlier trials left, so that it does not burden the next one."""
        for target in (self.source, self.warehouse):
            self.execute(target, "checkpoint")

    def vacuum(self) -> None:
        """Vacuum and analyze both databases, as autovacuum is off."""
        for target in (self.source, self.warehouse):
            self.execute(target, "vacuum analyze")

    def measured(self, *pipes: Pipe) -> tuple[Measured, dict[str, float]]:
        """Run one trial after a checkpoint; return also each server's CPU seconds for the sessions of it."""
        self.checkpoint()
        before = self._server_cpu()
        done = run(*pipes, cwd=ROOT)
        after = self._server_cpu()
        return done, {side: after[side] - before[side] for side in before}

    def _server_cpu(self) -> dict[str, float]:
        """Return CPU seconds of each server's sessions and parallel workers that ended."""
        time.sleep(REAPED_S)
        spent: dict[str, float] = {}
        for one in embedded.status(self.home):
            used = psutil.Process(one.pid).cpu_times()
            spent[one.side] = used.children_user + used.children_system
        return spent

    def psql(self, target: Connection, *statements: str) -> tuple[str, ...]:
        """Return the psql command that runs `statements`."""
        url = f"{self.url(target, password=False)}&gssencmode=disable"
        each = [part for statement in statements for part in ("-c", " ".join(statement.split()))]
        return (str(place.binaries() / "psql"), "-qX", "-v", "ON_ERROR_STOP=1", "-d", url, *each)

    def psql_pipe(self, reading: str, *writing: str) -> Pipe:
        """Return `psql | psql`: the first runs `reading`, the second `writing` with its output as input."""
        return Pipe(
            (self.psql(self.source, reading), self.psql(self.warehouse, *writing)),
            # Both clusters have passwords of their own; PGPASSFILE serves both at once.
            self.environment(),
        )

    def url(self, target: Connection, password: bool = True) -> str:
        """Return the address, for clients that take one."""
        login = f"{target.user}:{target.password}" if password else target.user
        return f"postgresql://{login}@{target.host}:{target.port}/{target.dbname}?sslmode=disable"

    def environment(self, **more: str) -> dict[str, str]:
        """Return a clean environment: paths, both connections, no telemetry."""
        kept = ("PATH", "HOME", "LANG", "PYTHONPATH", "LD_LIBRARY_PATH")
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            **self.source.as_env(),
            **self.warehouse.as_env(),
            "HAVEN_HOME": str(self.home),
            "HAVEN_TARGET": "local",
            "PGPASSFILE": str(self.home / "pgpass"),
            "SOURCE_URL": self.url(self.source),
            "WAREHOUSE_URL": self.url(self.warehouse),
            "DO_NOT_TRACK": "1",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            **more,
        }

    def project(
        self,
        name: str,
        tables: list[str],
        deletes: str,
        schema: str = "raw",
        strategy: str = "incremental",
        lookback: str = DEFAULT_LOOKBACK,
    ) -> Path:
        """Make a dbt project with nothing but a sources file, and let Haven read it once."""
        folder = self.home / name
        (folder / "models").mkdir(parents=True, exist_ok=True)
        (folder / "dbt_project.yml").write_text(PROFILE.format(name=name), encoding="utf-8")
        listed = ", ".join(f"{{name: {one}}}" for one in tables)
        sources = SOURCES.format(strategy=strategy, schema=schema, deletes=deletes, lookback=lookback, tables=listed)
        (folder / "models" / "sources.yml").write_text(sources, encoding="utf-8")
        run(self.haven(folder, "--dry-run"), cwd=ROOT)
        return folder

    def haven(self, project: Path, *options: str) -> Pipe:
        """Return the `haven load --json` command of a project."""
        arguments = ("load", "--json", "--project-dir", str(project), *options)
        return Pipe(((sys.executable, "-m", "runner.cli", *arguments),), self.environment())

    def shape(self, target: Connection, relation: str, where: str = "true") -> Shape:
        """Return row count and checksum of a relation."""
        ((rows, checksum),) = self.execute(target, table.checksum(relation, where))
        return Shape(rows, checksum)

    def has_key(self, relation: str) -> bool:
        """Return whether a table of the warehouse has a primary key."""
        query = f"select 1 from pg_index where indrelid = '{relation}'::regclass and indisprimary"
        return bool(self.execute(self.warehouse, query))

    def check(self, method: str, relation: str, expected: Shape, where: str = "true") -> None:
        """Raise WrongResult unless the warehouse's `relation` is what it should be."""
        found = self.shape(self.warehouse, relation, where)
        if found != expected:
            raise WrongResult(
                f"{method}: {relation} has {found.rows:,} rows, checksum {found.checksum}; "
                f"the source has {expected.rows:,}, {expected.checksum}"
            )


@contextmanager
def own_databases(bench: Bench, name: str) -> Iterator[Bench]:
    """Make databases called `name` on both sides, for a part of the bench; drop them at the end."""
    sides = (bench.source, bench.warehouse)
    for side in sides:
        bench.execute(side, f"create database {name}")
    try:
        yield Bench(bench.home, *(replace(side, dbname=name) for side in sides))
    finally:
        for side in sides:
            bench.execute(side, f"drop database {name} with (force)")


def check_disk(home: Path, rows: int) -> None:
    """Raise NotEnoughDisk unless there is room for `rows` rows in all copies that exist at a time."""
    for folder in {home, place.ROOT_STATE.parent if os.geteuid() == 0 else home}:
        free, needed = shutil.disk_usage(folder).free, rows * BYTES_PER_ROW + SPARE_BYTES
        if free < needed:
            raise NotEnoughDisk(
                f"{rows:,} rows need about {needed >> 30} GiB of disk, {free >> 30} are free: set ROWS lower"
            )


def start(home: Path) -> Bench:
    """Start both clusters in `home`. Autovacuum is off: it would start in the middle of some trial."""
    embedded.up(home)
    state = read_state(home) or {}
    bench = Bench(
        home, Connection(side="source", **state["source"]), Connection(side="warehouse", **state["warehouse"])
    )
    lines = ""
    for target in (bench.source, bench.warehouse):
        bench.execute(target, "alter system set autovacuum = off", "select pg_reload_conf()")
        lines += f"{target.host}:{target.port}:*:{target.user}:{target.password}\n"
    passwords = home / "pgpass"
    passwords.touch(mode=0o600)
    passwords.write_text(lines, encoding="utf-8")
    shutil.copy(ROOT / "profiles.yml", home)
    return bench
