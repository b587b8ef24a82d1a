"""One trial: the source changes, a whole `haven run` is killed somewhere, and the next one has to put all right."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field

import psutil
import psycopg2
from conftest import Project, clean_environment, rows

from chaos import shop
from runner.connect import connect

# Who is killed: the runner, its process group (as a closed terminal or a container does), dbt, or a backend of either.
TARGETS = ("runner", "group", "dbt", "backend")
# How long anything that the run started may live on.
ORPHAN_S = 2.0
PATIENCE_S = 600.0


@dataclass
class Result:
    """What a trial found; `where` is what the run was doing, as far as its processes and sessions tell.

    `is_missed` if the run was over before the kill; `next_run_s` is how long the run after it took.
    """

    target: str
    after_s: float
    where: str = ""
    exit_code: int | None = None
    faults: list[str] = field(default_factory=list)
    is_missed: bool = False
    next_run_s: float = 0.0
    seconds: float = 0.0

    def __str__(self) -> str:
        """Return one line for the log."""
        state = "right" if not self.faults else "WRONG: " + "; ".join(self.faults)
        return (
            f"{self.target} after {self.after_s:.1f} s, {self.where}: exit {self.exit_code}; {state} "
            f"({self.seconds:.0f} s)"
        )


def run(project: Project, rng: random.Random, target: str, after_s: float) -> Result:
    """Make one trial: kill `target` `after_s` seconds after the run's begin (dbt: as soon after as there is one)."""
    result = Result(target, after_s)
    began = time.monotonic()
    shop.change(project, rng)
    process = subprocess.Popen(
        [sys.executable, "-m", "runner.cli", "run", *rng.choice(((), ("--no-reports",)))],
        cwd=project.path,
        env=clean_environment() | project.source.as_env() | project.warehouse.as_env(),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    with suppress(subprocess.TimeoutExpired):
        process.wait(after_s)
    _kill(project, process, rng, result)
    result.exit_code = process.wait(PATIENCE_S)
    result.faults += left_over(project)
    next_began = time.monotonic()
    again = project.haven("run", "--no-reports", expect=None, HAVEN_BUILD_WAIT="30")
    result.next_run_s = time.monotonic() - next_began
    if again.code:
        result.faults.append(f"the next run ended with {again.code}: {again.err[-300:]}{again.out[-600:]}")
    result.faults += shop.faults(project)
    result.seconds = time.monotonic() - began
    return result


def _kill(project: Project, process: subprocess.Popen[bytes], rng: random.Random, result: Result) -> None:
    names = [name for (name,) in _sessions(project)]
    result.where = ", ".join(sorted({" ".join(name.split(" ")[:2]) for name in names})) or "no session"
    if process.poll() is not None:
        result.where, result.is_missed = "already done", True
        return
    if result.target == "runner":
        process.kill()
    elif result.target == "group":
        os.killpg(process.pid, signal.SIGKILL)
    elif result.target == "dbt":
        deadline = time.monotonic() + PATIENCE_S
        children: list[psutil.Process] = []
        while process.poll() is None and not children and time.monotonic() < deadline:
            with suppress(psutil.Error):
                children = psutil.Process(process.pid).children()
            time.sleep(0.05)
        for child in children:
            with suppress(psutil.Error):
                child.kill()
    else:
        with closing(connect(project.warehouse)) as session:
            rows(
                session,
                "select pg_terminate_backend(pid) from (select pid from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid() order by random() limit 1) as one",
            )


def _sessions(project: Project) -> list[tuple[str]]:
    """Return the names of all sessions of the run, in both databases."""
    query = (
        "select application_name from pg_stat_activity where datname = current_database() "
        "and pid <> pg_backend_pid() and backend_type = 'client backend'"
    )
    found: list[tuple[str]] = []
    for side in (project.source, project.warehouse):
        with suppress(psycopg2.Error), closing(connect(side)) as session:
            found += rows(session, query)
    return found


def _processes(project: Project) -> list[str]:
    """Return the processes that work in the project's folder."""
    found = []
    for process in psutil.process_iter(["pid", "status", "cwd", "cmdline"]):
        info = process.info
        if info["status"] != psutil.STATUS_ZOMBIE and str(info["cwd"] or "").startswith(str(project.path)):
            found.append(f"{info['pid']} {' '.join(info['cmdline'] or ())[-80:]}")
    return found


def left_over(project: Project) -> list[str]:
    """Return the processes and sessions that are still there ORPHAN_S seconds after the end of a run."""
    deadline = time.monotonic() + ORPHAN_S
    while (left := [*_processes(project), *(f"session {n}" for (n,) in _sessions(project))]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.05)
    return [f"left over: {one}" for one in left]
