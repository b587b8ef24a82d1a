"""Where the project's YAML says that people are, and what comes from there: the plan that erase.sql works by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runner.errors import ConfigError
from runner.personal_data import personal_kind

Node = Mapping[str, Any]


def column_meta(column: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the `meta` of a column of the manifest."""
    return (column.get("config") or {}).get("meta") or column.get("meta") or {}


def person_of(
    columns: Mapping[str, Mapping[str, Any]],
) -> tuple[str, str, tuple[str, ...]] | None:
    """Return kind, key column and erased columns of a manifest node's `columns`, or None without a person.

    What is personal, by `meta.pii` or by name, is erased, unless `meta.erase` is false; `meta.erase: true` adds others.

    Raises ConfigError if two columns name a person.
    """
    metas = {name: column_meta(column) for name, column in columns.items()}
    people = [(name, str(meta["person"])) for name, meta in metas.items() if meta.get("person")]
    if not people:
        return None
    if len(people) > 1:
        raise ConfigError(
            f"columns {', '.join(name for name, _ in people)} each have `meta.person`: only one may"
        )
    ((key, kind),) = people
    erased = tuple(
        name
        for name, meta in metas.items()
        if meta.get("erase", bool(_pii(name, meta))) and name != key
    )
    return kind, key, erased


def plan_of(manifest: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return what erase.sql has to know about people of this kind, by lineage: as JSON takes it.

    `relations` are all that dbt knows; `keys` and `columns` those of all places together. A place is what the YAML
    marks; `below` is made from one, with its `inputs` of any depth and which of their columns are keys of the person.

    Raises ConfigError if the YAML knows no such kind, or names two people in one table.
    """
    nodes: dict[str, Node] = {**manifest["sources"], **manifest["nodes"]}
    people = {name: _person(node) for name, node in nodes.items()}
    places = {name: found for name, found in people.items() if found and found[0] == kind}
    if not places:
        known = sorted({found[0] for found in people.values() if found})
        raise ConfigError(
            f"the YAML knows no person of kind {kind!r}; known: "
            f"{', '.join(known) or 'none: mark the key column with `meta.person`'}"
        )
    below = _reached(manifest["child_map"], places) - set(places)
    columns: dict[str, str] = {}
    for name, (_, _, erased) in places.items():
        columns |= {column: _kind_in(nodes[name], column) for column in erased}
    above = {name: _reached(manifest["parent_map"], [name]) & set(nodes) for name in below}
    keys = {name: [place[1]] for name, place in places.items()} | {
        name: sorted({places[place][1] for place in above[name] & set(places)}) for name in below
    }
    return {
        "kind": kind,
        "keys": sorted({place[1] for place in places.values()}),
        "columns": columns,
        "relations": [
            {
                "schema": node["schema"],
                "name": _relation_name(node),
                "layer": (node.get("config") or {}).get("schema"),
                "role": "place" if name in places else "below" if name in below else "other",
                "is_raw": node["resource_type"] == "source" and node["schema"] != "ops",
                "is_ours": node["package_name"] == "elementary"
                or node["schema"] == "ops"
                or (node["resource_type"] == "test" and name in below),
                "keys": keys.get(name, []),
                "columns": {column: _kind_in(node, column) for column in places[name][2]}
                if name in places
                else columns,
                "inputs": {
                    f'"{nodes[other]["schema"]}"."{_relation_name(nodes[other])}"': keys.get(
                        other, []
                    )
                    for other in sorted(above.get(name, ()))
                },
            }
            for name, node in nodes.items()
        ],
    }


def _relation_name(node: Node) -> str:
    return str(node.get("identifier") or node.get("alias") or node["name"])


def _person(node: Node) -> tuple[str, str, tuple[str, ...]] | None:
    try:
        return person_of(node.get("columns") or {})
    except ConfigError as error:
        raise ConfigError(f"{node['original_file_path']}: {node['name']}: {error}") from None


def _pii(column: str, meta: Mapping[str, Any]) -> str:
    """Return the kind of personal data in a column, or nothing; what the YAML says counts more than the name."""
    said = meta.get("pii")
    return str((personal_kind(column) if said is None else said) or "")


def _kind_in(node: Node, column: str) -> str:
    return _pii(column, column_meta(node["columns"][column]))


def _reached(edges: Mapping[str, Iterable[str]], start: Iterable[str]) -> set[str]:
    """Return what can be reached from `start`, without it unless an edge leads back."""
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        new = set(edges.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found
