"""The dbt part of `haven run`: source freshness, then `dbt build`, its progress shown and all its output kept."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status

from runner import log
from runner.artifacts import load_freshness, load_manifest, load_run_results
from runner.artifacts.files import write_whole
from runner.artifacts.results import RUN_ID_VARIABLE, NodeResult
from runner.build_claim import LOCKED, BuildClaim
from runner.child import killed_by
from runner.connect import connect, is_connection_message
from runner.dbt import dbt_message, follow_dbt
from runner.errors import ConfigError, LockedError, UnreachableError
from runner.settings import Settings

TESTS = ("test", "unit_test")
MODELS = ("model", "seed", "snapshot")
BAD = ("error", "fail", "runtime error")
PLAIN_EVERY = 50
_RESULTS, _SOURCES = "run_results.json", "sources.json"
# Of a run whose warehouse restarts: how often dbt is called again, and how long the warehouse may be away.
_MOST_RETRIES = 2
_PATIENCE_S, _PAUSE_S = 60.0, 0.5


@dataclass(frozen=True)
class BuildOutcome:
    """What one `dbt build` and its source freshness left, by node; `problems` are what no node tells."""

    returncode: int
    results: tuple[NodeResult, ...]
    freshness: tuple[NodeResult, ...]
    problems: tuple[str, ...] = ()

    def counts(self, *, is_test: bool) -> Counter[str]:
        """Return how many tests (or models, seeds, snapshots) ended in each status."""
        kinds = TESTS if is_test else MODELS
        return Counter(r.status for r in self.results if r.resource_type in kinds)

    def named(self, *statuses: str) -> list[NodeResult]:
        """Return the nodes that ended in one of `statuses`."""
        return [result for result in self.results if result.status in statuses]


@dataclass(frozen=True)
class BuildRequest:
    """What of dbt's options the caller chose."""

    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    full_refresh: bool = False


def build(settings: Settings, request: BuildRequest, *, claim: BuildClaim) -> BuildOutcome:
    """Run source freshness and `dbt build`, but no unit tests; return what the artifacts say.

    These carry the claim's run id. What a broken connection made fail is run again, when the warehouse answers.

    Raises:
        ConfigError: dbt could not run at all: then the artifacts of the last build are still there.
        LockedError: others build the same schemas.
        UnreachableError: the warehouse does not come back.
    """
    project, target = settings.project_dir, settings.target_dir
    logged = target / "haven" / "dbt.log"
    logged.parent.mkdir(parents=True, exist_ok=True)
    shown = logged.relative_to(project) if logged.is_relative_to(project) else logged
    log.info(f"dbt checks source freshness, builds and tests (all its output: {shown})")
    # They depend on no data: `dbt build` runs them where models are edited, and in CI.
    args = ["build", "--exclude-resource-type", "unit_test"]
    for flag, names in (("--select", request.select), ("--exclude", request.exclude)):
        args += [flag, *names] if names else []
    if request.full_refresh:
        args.append("--full-refresh")
    problems = []
    with logged.open("w", encoding="utf-8") as out, _Follower(out.write) as follower:
        caller = _Caller(settings, claim, follower, time.time())
        code = caller.run(["source", "freshness"], _SOURCES)
        has_freshness = code >= 0 and caller.is_new(_SOURCES)
        if killed := killed_by(code):
            problems.append(f"dbt source freshness {killed}")
        elif code and not has_freshness:
            problems.append(f"dbt source freshness: {follower.message(project)}")
        code = caller.run(args, _RESULTS)
    if killed := killed_by(code):
        problems.append(f"dbt build {killed}")
        (target / _RESULTS).unlink(missing_ok=True)  # it may be torn
    elif not caller.is_new(_RESULTS):
        message = follower.message(project)
        if LOCKED in message:
            raise LockedError(next(line.strip() for line in message.splitlines() if LOCKED in line))
        raise ConfigError(f"dbt could not build (all it says: {shown}): {message}")
    manifest = load_manifest(target)
    return BuildOutcome(
        returncode=code,
        results=() if killed else load_run_results(target, manifest).results,
        freshness=load_freshness(target, manifest) if has_freshness else (),
        problems=tuple(problems),
    )


@dataclass(frozen=True)
class _Caller:
    """Calls dbt, again for what a broken connection made fail."""

    settings: Settings
    claim: BuildClaim
    follower: _Follower
    started: float

    def is_new(self, artifact: str) -> bool:
        """Return whether the artifact was written since `started` (seconds since the epoch): none of the last run."""
        path = self.settings.target_dir / artifact
        return path.is_file() and path.stat().st_mtime >= self.started

    def run(self, args: list[str], artifact: str) -> int:
        """Run dbt, and again what failed by a broken connection; merge the results in `artifact`.

        Return the exit code.
        """
        path = self.settings.target_dir / artifact
        tries = min(self.settings.whole_number("HAVEN_RETRIES", 4), _MOST_RETRIES)
        code = self._follow(args)
        for _ in range(tries):
            results = _read_results(path) if self.is_new(artifact) else []
            lost = [r for r in results if is_connection_message(_failure_of(r))]
            said = self.follower.message(self.settings.project_dir)
            if code <= 0 or not (lost if results else is_connection_message(said)):
                break
            log.info(f"dbt {args[0]} lost the warehouse: what failed is run again when it answers")
            self._wait_for_warehouse()
            self.claim.take()
            # `dbt retry` runs what failed or was skipped, with the options it had.
            code = self._follow(["retry"] if results and artifact == _RESULTS else args)
            _merge_results(path, results)
        return code

    def _follow(self, args: list[str]) -> int:
        self.follower.begin()
        return follow_dbt(
            args,
            project_dir=self.settings.project_dir,
            env={**self.settings.child_env(), **self.claim.env, RUN_ID_VARIABLE: self.claim.run_id},
            on_line=self.follower.line,
        )

    def _wait_for_warehouse(self) -> None:
        """Return when the warehouse answers. Raises UnreachableError if it does not within _PATIENCE_S."""
        gives_up_at = time.monotonic() + _PATIENCE_S
        while True:
            try:
                connect(self.settings.connection("warehouse")).close()
                return
            except UnreachableError as error:
                if not error.is_transient or time.monotonic() > gives_up_at:
                    raise
            time.sleep(_PAUSE_S)


def _failure_of(result: dict[str, Any]) -> str:
    is_bad = result.get("status") in BAD
    return str(result.get("message") or result.get("error") or "") if is_bad else ""


def _read_results(path: Path) -> list[dict[str, Any]]:
    try:
        return list(json.loads(path.read_text(encoding="utf-8"))["results"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _merge_results(path: Path, earlier: list[dict[str, Any]]) -> None:
    """Add to a retry's results those of the nodes that it left alone."""
    if not _read_results(path):
        return
    document = json.loads(path.read_text(encoding="utf-8"))
    again = {result["unique_id"] for result in document["results"]}
    kept = [result for result in earlier if result["unique_id"] not in again]
    document["results"] = kept + document["results"]
    if document["args"].get("which") == "retry":
        document["args"]["which"] = "build"
    write_whole(path, json.dumps(document))


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

    def begin(self) -> None:
        """Forget what an earlier dbt said."""
        self._lines.clear()

    def message(self, project_dir: Path) -> str:
        """Return what dbt said was wrong."""
        return dbt_message("\n".join(self._lines), project_dir)
