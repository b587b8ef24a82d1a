"""The demo marketplace, in databases of its own, and a copy of the project that is loaded from it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cluster import ROOT, Bench, own_databases
from benchmarks.measure import Measured, Pipe, run

# What `haven demo init --scale 1` makes.
ORDERS_AT_SCALE_1 = 50_000
FOLDERS = ("analyses", "macros", "models", "offline_packages", "seeds", "snapshots")
FILES = ("dbt_project.yml", "packages.yml", "profiles.yml")


@dataclass(frozen=True)
class Demo:
    """The copy of the project and its two databases."""

    bench: Bench
    project: Path

    def haven(self, *arguments: str) -> Measured:
        """Run `haven` there. Raises CommandFailed."""
        return self._run("runner.cli", *arguments)

    def dbt(self, *arguments: str) -> Measured:
        """Run plain dbt there. Raises CommandFailed."""
        return self._run("dbt.cli.main", "--quiet", *arguments)

    def _run(self, module: str, *arguments: str) -> Measured:
        home = str(self.project)
        env = self.bench.environment(HAVEN_HOME=home, DBT_PROFILES_DIR=home)
        return run(Pipe(((sys.executable, "-m", module, *arguments),), env), cwd=self.project)


@contextmanager
def copied(bench: Bench, name: str) -> Iterator[Demo]:
    """Copy the project into the bench's folder; remove it at the end."""
    demo = Demo(bench, bench.home / name)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, demo.project / folder)
    for file in FILES:
        shutil.copy(ROOT / file, demo.project)
    yield demo
    shutil.rmtree(demo.project)


@contextmanager
def filled(bench: Bench, name: str, scale: float) -> Iterator[Demo]:
    """Make databases called `name`, fill the source at `scale`, install the packages; drop all of it at the end."""
    with own_databases(bench, name) as own, copied(own, f"{name} project") as demo:
        demo.haven("demo", "init", "--scale", str(scale))
        demo.haven("deps", "--offline")
        yield demo
