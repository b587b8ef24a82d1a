"""Which models can be exported: those whose YAML says which column holds their as-of date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from runner.errors import ConfigError

# Keys of config.meta that make a model exportable; each holds `entity` and `as_of`, names of columns.
KINDS = ("feature_table", "label_table", "training_set")


@dataclass(frozen=True)
class ExportTable:
    """One exportable model: where it is, and what its rows are of."""

    model: str
    schema: str
    name: str
    entity: str
    as_of: str
    descriptions: Mapping[str, str]


def find_tables(manifest: Mapping[str, Any], wanted: Sequence[str]) -> tuple[ExportTable, ...]:
    """Return the exportable models of dbt's manifest, by name; only `wanted` ones if any are named.

    Raises:
        ConfigError: there are none, a wanted one is not among them, or its YAML is incomplete.
    """
    found = {
        node["name"]: _table(node, kind)
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        for kind in KINDS
        if kind in node["config"]["meta"]
    }
    if not found:
        raise ConfigError(
            f"the project has no model to export: give one config.meta.{KINDS[0]} with entity and as_of"
        )
    if unknown := sorted(set(wanted) - set(found)):
        raise ConfigError(
            f"cannot export {', '.join(unknown)}: choose from {', '.join(sorted(found))}"
        )
    return tuple(found[name] for name in sorted(set(wanted) or found))


def _table(node: Mapping[str, Any], kind: str) -> ExportTable:
    declared = node["config"]["meta"][kind]
    missing = [key for key in ("entity", "as_of") if key not in declared]
    if missing:
        raise ConfigError(
            f"{node['original_file_path']}: {node['name']}: config.meta.{kind} lacks {', '.join(missing)}"
        )
    return ExportTable(
        model=node["name"],
        schema=node["schema"],
        name=node["alias"],
        entity=declared["entity"],
        as_of=declared["as_of"],
        descriptions=MappingProxyType(
            {name: column["description"] for name, column in node["columns"].items()}
        ),
    )
