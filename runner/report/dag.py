"""Draws the project as an SVG: what is read from what, from the sources to the exposures.

Only the project's own nodes are drawn; tests and the nodes of installed packages are left out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from runner.artifacts import Manifest, Node
from runner.artifacts.files import write_whole
from runner.report.dag_svg import Box, draw
from runner.report.layers import layer_of

DRAWN_TYPES = ("source", "seed", "model", "snapshot", "exposure")


def write_dag(manifest: Manifest, path: Path) -> int:
    """Write the picture to `path` and return how many nodes it shows."""
    nodes = {node.unique_id: node for node in manifest.own(*DRAWN_TYPES)}
    edges = [(parent, node.unique_id) for node in nodes.values() for parent in node.depends_on if parent in nodes]
    layers = {key: layer_of(node) for key, node in nodes.items()}
    lineage = lineage_of(nodes, edges)
    boxes = {
        key: Box(
            label=node.name,
            layer=layers[key],
            tooltip=_tooltip(node, layers[key], edges),
            lineage=frozenset(lineage[key]),
        )
        for key, node in nodes.items()
    }
    picture = draw(boxes, edges, title=f"Data flow of {manifest.project_name}")
    write_whole(path, picture)
    return len(nodes)


def lineage_of(nodes: Iterable[str], edges: Sequence[tuple[str, str]]) -> dict[str, set[str]]:
    """Return for each node itself and all it depends on or that depends on it."""
    after: dict[str, list[str]] = {key: [] for key in nodes}
    before: dict[str, list[str]] = {key: [] for key in nodes}
    for source, target in edges:
        after[source].append(target)
        before[target].append(source)

    def reach(start: str, steps: Mapping[str, list[str]]) -> set[str]:
        found, open_ends = {start}, [start]
        while open_ends:
            fresh = [key for key in steps[open_ends.pop()] if key not in found]
            found.update(fresh)
            open_ends += fresh
        return found

    return {key: reach(key, after) | reach(key, before) for key in after}


def _tooltip(node: Node, layer: str, edges: Sequence[tuple[str, str]]) -> str:
    reads = sum(target == node.unique_id for _, target in edges)
    readers = sum(source == node.unique_id for source, _ in edges)
    kind = f"{node.resource_type}" + (f", {node.materialized}" if node.materialized else "")
    lines = [node.name, f"{kind} in {layer}; reads {reads}, read by {readers}"]
    return "\n".join([*lines, textwrap.shorten(node.description, 300)]).strip()
