"""The checks of a run: what the project promises, and whether it held.

They are rows of ops.node_results. What the warehouse does not have, or when it cannot be asked, comes from dbt's files,
without rules and failing rows. A test that exists but has no result is `not_run`, never passed: it was not selected, or
a package's stand-in switched it off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.artifacts import Manifest, Node, NodeResult
from runner.report.layers import PROJECT, layer_of, layer_rank

STATUSES = ("fail", "error", "warn", "not_run", "skipped", "pass")
_STATUS = {"success": "pass", "no-op": "pass"}
_FRESHNESS_STATUS = {"error": "fail", "runtime error": "error"}
_TESTS = {"test": "data test", "unit_test": "unit test"}
_LEFT_OUT = {
    "test": "It was not part of this run.",
    "unit_test": "It depends on no data: `dbt build` runs it, `haven run` leaves it out.",
}


def checks_of(
    manifest: Manifest, results: Sequence[NodeResult], recorded: Mapping[str, dict[str, Any]], missing: str | None
) -> list[dict[str, Any]]:
    """Return the checks as validation.json has them, worst first, then by layer, model and name.

    `results` are those of dbt's files, `recorded` what the warehouse has of them by unique id, `missing` why it has
    none. Of models, seeds, snapshots and hooks only those that did not succeed appear, of packages only errors.
    """
    found = dict(recorded)
    for result in results:
        entry = _from_result(result, manifest, missing)
        package = result.node.package_name if result.node else result.unique_id.split(".")[1]
        is_shown = result.resource_type in (*_TESTS, "source") or entry["status"] != "pass"
        if entry["status"] == "error" or (is_shown and package == manifest.project_name):
            found.setdefault(entry["unique_id"], entry)
    waiting = [(node, _LEFT_OUT[node.resource_type]) for node in manifest.own(*_TESTS)]
    waiting += [(node, "It is switched off.") for node in manifest.disabled]
    for node, why in waiting:
        if node.resource_type in _TESTS and node.package_name == manifest.project_name:
            entry = _entry(node.unique_id, node.name, node.resource_type, node, manifest)
            found.setdefault(node.unique_id, entry | {"message": why})
    return sorted(
        found.values(),
        key=lambda check: (
            STATUSES.index(check["status"]),
            layer_rank(check["layer"]),
            check["model"] or "",
            check["name"],
        ),
    )


def _from_result(result: NodeResult, manifest: Manifest, missing: str | None) -> dict[str, Any]:
    kind = result.resource_type
    words = _FRESHNESS_STATUS if kind == "source" else _STATUS
    status = words.get(result.status, result.status)
    schema, _, table = (result.kept_in or "").partition(".")
    note = f"No rows shown: {missing or 'the warehouse has no result of this test'}"
    entry = _entry(result.unique_id, result.name, kind, result.node, manifest) | {
        "status": status if status in STATUSES else "error",
        "failures": result.failures if kind in _TESTS else None,
        "message": result.message,
        "seconds": result.seconds if kind != "source" else None,
        "failures_schema": schema or None,
        "failures_table": table or None,
    }
    if entry["failures"] and entry["status"] in ("fail", "warn"):
        entry["sample"] = {"columns": [], "rows": [], "masked_columns": [], "note": note}
    return entry


def _entry(unique_id: str, name: str, kind: str, node: Node | None, manifest: Manifest) -> dict[str, Any]:
    """Return what dbt's manifest tells of a check."""
    is_test, is_source = kind in _TESTS, kind == "source"
    tested = manifest.nodes.get((node.tested_node or "") if node else "")
    rule = f"{name} is fresh" if is_source else f"{name} is built"
    if is_test or kind == "operation":
        rule = name.replace("__", ": ", 1).replace("_", " ")
    about = tested or (None if is_test or kind == "operation" else node)
    return {
        "unique_id": f"freshness.{unique_id}" if is_source else unique_id,
        "name": f"freshness of {name}" if is_source else name,
        "kind": {**_TESTS, "source": "freshness", "operation": "hook"}.get(kind, f"{kind} build"),
        "rule": rule,
        "description": node.description if node and is_test else "",
        "model": about.name if about else None,
        "column": node.column_name if node else None,
        "layer": layer_of(about) if about else PROJECT,
        "status": "not_run",
        "severity": node.severity if node else None,
        "owner": None,
        "tags": [],
        "failures": None,
        "message": None,
        "seconds": None,
        "path": node.path if node else "",
        "failures_schema": None,
        "failures_table": None,
        "sample": None,
    }
