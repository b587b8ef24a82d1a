"""The validation report: every check, whether it held, and some of the rows that broke it.

`document()` is what validation.json holds; `validation.schema.json` beside this file describes it.
`schema_version` grows by 0.1 when a key is added, by 1 when one changes its meaning or goes away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.artifacts import load_freshness, load_manifest, load_run_results
from runner.artifacts.files import write_whole
from runner.artifacts.summary import read_summary
from runner.report.checks import STATUSES, Check, checks_of
from runner.report.layers import layer_rank
from runner.report.masking import mask_text, pii_rules
from runner.report.pages import render
from runner.report.problems import problems_of
from runner.report.samples import Sample, read_samples
from runner.settings import DBT_PASSWORD

SCHEMA_VERSION = "1.1"
_LOAD_COUNTS = ("read", "inserted", "updated", "unchanged", "deleted", "rejected")


def write_validation(target_dir: Path, reports_dir: Path, env: Mapping[str, str]) -> dict[str, Any]:
    """Write validation.json and validation.html into `reports_dir` and return the document.

    Failing rows are read from the warehouse that `env` (HAVEN_WAREHOUSE_*) names; without it the
    report is written all the same and says that no rows can be shown.

    Raises:
        ConfigError: an artifact is missing or garbled, or tested nothing.
    """
    manifest = load_manifest(target_dir)
    run = load_run_results(target_dir, manifest)
    checks = checks_of(manifest, run, load_freshness(target_dir, manifest))
    password = env.get(DBT_PASSWORD) or env.get("HAVEN_WAREHOUSE_PASSWORD", "")
    secrets = (password,) if password else ()
    summary = read_summary(target_dir)
    made = document(
        checks,
        problems=problems_of(summary, manifest, shown_run=run.run_id),
        samples=read_samples(checks, env=env, rules=pii_rules(manifest)),
        loads=loads_of(summary),
        about={
            "project": manifest.project_name,
            "dbt_version": manifest.dbt_version,
            "run": {
                "id": run.run_id,
                "command": mask_text(run.command, secrets),
                "finished_at": run.generated_at,
                "seconds": run.elapsed_s,
            },
        },
        secrets=secrets,
    )
    text = json.dumps(made, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(reports_dir / "validation.json", text + "\n")
    page = render("validation.html.j2", report=made, sections=sections(made["checks"]))
    write_whole(reports_dir / "validation.html", page)
    return made


def document(
    checks: Sequence[Check],
    *,
    samples: Mapping[str, Sample],
    problems: Sequence[Mapping[str, Any]] = (),
    loads: Mapping[str, Any] | None,
    about: Mapping[str, Any],
    secrets: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the report as plain JSON values, checks in the order given."""
    counts = {status: sum(check.status == status for check in checks) for status in STATUSES}
    status = "pass"
    if counts["fail"] or counts["error"] or problems:
        status = "fail"
    elif counts["warn"]:
        status = "warn"
    return {
        "schema_version": SCHEMA_VERSION,
        "generated_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **about,
        "status": status,
        "problems": [
            {**problem, "message": mask_text(problem["message"], secrets)} for problem in problems
        ],
        "counts": {**counts, "total": len(checks)},
        "loads": loads,
        "checks": [_entry(check, samples.get(check.unique_id), secrets) for check in checks],
    }


def _entry(check: Check, sample: Sample | None, secrets: tuple[str, ...]) -> dict[str, Any]:
    entry = asdict(check)
    entry["message"] = mask_text(check.message, secrets) if check.message else None
    entry["description"] = mask_text(check.description, secrets)
    entry["sample"] = json.loads(json.dumps(asdict(sample))) if sample else None
    return entry


def loads_of(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the table loads of a run's summary with all keys present, or None if there was no run."""
    if found is None:
        return None
    tables = [entry for entry in found.get("loads") or [] if isinstance(entry, dict)]
    keys = ("table", "strategy", "mode", "seconds", "rows_per_second", "error")
    counts = tuple(f"rows_{name}" for name in _LOAD_COUNTS)
    return {
        "run_id": found.get("run_id"),
        "started_at": found.get("started_at"),
        "status": found.get("status"),
        "tables": [
            {key: entry.get(key) for key in keys[:3] + counts + keys[3:]} for entry in tables
        ],
    }


def sections(checks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Group checks for the page: by status, worst first, then by layer in the order of the flow."""
    titles = (
        ("failed", "Failed", ("fail", "error")),
        ("warnings", "Warnings", ("warn",)),
        ("not-run", "Not run", ("not_run", "skipped")),
        ("passed", "Passed", ("pass",)),
    )
    made = []
    for key, title, statuses in titles:
        layers: dict[str, list[Mapping[str, Any]]] = {}
        chosen = [check for check in checks if check["status"] in statuses]
        for check in sorted(chosen, key=lambda check: layer_rank(check["layer"])):
            layers.setdefault(check["layer"], []).append(check)
        if layers:
            made.append({"key": key, "title": title, "count": len(chosen), "layers": layers})
    return made
