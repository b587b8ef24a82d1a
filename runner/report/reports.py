"""Makes the reports; one that fails does not stop the others."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.artifacts import load_manifest
from runner.artifacts.files import write_whole
from runner.artifacts.summary import read_summary
from runner.child import stop_all
from runner.connect import is_connection_message
from runner.errors import ConfigError, HavenError
from runner.packages.project import OFFLINE_SUFFIX
from runner.report.dag import write_dag
from runner.report.docs import write_docs
from runner.report.elementary import installed_versions, why_not, write_elementary
from runner.report.masking import mask_text
from runner.report.pages import render
from runner.report.problems import problems_of
from runner.report.result import ReportResult
from runner.report.validation import write_validation
from runner.settings import DBT_PASSWORD, target_folder

# In the order of the landing page: name, file, title, what it is.
REPORTS = {
    "validation": ("validation.html", "Validation", "Every check, and the rows that broke it"),
    "docs": ("docs.html", "Documentation", "Every model and column, as dbt describes them"),
    "dag": ("dag.svg", "Data flow", "Which model reads which, from source to exposure"),
    "elementary": ("elementary.html", "Elementary", "History of runs and tests, and anomalies"),
}
_AGAIN_S = 5.0
# Linked from the landing page too, but made by a command of their own.
OTHER_PAGES = {"profile": ("profile.html", "Profile", "What the loaded tables hold")}


def build_reports(project_dir: Path, env: Mapping[str, str], only: Collection[str] | None = None) -> list[ReportResult]:
    """Write the reports into target/reports of the project, and an index.html that links them.

    Args:
        env: the whole environment for dbt and for the warehouse (HAVEN_WAREHOUSE_*).
        only: names of REPORTS to make; all if None or empty. Files of the others are left as they
            are; a report that could not be made leaves no old file behind.

    Returns:
        One result per report asked for, then one for the index.

    Raises:
        ConfigError: `only` names a report there is not.
    """
    chosen = list(REPORTS) if not only else list(dict.fromkeys(only))
    unknown = [name for name in chosen if name not in REPORTS]
    if unknown:
        raise ConfigError(f"no report {unknown[0]!r}; there are: {', '.join(REPORTS)}")
    target = project_dir / target_folder(env)
    reports = target / "reports"
    reports.mkdir(parents=True, exist_ok=True)

    def validation(path: Path) -> str:
        counts = write_validation(target, path.parent, env)["counts"]
        broken = counts["fail"] + counts["error"]
        return f"{counts['total']} checks: {broken} failed, {counts['warn']} warned"

    def docs(path: Path) -> str:
        write_docs(project_dir, target, path, env)
        return "dbt's documentation of the project"

    def dag(path: Path) -> str:
        return f"{write_dag(load_manifest(target), path)} nodes"

    def elementary(path: Path) -> str:
        write_elementary(project_dir, target, path, env, load_manifest(target))
        return "Elementary's history of runs and tests"

    makers = {"validation": validation, "docs": docs, "dag": dag, "elementary": elementary}
    skipped = {}
    if "elementary" in chosen:
        skipped["elementary"] = _try(lambda: why_not(project_dir, load_manifest(target)))
    # Two at a time, and Elementary's first: it takes longer than all the others together.
    with ThreadPoolExecutor(max_workers=2) as pool:
        waiting = {
            name: pool.submit(_make, name, reports, makers[name], env, skip=skipped.get(name))
            for name in sorted(chosen, key=lambda name: name != "elementary")
        }
        try:
            results = [waiting[name].result() for name in chosen]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop_all()
            raise
    results.append(_write_index(project_dir, target, reports, results, env))
    return results


def _try(ask: Callable[[], str | None]) -> str | None:
    try:
        return ask()
    except HavenError as error:
        return str(error)


def _make(
    name: str, reports: Path, maker: Callable[[Path], str], env: Mapping[str, str], *, skip: str | None
) -> ReportResult:
    file, title, _ = REPORTS[name]
    path = reports / file
    if skip is None:
        try:
            return ReportResult(name, title, "written", path, _made(maker, path))
        except (HavenError, OSError) as error:
            password = env.get(DBT_PASSWORD) or env.get("HAVEN_WAREHOUSE_PASSWORD", "")
            reason = mask_text(str(error), (password,) if password else ())
            status: Any = "failed"
    else:
        reason, status = skip, "skipped"
    # An old page would be taken for today's.
    path.unlink(missing_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)
    return ReportResult(name, title, status, None, reason)


def _made(maker: Callable[[Path], str], path: Path) -> str:
    """Call `maker`, once more if its connection broke: a warehouse that restarts is back a little later."""
    try:
        return maker(path)
    except HavenError as error:
        if not is_connection_message(str(error)):
            raise
    time.sleep(_AGAIN_S)
    return maker(path)


def _write_index(
    project_dir: Path, target: Path, reports: Path, results: list[ReportResult], env: Mapping[str, str]
) -> ReportResult:
    made = {result.name: result for result in results}
    entries = []
    for name, (file, title, what) in (REPORTS | OTHER_PAGES).items():
        path = reports / file
        result = made.get(name)
        command = "report" if name in REPORTS else name
        detail = result.detail if result else f"Not made yet: run `haven {command}`."
        written = None
        if path.is_file():
            written = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()
            detail = result.detail if result else ""
        entries.append(
            {
                "name": name,
                "file": file,
                "title": title,
                "what": what,
                "detail": detail,
                "written": written,
                "failed": bool(result and result.status == "failed"),
            }
        )
    path = reports / "index.html"
    validation = _validation(reports / "validation.json")
    page = render(
        "index.html.j2",
        entries=entries,
        packages=[
            {"name": name, "version": version.removesuffix(OFFLINE_SUFFIX), "offline": version.endswith(OFFLINE_SUFFIX)}
            for name, version in installed_versions(project_dir).items()
        ],
        made_at=datetime.now(UTC).isoformat(),
        target=env.get("HAVEN_TARGET", "local"),
        project=_project_name(target) or project_dir.resolve().name,
        validation=validation,
        problems=_problems(target, validation),
    )
    write_whole(path, page)
    return ReportResult("index", "All reports", "written", path, "links the reports")


def _project_name(target: Path) -> str | None:
    try:
        return load_manifest(target).project_name
    except ConfigError:
        return None


def _problems(target: Path, validation: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return what the index warns of: the run's problems as they are now, whatever pages could be made."""
    try:
        manifest = load_manifest(target)
    except ConfigError:
        manifest = None
    summary = read_summary(target)
    return problems_of(summary, manifest, shown_run=validation["run"]["id"] if validation else None)


def _validation(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found
