"""The validation report: every check, whether it held, and some of the rows that broke it.

`write_validation` returns what validation.json holds; `validation.schema.json` beside this file describes it.
`schema_version` grows by 0.1 when a key is added, by 1 when one changes its meaning or goes away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.artifacts import load_freshness, load_manifest, load_run_results
from runner.artifacts.files import write_whole
from runner.artifacts.summary import read_summary
from runner.report.checks import STATUSES, checks_of
from runner.report.layers import layer_rank
from runner.report.masking import mask_text
from runner.report.pages import render
from runner.report.problems import problems_of
from runner.report.recorded import recorded_checks
from runner.settings import DBT_PASSWORD

SCHEMA_VERSION = "1.2"
_LOAD_KEYS = (
    "table", "strategy", "mode", "rows_read", "rows_inserted", "rows_updated", "rows_unchanged", "rows_deleted",
    "rows_rejected", "seconds", "rows_per_second", "error",
)  # fmt: skip
_SECTIONS = (
    ("failed", "Failed", ("fail", "error")),
    ("warnings", "Warnings", ("warn",)),
    ("not-run", "Not run", ("not_run", "skipped")),
    ("passed", "Passed", ("pass",)),
)


def write_validation(target_dir: Path, reports_dir: Path, env: Mapping[str, str]) -> dict[str, Any]:
    """Write validation.json and validation.html into `reports_dir` and return the document.

    Results are read from the warehouse that `env` (HAVEN_WAREHOUSE_*) names; without it the report is written all the
    same, from dbt's files, and says that no rows can be shown.

    Raises:
        ConfigError: an artifact is missing or garbled, or tested nothing.
    """
    password = env.get(DBT_PASSWORD) or env.get("HAVEN_WAREHOUSE_PASSWORD", "")
    secrets = (password,) if password else ()
    manifest = load_manifest(target_dir)
    run = load_run_results(target_dir, manifest)
    summary = read_summary(target_dir)
    recorded, missing = recorded_checks(manifest, run, env)
    results = (*run.results, *load_freshness(target_dir, manifest))
    checks = [_masked(c, secrets) for c in checks_of(manifest, results, recorded, missing)]
    problems = problems_of(summary, manifest, shown_run=run.run_id)
    problems = [_masked(problem, secrets) for problem in problems]
    counts = {status: sum(check["status"] == status for check in checks) for status in STATUSES}
    status = "warn" if counts["warn"] else "pass"
    made = {
        "schema_version": SCHEMA_VERSION,
        "generated_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "project": manifest.project_name,
        "dbt_version": manifest.dbt_version,
        "run": {
            "id": run.run_id,
            "command": mask_text(run.command, secrets),
            "finished_at": run.generated_at,
            "seconds": run.elapsed_s,
        },
        "status": "fail" if counts["fail"] or counts["error"] or problems else status,
        "incomplete": missing,
        "problems": problems,
        "counts": {**counts, "total": len(checks)},
        "loads": loads_of(summary),
        "checks": checks,
    }
    text = json.dumps(made, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(reports_dir / "validation.json", text + "\n")
    page = render("validation.html.j2", report=made, sections=sections(checks))
    write_whole(reports_dir / "validation.html", page)
    return made


def _masked(entry: Mapping[str, Any], secrets: tuple[str, ...]) -> dict[str, Any]:
    """Return an entry with the texts that dbt, a database or a person wrote masked."""
    return {
        key: mask_text(value, secrets) if value and key in ("command", "message", "description") else value
        for key, value in entry.items()
    }


def loads_of(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the table loads of a run's summary with all keys present, or None if there was no run."""
    if found is None:
        return None
    tables = [entry for entry in found.get("loads") or [] if isinstance(entry, dict)]
    return {key: found.get(key) for key in ("run_id", "started_at", "status")} | {
        "tables": [{key: entry.get(key) for key in _LOAD_KEYS} for entry in tables]
    }


def sections(checks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Group checks for the page: by status, worst first, then by layer in the order of the flow."""
    made = []
    for key, title, statuses in _SECTIONS:
        layers: dict[str, list[Mapping[str, Any]]] = {}
        chosen = [check for check in checks if check["status"] in statuses]
        for check in sorted(chosen, key=lambda check: layer_rank(check["layer"])):
            layers.setdefault(check["layer"], []).append(check)
        if layers:
            made.append({"key": key, "title": title, "count": len(chosen), "layers": layers})
    return made
