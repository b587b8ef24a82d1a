"""Turns dbt's results into checks: one thing the project promises, and whether it held.

A test that exists but has no result is `not_run`, never passed: it was not selected, or a package's
stand-in switched it off.
"""

from __future__ import annotations

from dataclasses import dataclass

from runner.artifacts import FreshnessResult, Manifest, Node, NodeResult, RunResults
from runner.report.layers import PROJECT, layer_of, layer_rank
from runner.report.rules import rule_of

STATUSES = ("fail", "error", "warn", "not_run", "skipped", "pass")
_STATUS = {
    "success": "pass",
    "partial success": "error",
    "runtime error": "error",
    "no-op": "pass",  # an exposure: there is nothing to build
}
_FRESHNESS_STATUS = {"error": "fail", "runtime error": "error"}
_LEFT_OUT = {
    "test": "It was not part of this run.",
    "unit_test": "It depends on no data: `dbt build` runs it, `haven run` leaves it out.",
}
_KIND = {"test": "data test", "unit_test": "unit test", "operation": "hook"}


@dataclass(frozen=True)
class Check:
    """One check. `status` is one of STATUSES; `failures` counts rows; times are seconds."""

    unique_id: str
    name: str
    kind: str
    rule: str
    description: str
    model: str | None
    column: str | None
    layer: str
    status: str
    severity: str | None
    failures: int | None
    message: str | None
    seconds: float | None
    path: str
    failures_schema: str | None
    failures_table: str | None


def checks_of(
    manifest: Manifest, run: RunResults, freshness: tuple[FreshnessResult, ...]
) -> tuple[Check, ...]:
    """Return the project's checks, worst first, then by layer, model and name.

    Of models, seeds, snapshots and hooks only those that did not succeed appear. Results of
    installed packages are left out unless they are errors.
    """
    checks = [_from_result(result, manifest) for result in run.results if _counts(result, manifest)]
    checks += [_from_freshness(result, manifest) for result in freshness]
    seen = {result.unique_id for result in run.results}
    switched_off = [
        node
        for node in manifest.disabled
        if node.resource_type in _KIND and node.package_name == manifest.project_name
    ]
    checks += [
        _not_run(node, manifest, _LEFT_OUT[node.resource_type])
        for node in manifest.own("test", "unit_test")
        if node.unique_id not in seen
    ]
    checks += [_not_run(node, manifest, "It is switched off.") for node in switched_off]
    return tuple(
        sorted(
            checks,
            key=lambda check: (
                STATUSES.index(check.status),
                layer_rank(check.layer),
                check.model or "",
                check.name,
            ),
        )
    )


def _counts(result: NodeResult, manifest: Manifest) -> bool:
    node = manifest.nodes.get(result.unique_id)
    package = node.package_name if node else result.unique_id.split(".")[1]
    if _status(result.status) == "error":
        return True
    is_test = result.resource_type in {"test", "unit_test"}
    failed = _status(result.status) != "pass"
    return package == manifest.project_name and (is_test or failed)


def _status(word: str) -> str:
    return _STATUS.get(word, word) if _STATUS.get(word, word) in STATUSES else "error"


def _from_result(result: NodeResult, manifest: Manifest) -> Check:
    node = manifest.nodes.get(result.unique_id)
    kind = _KIND.get(result.resource_type, f"{result.resource_type} build")
    tested = manifest.nodes.get(result.tested_node or "")
    return Check(
        unique_id=result.unique_id,
        name=result.name,
        kind=kind,
        rule=rule_of(node) if node else f"{result.name} runs without an error",
        description=result.description if kind.endswith("test") else "",
        model=tested.name if tested else (result.name if kind.endswith("build") else None),
        column=result.column_name,
        layer=layer_of(node, manifest) if node else PROJECT,
        status=_status(result.status),
        severity=result.severity,
        failures=result.failures,
        message=result.message,
        seconds=result.execution_time_s,
        path=node.path if node else "",
        failures_schema=result.failures_schema,
        failures_table=result.failures_table,
    )


def _from_freshness(result: FreshnessResult, manifest: Manifest) -> Check:
    node = manifest.nodes.get(result.unique_id)
    age = "" if result.age_s is None else f"The newest row is {_duration(result.age_s)} old."
    status = _FRESHNESS_STATUS.get(result.status, result.status)
    return Check(
        unique_id=f"freshness.{result.unique_id}",
        name=f"freshness of {result.name}",
        kind="freshness",
        rule=f"{result.name} is fresh" + (f" ({result.criteria})" if result.criteria else ""),
        description="",
        model=result.name,
        column=None,
        layer="sources",
        status=_status(status),
        severity=None,
        failures=None,
        message=result.message or age or None,
        seconds=None,
        path=node.path if node else "",
        failures_schema=None,
        failures_table=None,
    )


def _not_run(node: Node, manifest: Manifest, why: str) -> Check:
    tested = manifest.nodes.get(node.tested_node or "")
    return Check(
        unique_id=node.unique_id,
        name=node.name,
        kind=_KIND[node.resource_type],
        rule=rule_of(node),
        description=node.description,
        model=tested.name if tested else None,
        column=node.column_name,
        layer=layer_of(node, manifest),
        status="not_run",
        severity=node.severity,
        failures=None,
        message=why,
        seconds=None,
        path=node.path,
        failures_schema=None,
        failures_table=None,
    )


def _duration(seconds: float) -> str:
    for size, word in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {word}"
    return f"{seconds:.0f} seconds"
