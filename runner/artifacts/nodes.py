"""manifest.json: the project as dbt parsed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from runner.artifacts.files import read_artifact, unknown_shape


@dataclass(frozen=True)
class Node:
    """One entry of the manifest: model, test, source, seed, snapshot, exposure, unit test…"""

    unique_id: str
    name: str
    resource_type: str
    package_name: str
    fqn: tuple[str, ...]
    description: str
    path: str
    depends_on: tuple[str, ...]
    schema: str | None
    alias: str | None
    materialized: str | None
    tested_node: str | None
    column_name: str | None
    severity: str | None
    url: str | None


@dataclass(frozen=True)
class Manifest:
    """The project as dbt parsed it; `disabled` are entries switched off by config."""

    project_name: str
    dbt_version: str
    generated_at: str
    nodes: Mapping[str, Node]
    disabled: tuple[Node, ...]

    def own(self, *resource_types: str) -> tuple[Node, ...]:
        """Return the project's own nodes of these types, without those of installed packages."""
        return tuple(
            node
            for node in self.nodes.values()
            if node.resource_type in resource_types and node.package_name == self.project_name
        )

    def downstream(self, name: str) -> tuple[Node, ...]:
        """Return the project's models and snapshots that read the node of this name, at any distance, by name."""
        found = {node.unique_id for node in self.nodes.values() if node.name == name}
        readers = self.own("model", "snapshot")
        while True:
            more = {n.unique_id for n in readers if found.intersection(n.depends_on)} - found
            if not more:
                break
            found |= more
        return tuple(sorted((n for n in readers if n.unique_id in found), key=lambda n: n.name))


def load_manifest(target_dir: Path) -> Manifest:
    """Read manifest.json. Raises ConfigError if it is missing, garbled or of an unknown shape."""
    document = read_artifact(target_dir / "manifest.json", "run `dbt parse` or `haven run` first")
    try:
        kinds = ("nodes", "sources", "exposures", "unit_tests")
        nodes = [_node(entry) for kind in kinds for entry in document.get(kind, {}).values()]
        disabled = [_node(entry) for same in document["disabled"].values() for entry in same]
        metadata = document["metadata"]
        return Manifest(
            project_name=metadata["project_name"],
            dbt_version=metadata["dbt_version"],
            generated_at=metadata["generated_at"],
            nodes=MappingProxyType({node.unique_id: node for node in nodes}),
            disabled=tuple(disabled),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise unknown_shape(target_dir / "manifest.json", error) from error


def _node(entry: Mapping[str, Any]) -> Node:
    config = entry.get("config") or {}
    name = entry["name"]
    if entry["resource_type"] == "source":
        name = f"{entry['source_name']}.{name}"
    return Node(
        unique_id=entry["unique_id"],
        name=name,
        resource_type=entry["resource_type"],
        package_name=entry["package_name"],
        fqn=tuple(entry.get("fqn") or ()),
        description=(entry.get("description") or "").strip(),
        path=entry.get("original_file_path") or "",
        depends_on=tuple((entry.get("depends_on") or {}).get("nodes") or ()),
        schema=entry.get("schema"),
        alias=entry.get("alias") or entry.get("identifier"),
        materialized=config.get("materialized"),
        tested_node=entry.get("attached_node") or _only_model(entry),
        column_name=entry.get("column_name"),
        severity=str(config["severity"]).lower() if config.get("severity") else None,
        url=entry.get("url"),
    )


def _only_model(entry: Mapping[str, Any]) -> str | None:
    """Return the single node a test reads; a test over several has no one tested model."""
    if entry["resource_type"] not in {"test", "unit_test"}:
        return None
    parents = (entry.get("depends_on") or {}).get("nodes") or []
    # A unit test lists its model first, then what the model reads.
    is_sure = len(parents) == 1 or entry["resource_type"] == "unit_test"
    return parents[0] if parents and is_sure else None
