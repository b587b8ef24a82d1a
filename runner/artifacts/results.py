"""run_results.json and sources.json: what dbt's last run did, and how old the sources were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.artifacts.files import read_artifact, unknown_shape
from runner.artifacts.manifest import Manifest
from runner.errors import ConfigError

# Commands whose run_results.json says how data was built or tested. `compile` and `docs generate`
# write one too, in which every test "succeeds" without having been run.
RESULT_COMMANDS = frozenset({"build", "test", "run", "seed", "snapshot", "retry", "clone"})

# What dbt finds under this name it writes into its artifacts' `metadata.env`, without the prefix.
RUN_ID_VARIABLE = "DBT_ENV_CUSTOM_ENV_HAVEN_RUN_ID"


@dataclass(frozen=True)
class NodeResult:
    """What one node did in a run; `status` is dbt's word, `failures` counts rows or is None."""

    unique_id: str
    name: str
    resource_type: str
    status: str
    severity: str | None
    failures: int | None
    execution_time_s: float
    message: str | None
    description: str
    tested_node: str | None
    column_name: str | None
    failures_schema: str | None
    failures_table: str | None


@dataclass(frozen=True)
class RunResults:
    """One dbt invocation: when it ended (UTC, ISO 8601), its command, the `haven run` it was part of, its results."""

    generated_at: str
    command: str
    run_id: str | None
    elapsed_s: float
    results: tuple[NodeResult, ...]


@dataclass(frozen=True)
class FreshnessResult:
    """Age of one source table. `status` is pass, warn, error or runtime error."""

    unique_id: str
    name: str
    status: str
    max_loaded_at: str | None
    age_s: float | None
    criteria: str
    message: str | None
    checked_at: str


def load_run_results(target_dir: Path, manifest: Manifest) -> RunResults:
    """Read run_results.json.

    Raises ConfigError if it is missing or garbled, or if the command that wrote it built and tested
    nothing (`dbt compile`, `dbt docs generate`).
    """
    path = target_dir / "run_results.json"
    document = read_artifact(path, "run `haven run` or `dbt build` first")
    try:
        command = document["args"]["which"]
        if command not in RESULT_COMMANDS:
            raise ConfigError(
                f"{path} is from `dbt {command}`, which tests nothing: "
                "run `haven run` or `dbt build`"
            )
        return RunResults(
            generated_at=document["metadata"]["generated_at"],
            command=document["args"].get("invocation_command") or f"dbt {command}",
            run_id=(document["metadata"].get("env") or {}).get("HAVEN_RUN_ID"),
            elapsed_s=float(document["elapsed_time"]),
            results=tuple(_result(entry, manifest) for entry in document["results"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unknown_shape(path, error) from error


def load_freshness(target_dir: Path, manifest: Manifest) -> tuple[FreshnessResult, ...]:
    """Read sources.json of `dbt source freshness`; nothing if freshness was never checked.

    Raises ConfigError if the file is garbled.
    """
    path = target_dir / "sources.json"
    if not path.exists():
        return ()
    document = read_artifact(path, "run `dbt source freshness`")
    try:
        checked_at = document["metadata"]["generated_at"]
        return tuple(_freshness(entry, manifest, checked_at) for entry in document["results"])
    except (KeyError, TypeError, AttributeError) as error:
        raise unknown_shape(path, error) from error


def _result(entry: Mapping[str, Any], manifest: Manifest) -> NodeResult:
    unique_id = entry["unique_id"]
    node = manifest.nodes.get(unique_id)
    stored = node is not None and node.resource_type == "test" and node.stores_failures
    return NodeResult(
        unique_id=unique_id,
        name=node.name if node else unique_id.split(".")[-1],
        resource_type=node.resource_type if node else unique_id.split(".")[0],
        status=entry["status"],
        severity=node.severity if node else None,
        failures=entry.get("failures"),
        execution_time_s=float(entry.get("execution_time") or 0),
        message=entry.get("message"),
        description=node.description if node else "",
        tested_node=node.tested_node if node else None,
        column_name=node.column_name if node else None,
        failures_schema=node.schema if node and stored else None,
        failures_table=node.alias if node and stored else None,
    )


def _freshness(entry: Mapping[str, Any], manifest: Manifest, checked_at: str) -> FreshnessResult:
    node = manifest.nodes.get(entry["unique_id"])
    limits = []
    for key, word in (("warn_after", "warns"), ("error_after", "fails")):
        limit = (entry.get("criteria") or {}).get(key) or {}
        if limit.get("count") is not None:
            plural = "" if limit["count"] == 1 else "s"
            limits.append(f"{word} after {limit['count']} {limit['period']}{plural}")
    return FreshnessResult(
        unique_id=entry["unique_id"],
        name=node.name if node else ".".join(entry["unique_id"].split(".")[-2:]),
        status=entry["status"],
        max_loaded_at=entry.get("max_loaded_at"),
        age_s=entry.get("max_loaded_at_time_ago_in_s"),
        criteria=", ".join(limits),
        message=entry.get("error"),
        checked_at=entry.get("snapshotted_at") or checked_at,
    )
