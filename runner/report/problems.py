"""What went wrong in a `haven run` beyond what dbt says of its nodes: the run itself, and tables that were not loaded.

It is read from run_summary.json, which the run writes as it goes on, so that it speaks of a run that never got to dbt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.artifacts import Manifest
from runner.report.layers import layer_of, layer_rank
from runner.report.masking import mask_text


def problems_of(
    summary: Mapping[str, Any] | None, manifest: Manifest | None, *, shown_run: str | None
) -> list[dict[str, Any]]:
    """Return the last run's problems, gravest first: `kind` (run, load, reconcile), `name`, `message`, `stale`.

    `shown_run` is the run whose results of dbt are shown: a run that ended before dbt began left those of another.
    """
    if summary is None:
        return []
    found = []
    status, run_id = summary.get("status"), str(summary.get("run_id"))
    message = summary.get("error")
    if status == "running" and shown_run != run_id:
        message = "it has not ended yet, or was killed"
    if message:
        found.append(_problem("run", run_id, str(message)))
    for load in _objects(summary.get("loads")):
        if load.get("error"):
            table = str(load.get("table"))
            found.append(_problem("load", table, load["error"], stale_models(manifest, table)))
    for result in _objects(summary.get("reconciliations")):
        if result.get("status") in ("different", "failed"):
            table = str(result.get("table"))
            counts = ", ".join(f"{result.get(kind)} {kind}" for kind in _KINDS if result.get(kind))
            message = result.get("error") or f"raw differs from the source: {counts or 'columns'}"
            found.append(_problem("reconcile", table, message, stale_models(manifest, table)))
    return found


_KINDS = ("missing", "extra", "different")


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def stale_models(manifest: Manifest | None, table: str) -> list[str]:
    """Return the models that show old rows because `table` (source.table) was not loaded: marts, if there are any."""
    if manifest is None:
        return []
    nodes = manifest.downstream(table)
    marts = [n for n in nodes if layer_rank(layer_of(n)) > layer_rank("intermediate")]
    return [node.name for node in marts or nodes]


def _problem(kind: str, name: str, message: str, stale: list[str] | None = None) -> dict[str, Any]:
    return {"kind": kind, "name": name, "message": mask_text(message), "stale": stale or []}
