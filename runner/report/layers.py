"""Says which layer of the project a node belongs to; the folder is the layer.

Nothing here knows a model's name: a project with other folders gets other layers, in the order in
which its folders sort, between `intermediate` and `marts`.
"""

from __future__ import annotations

from runner.artifacts import Manifest, Node

PROJECT = "project"
_FIRST = ("sources", "seeds", "staging", "snapshots", "intermediate")
_LAST = ("marts", "quality", "exposures", PROJECT)
_BY_TYPE = {
    "source": "sources",
    "seed": "seeds",
    "snapshot": "snapshots",
    "exposure": "exposures",
}
# fqn of a model in a folder: project, folder, (subfolder,) name.
_DEPTH_IN_FOLDER = 3
_DEPTH_IN_SUBFOLDER = 4


def layer_of(node: Node, manifest: Manifest) -> str:
    """Return e.g. `sources`, `staging`, `marts/analytics`; `project` if nothing tells.

    A test belongs where the node it tests does; one that compares several, to the last layer.
    """
    if node.resource_type in _BY_TYPE:
        return _BY_TYPE[node.resource_type]
    if node.resource_type in {"test", "unit_test"}:
        ids = [node.tested_node] if node.tested_node else list(node.depends_on)
        parents = [manifest.nodes[i] for i in ids if i in manifest.nodes]
        layers = [layer_of(parent, manifest) for parent in parents]
        return max(layers, key=layer_rank, default=PROJECT)
    if node.resource_type != "model" or len(node.fqn) < _DEPTH_IN_FOLDER:
        return "models" if node.resource_type == "model" else PROJECT
    if node.fqn[1] == "marts" and len(node.fqn) >= _DEPTH_IN_SUBFOLDER:
        return f"marts/{node.fqn[2]}"
    return node.fqn[1]


def layer_rank(layer: str) -> tuple[int, str]:
    """Return the sort key that puts layers in the order in which data flows."""
    base = layer.partition("/")[0]
    if base in _FIRST:
        return _FIRST.index(base), layer
    if base in _LAST:
        return len(_FIRST) + 1 + _LAST.index(base), layer
    return len(_FIRST), layer
