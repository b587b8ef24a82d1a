"""run_results.json and sources.json: what dbt's last run did, and how old the sources were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.artifacts.files import read_artifact, unknown_shape
from runner.artifacts.nodes import Manifest, Node
from runner.errors import ConfigError

# Commands whose run_results.json says how data was built or tested. `compile` and `docs generate`
# write one too, in which every test "succeeds" without having been run.
RESULT_COMMANDS = frozenset({"build", "test", "run", "seed", "snapshot", "retry", "clone"})

# What dbt finds under this name it writes into its artifacts' `metadata.env`, without the prefix.
RUN_ID_VARIABLE = "DBT_ENV_CUSTOM_ENV_HAVEN_RUN_ID"


@dataclass(frozen=True)
class NodeResult:
    """What one node did in a run, or how old a source is; `node` is None if the manifest does not know it.

    `status` is dbt's word, `failures` counts rows or is None, `kept_in` is the table (schema.name) of these rows.
    """

    unique_id: str
    name: str
    resource_type: str
    status: str
    failures: int | None
    seconds: float | None
    message: str | None
    kept_in: str | None
    node: Node | None


@dataclass(frozen=True)
class RunResults:
    """One dbt invocation: when it ended (UTC, ISO 8601), its command, the `haven run` it was part of, its results."""

    generated_at: str
    command: str
    invocation_id: str
    run_id: str | None
    elapsed_s: float
    results: tuple[NodeResult, ...]


def load_run_results(target_dir: Path, manifest: Manifest) -> RunResults:
    """Read run_results.json.

    Raises ConfigError if it is missing or garbled, or if the command that wrote it built and tested
    nothing (`dbt compile`, `dbt docs generate`).
    """
    path = target_dir / "run_results.json"
    document = read_artifact(path, "run `haven run` or `dbt build` first")
    try:
        command, metadata = document["args"]["which"], document["metadata"]
        if command not in RESULT_COMMANDS:
            raise ConfigError(f"{path} is from `dbt {command}`, which tests nothing: run `haven run` or `dbt build`")
        return RunResults(
            generated_at=metadata["generated_at"],
            command=document["args"].get("invocation_command") or f"dbt {command}",
            invocation_id=str(metadata.get("invocation_id")),
            run_id=(metadata.get("env") or {}).get("HAVEN_RUN_ID"),
            elapsed_s=float(document["elapsed_time"]),
            results=tuple(_result(entry, manifest) for entry in document["results"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unknown_shape(path, error) from error


def load_freshness(target_dir: Path, manifest: Manifest) -> tuple[NodeResult, ...]:
    """Read sources.json of `dbt source freshness`; nothing if freshness was never checked.

    Raises ConfigError if the file is garbled.
    """
    path = target_dir / "sources.json"
    if not path.exists():
        return ()
    document = read_artifact(path, "run `dbt source freshness`")
    try:
        return tuple(_result(entry, manifest) for entry in document["results"])
    except (KeyError, TypeError, AttributeError) as error:
        raise unknown_shape(path, error) from error


def _result(entry: Mapping[str, Any], manifest: Manifest) -> NodeResult:
    unique_id, newest = entry["unique_id"], entry.get("max_loaded_at")
    kind = unique_id.split(".")[0]
    node = manifest.nodes.get(unique_id)
    kept_in = entry.get("relation_name") if kind == "test" else None
    limits = ", ".join(
        f"{key.replace('_', ' ')} {limit['count']} {limit['period']}{'s' * (limit['count'] != 1)}"
        for key, limit in (entry.get("criteria") or {}).items()
        if isinstance(limit, dict) and limit.get("count") is not None
    )
    return NodeResult(
        unique_id=unique_id,
        name=node.name if node else ".".join(unique_id.split(".")[-1 - (kind == "source") :]),
        resource_type=kind,
        status=entry["status"],
        failures=entry.get("failures"),
        seconds=entry.get("execution_time"),
        message=entry.get("message")
        or entry.get("error")
        or (f"the newest row is of {newest} ({limits})" if newest else None),
        kept_in=".".join(kept_in.replace('"', "").split(".")[1:]) if kept_in else None,
        node=node,
    )
