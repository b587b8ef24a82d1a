"""Says which layer of the project a node belongs to; the folder is the layer, as for macro `layer_of_node`.

Nothing here knows a model's name: a project with other folders gets other layers, in the order in
which its folders sort, between `intermediate` and `marts`.
"""

from __future__ import annotations

from runner.artifacts import Node

PROJECT = "project"
_FIRST = ("sources", "seeds", "staging", "snapshots", "intermediate")
_LAST = ("marts", "quality", "exposures", PROJECT)


def layer_of(node: Node) -> str:
    """Return e.g. `sources`, `staging`, `marts/analytics`; `project` if nothing tells."""
    if node.resource_type in ("source", "seed", "snapshot", "exposure"):
        return f"{node.resource_type}s"
    if node.resource_type != "model":
        return PROJECT
    folders = node.fqn[1:-1] or ("models",)
    return "/".join(folders[: 2 if folders[0] == "marts" else 1])


def layer_rank(layer: str) -> tuple[int, str]:
    """Return the sort key that puts layers in the order in which data flows."""
    base = layer.partition("/")[0]
    if base in _FIRST:
        return _FIRST.index(base), layer
    if base in _LAST:
        return len(_FIRST) + 1 + _LAST.index(base), layer
    return len(_FIRST), layer
