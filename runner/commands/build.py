"""The dbt part of `haven run`: source freshness, then `dbt build`, its progress shown and all its output kept."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.status import Status

from runner import log
from runner.artifacts import load_freshness, load_manifest, load_run_results
from runner.artifacts.results import RUN_ID_VARIABLE, FreshnessResult, NodeResult
from runner.dbt import dbt_message, follow_dbt
from runner.errors import ConfigError
from runner.settings import Settings

TESTS = ("test", "unit_test")
BAD = ("error", "fail", "runtime error")
PLAIN_EVERY = 50


@dataclass(frozen=True)
class BuildOutcome:
    """What one `dbt build` and its source freshness left, by node."""

    returncode: int
    results: tuple[NodeResult, ...]
    freshness: tuple[FreshnessResult, ...]

    def counts(self, *, is_test: bool) -> Counter[str]:
        """Return how many tests (or models, seeds, snapshots) ended in each status."""
        # dbt does nothing to exposures; operations are its hooks.
        built = [r for r in self.results if r.resource_type not in ("exposure", "operation")]
        return Counter(r.status for r in built if (r.resource_type in TESTS) == is_test)

    def named(self, *statuses: str) -> list[NodeResult]:
        """Return the nodes that ended in one of `statuses`."""
        return [result for result in self.results if result.status in statuses]


def build(
    settings: Settings,
    select: Sequence[str],
    exclude: Sequence[str] = (),
    *,
    run_id: str,
    full_refresh: bool = False,
) -> BuildOutcome:
    """Run source freshness and `dbt build`; return what the artifacts say. They carry `run_id`.

    Raises ConfigError if dbt could not run at all: then the artifacts of the last build are still there.
    """
    project, env = settings.project_dir, settings.child_env() | {RUN_ID_VARIABLE: run_id}
    target = settings.target_dir
    logged = target / "haven" / "dbt.log"
    logged.parent.mkdir(parents=True, exist_ok=True)
    shown = logged.relative_to(project) if logged.is_relative_to(project) else logged
    started = time.time()
    log.info(f"dbt checks source freshness, builds and tests (all its output: {shown})")
    args = ["build"]
    for flag, names in (("--select", select), ("--exclude", exclude)):
        args += [flag, *names] if names else []
    if full_refresh:
        args.append("--full-refresh")
    with logged.open("w", encoding="utf-8") as out, _Follower(out.write) as follower:
        follow_dbt(["source", "freshness"], project_dir=project, env=env, on_line=follower.line)
        code = follow_dbt(args, project_dir=project, env=env, on_line=follower.line)
    if not _is_new(target / "run_results.json", started):
        raise ConfigError(
            f"dbt could not build (all it says: {shown}): {follower.message(project)}"
        )
    has_freshness = _is_new(target / "sources.json", started)
    manifest = load_manifest(target)
    return BuildOutcome(
        returncode=code,
        results=load_run_results(target, manifest).results,
        freshness=load_freshness(target, manifest) if has_freshness else (),
    )


def _is_new(path: Path, since: float) -> bool:
    """Return whether a file was written since a moment (seconds since the epoch): no results of the last run."""
    return path.is_file() and path.stat().st_mtime >= since


class _Follower:
    """Shows dbt's progress: its current line on a terminal, else every 50th, and keeps all in a file."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._count = 0
        self._lines: list[str] = []
        console = Console(stderr=True)
        self._status: Status | None = console.status("dbt") if console.is_terminal else None

    def __enter__(self) -> _Follower:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def line(self, text: str) -> None:
        """Take one line of dbt's output."""
        self._write(f"{text}\n")
        body = text.split("  ", 1)[-1].strip()
        self._lines.append(text)
        done = " of " in body and " START " not in body
        self._count += done
        if self._status and done:
            self._status.update(f"dbt: {body[:90]}")
        elif done and self._count % PLAIN_EVERY == 0:
            log.info(f"  dbt: {body}")

    def message(self, project_dir: Path) -> str:
        """Return what dbt said was wrong."""
        return dbt_message("\n".join(self._lines), project_dir)
