"""`haven report`: make the reports of the last run and say where they are."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated

import typer

from runner.manifest import ensure_manifest
from runner.report import REPORTS, ReportResult, build_reports
from runner.settings import load_settings

_NAMES = "|".join(REPORTS)


def report(
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar=_NAMES, help="Make this report only; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    project_dir: Annotated[Path | None, typer.Option(help="The dbt project whose last run is reported.")] = None,
) -> None:
    """Write dbt's docs, the validation report, the data flow and Elementary's report.

    All are in target/reports; index.html there links them. Nothing is loaded, built or tested.
    """
    settings = load_settings(project_dir)
    ensure_manifest(settings)
    results = build_reports(settings.project_dir, settings.child_env(), only)
    typer.echo(as_json_text(results) if as_json else as_text(results))
    raise typer.Exit(exit_code(results, only or ()))


def exit_code(results: Sequence[ReportResult], only: Collection[str]) -> int:
    """Return 1 if a report failed. Elementary's counts only if it was asked for by name."""
    failed = {result.name for result in results if result.status == "failed"}
    return int(bool(failed - ({"elementary"} - set(only))))


def as_text(results: Sequence[ReportResult]) -> str:
    """Return one line per report: where it is, or why there is none."""
    width = max(len(result.title) for result in results)
    return "\n".join(
        f"{result.title:<{width}}  "
        + (f"{result.path}  ({result.detail})" if result.path else f"{result.status}: {result.detail}")
        for result in results
    )


def as_json_text(results: Sequence[ReportResult]) -> str:
    """Return the results as a JSON object with a list `reports`."""
    entries = [
        {
            "name": result.name,
            "title": result.title,
            "status": result.status,
            "path": str(result.path) if result.path else None,
            "detail": result.detail,
        }
        for result in results
    ]
    return json.dumps({"reports": entries}, indent=2)
