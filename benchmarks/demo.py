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

    def run(self, *command: str) -> Measured:
        """Run a command in the project. Raises CommandFailed."""
        env = self.bench.environment(
            HAVEN_HOME=str(self.project), DBT_PROFILES_DIR=str(self.project)
        )
        return run(Pipe((command,), env), cwd=self.project)

    def haven(self, *arguments: str) -> Measured:
        """Run `haven` there. Raises CommandFailed."""
        return self.run(sys.executable, "-m", "runner.cli", *arguments)

    def dbt(self, *arguments: str) -> Measured:
        """Run plain dbt there. Raises CommandFailed."""
        return self.run(sys.executable, "-m", "dbt.cli.main", "--quiet", *arguments)


@contextmanager
def filled(bench: Bench, name: str, scale: float) -> Iterator[Demo]:
    """Make databases called `name`, fill the source at `scale`, install the packages; drop all of it at the end."""
    with own_databases(bench, name) as own:
        demo = Demo(own, bench.home / f"{name} project")
        for folder in FOLDERS:
            shutil.copytree(ROOT / folder, demo.project / folder)
        for file in FILES:
            shutil.copy(ROOT / file, demo.project)
        demo.haven("demo", "init", "--scale", str(scale))
        demo.haven("deps")
        yield demo
    shutil.rmtree(demo.project)
