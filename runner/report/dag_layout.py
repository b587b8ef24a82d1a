"""Places the nodes of a directed graph in columns with few crossings. Knows nothing of dbt.

Columns follow the bands given (data flows left to right); inside a band, a node stands right of
the nodes it reads. An edge over several columns runs through invisible waypoints, which take part
in the ordering, so that it does not cut through nodes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import pairwise

_SWEEPS = 16
_NUDGES = 30
Key = Hashable


@dataclass(frozen=True)
class Layout:
    """`columns`: keys from top to bottom. `y`: middle of each key, in units of one node's height.

    `routes`: per edge, the keys it passes, both ends included. Keys that are no node are waypoints.
    """

    columns: tuple[tuple[Key, ...], ...]
    bands: tuple[int, ...]
    y: Mapping[Key, float]
    routes: Mapping[tuple[str, str], tuple[Key, ...]]


def lay_out(bands: Mapping[str, int], edges: Sequence[tuple[str, str]]) -> Layout:
    """Return the layout of an acyclic graph: `bands` per node, `edges` as (from, to)."""
    column_of, column_bands = _columns(bands, edges)
    columns: list[list[Key]] = [[] for _ in column_bands]
    for node in sorted(column_of):
        columns[column_of[node]].append(node)
    routes: dict[tuple[str, str], tuple[Key, ...]] = {}
    before: dict[Key, list[Key]] = defaultdict(list)
    after: dict[Key, list[Key]] = defaultdict(list)
    for source, target in sorted(set(edges)):
        # One waypoint per source and column: edges of one source share their way.
        between = range(column_of[source] + 1, column_of[target])
        route: tuple[Key, ...] = (source, *((source, column) for column in between), target)
        for column, key in zip(between, route[1:-1], strict=True):
            if key not in columns[column]:
                columns[column].append(key)
        for left, right in pairwise(route):
            if right not in after[left]:
                after[left].append(right)
                before[right].append(left)
        routes[source, target] = route
    _order(columns, before, after)
    return Layout(
        columns=tuple(tuple(column) for column in columns),
        bands=tuple(column_bands),
        y=_heights(columns, before, after),
        routes=routes,
    )


def crossings(layout: Layout) -> int:
    """Return how many pairs of edge pieces cross between neighbouring columns."""
    place = {key: at for column in layout.columns for at, key in enumerate(column)}
    column_of = {key: at for at, column in enumerate(layout.columns) for key in column}
    pieces: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for route in layout.routes.values():
        for left, right in pairwise(route):
            pieces[column_of[left]].add((place[left], place[right]))
    return sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for gap in pieces.values() for a in gap for b in gap if a < b)


def _columns(bands: Mapping[str, int], edges: Sequence[tuple[str, str]]) -> tuple[dict[str, int], list[int]]:
    """Return the column of each node and the band of each column."""
    parents: dict[str, list[str]] = {node: [] for node in bands}
    for source, target in edges:
        parents[target].append(source)
    spot: dict[str, tuple[int, int]] = {}

    for node in TopologicalSorter(parents).static_order():
        over = [spot[parent] for parent in parents[node]]
        # A node that reads from a later band moves there: edges always point to the right.
        band = max([bands[node], *(place[0] for place in over)])
        inner = [place[1] + 1 for place in over if place[0] == band]
        spot[node] = (band, max(inner, default=0))
    used = sorted(set(spot.values()))
    return {node: used.index(place) for node, place in spot.items()}, [band for band, _ in used]


def _order(columns: list[list[Key]], before: Mapping[Key, list[Key]], after: Mapping[Key, list[Key]]) -> None:
    """Sort each column by the mean place of its neighbours, forth and back; keep the best order."""

    def places() -> dict[Key, float]:
        # Relative places let long and short columns be compared.
        return {key: (at + 0.5) / len(column) for column in columns for at, key in enumerate(column)}

    def cost() -> int:
        place = {key: at for column in columns for at, key in enumerate(column)}
        total = 0
        for column in columns:
            pieces = [(place[key], place[other]) for key in column for other in after.get(key, ())]
            total += sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for a in pieces for b in pieces) // 2
        return total

    best, best_cost = [list(column) for column in columns], cost()
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        neighbours = before if forth else after
        for column in columns if forth else reversed(columns):
            place = places()
            wanted = {key: _mean(place, neighbours.get(key, ()), place[key]) for key in column}
            column.sort(key=wanted.__getitem__)
        if (now := cost()) < best_cost:
            best, best_cost = [list(column) for column in columns], now
    for column, kept in zip(columns, best, strict=True):
        # What has no edge would only push the others apart: it goes to the bottom.
        column[:] = sorted(kept, key=lambda key: not (before.get(key) or after.get(key)))


def _mean(values: Mapping[Key, float], keys: Sequence[Key], otherwise: float) -> float:
    return sum(values[key] for key in keys) / len(keys) if keys else otherwise


def _heights(
    columns: list[list[Key]], before: Mapping[Key, list[Key]], after: Mapping[Key, list[Key]]
) -> dict[Key, float]:
    """Return y per key: near the mean of its neighbours, order kept, no overlap."""
    y: dict[Key, float] = {}
    tallest = max((len(column) for column in columns), default=0)
    for column in columns:
        y |= {key: at + (tallest - len(column)) / 2 for at, key in enumerate(column)}
    for _ in range(_NUDGES):
        for column in columns:
            wanted = [_mean(y, (*before.get(key, ()), *after.get(key, ())), y[key]) for key in column]
            y |= zip(column, _spread(column, wanted), strict=True)
    top = min(y.values(), default=0)
    return {key: value - top for key, value in y.items()}


def _spread(column: Sequence[Key], wanted: Sequence[float]) -> list[float]:
    """Return places in order, far enough apart, as near to `wanted` as can be (least squares)."""
    offsets, total = [], 0.0
    for at, key in enumerate(column):
        if at:
            # Waypoints are lines: two of them need less room than two nodes.
            total += (_room(column[at - 1]) + _room(key)) / 2
        offsets.append(total)
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        mean, size = want - offset, 1
        while blocks and blocks[-1][0] > mean:
            last, count = blocks.pop()
            mean, size = (last * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    flat = [mean for mean, size in blocks for _ in range(size)]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=True)]


def _room(key: Key) -> float:
    return 1.0 if isinstance(key, str) else 0.4
