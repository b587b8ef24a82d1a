"""Turns boxes and edges into an SVG picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from runner.report.dag_layout import Layout, lay_out
from runner.report.layers import layer_rank
from runner.report.pages import TEMPLATES

# All in pixels: a row, a box, between columns, around all, above the first row.
UNIT, BOX, GAP, MARGIN, HEAD = 34.0, 25.0, 64.0, 20.0, 96.0
_CHAR_PX, _PADDING_PX, _MIN_BOX_PX = 6.6, 26.0, 90.0
# Layers that share a column; any other layer has one of its own.
_SAME_BAND = {"seeds": "sources", "snapshots": "intermediate"}
_COLOURED = frozenset(("sources", "seeds", "staging", "snapshots", "intermediate", "marts", "quality", "exposures"))
_UNPRINTABLE = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Box:
    """One node to draw; `lineage` holds the ids of all nodes up- and downstream, and its own."""

    label: str
    layer: str
    tooltip: str
    lineage: frozenset[str]


def draw(boxes: Mapping[str, Box], edges: Sequence[tuple[str, str]], *, title: str) -> str:
    """Return the SVG text.

    A node is a group with `data-id`, an edge a path with `data-from` and `data-to`. The picture
    follows the reader's light or dark mode and needs no script: hovering a node fades what is not
    up- or downstream of it, by one CSS rule per node.
    """
    layers = {key: box.layer for key, box in boxes.items()}
    ranks = {layer: layer_rank(_SAME_BAND.get(layer, layer))[0] for layer in set(layers.values())}
    layout = lay_out({key: ranks[layer] for key, layer in layers.items()}, edges)
    widths = [
        max([_MIN_BOX_PX, *(_box_width(boxes[k].label) for k in column if isinstance(k, str))])
        for column in layout.columns
    ]
    lefts = [MARGIN + sum(widths[:at]) + GAP * at for at in range(len(widths))]
    width = max(640.0, (lefts[-1] + widths[-1] if lefts else 0.0) + MARGIN)
    height = HEAD + (max(layout.y.values(), default=0.0) + 1) * UNIT + MARGIN
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width:.0f} {height:.0f}",
            "width": f"{width:.0f}",
            "height": f"{height:.0f}",
            "role": "img",
            "aria-labelledby": "title",
        },
    )
    ET.SubElement(root, "title", {"id": "title"}).text = _clean(title)
    numbers = {key: at for at, key in enumerate(sorted(boxes))}
    style = (TEMPLATES / "dag.css").read_text(encoding="utf-8")
    hover = [f"svg:has(#n{at}:hover) :is(.n, .e):not(.k{at}) {{ opacity: 0.12; }}" for at in numbers.values()]
    ET.SubElement(root, "style").text = style + "\n".join(hover)
    ET.SubElement(root, "rect", {"class": "bg", "width": "100%", "height": "100%"})
    _text(root, MARGIN, 32, title, "h1")
    colours = _colours(layers.values())
    _legend(root, layers, colours)
    _bands(root, layout, layers, places=(lefts, widths), height=height)

    spots = {
        key: (lefts[at], widths[at], HEAD + (layout.y[key] + 0.5) * UNIT)
        for at, column in enumerate(layout.columns)
        for key in column
    }
    for (source, target), route in layout.routes.items():
        shared = boxes[source].lineage & boxes[target].lineage
        names = ["e", *(f"k{numbers[key]}" for key in sorted(shared))]
        attributes = {"class": " ".join(names), "d": _path([spots[key] for key in route])}
        ET.SubElement(root, "path", {**attributes, "data-from": source, "data-to": target})
    for key, box in boxes.items():
        left, box_width, middle = spots[key]
        names = ["n", *(f"k{numbers[other]}" for other in sorted(box.lineage))]
        group = ET.SubElement(root, "g", {"id": f"n{numbers[key]}", "class": " ".join(names), "data-id": key})
        ET.SubElement(group, "title").text = _clean(box.tooltip)
        frame = {"x": f"{left:.1f}", "y": f"{middle - BOX / 2:.1f}", "height": f"{BOX:.0f}"}
        ET.SubElement(group, "rect", {**frame, "width": f"{box_width:.1f}", "rx": "5", "class": "box"})
        strip = {**frame, "width": "5", "rx": "2.5", "class": colours[box.layer]}
        ET.SubElement(group, "rect", strip)
        _text(group, left + 14, middle + 4, box.label, "label")
    return ET.tostring(root, encoding="unicode") + "\n"


def _box_width(label: str) -> float:
    return len(label) * _CHAR_PX + _PADDING_PX


def _clean(text: str) -> str:
    """Return `text` without the control characters XML cannot hold."""
    return _UNPRINTABLE.sub("", text)


def _text(parent: ET.Element, x: float, y: float, text: str, name: str) -> None:
    element = ET.SubElement(parent, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "class": name})
    element.text = _clean(text)


def _colours(layers: Iterable[str]) -> dict[str, str]:
    """Return a CSS class per layer; further folders of one layer get further colours."""
    made: dict[str, str] = {}
    seen: dict[str, int] = {}
    for layer in sorted(set(layers), key=layer_rank):
        base = layer.partition("/")[0]
        base = base if base in _COLOURED else "models"
        seen[base] = seen.get(base, 0) + 1
        number = min(seen[base], 3)
        made[layer] = f"c-{base}" + (f"-{number}" if base == "marts" and number > 1 else "")
    return made


def _legend(root: ET.Element, layers: Mapping[str, str], colours: Mapping[str, str]) -> None:
    x = MARGIN
    for layer, colour in colours.items():
        count = sum(other == layer for other in layers.values())
        swatch = {"x": f"{x:.1f}", "y": "44", "width": "11", "height": "11", "rx": "3"}
        ET.SubElement(root, "rect", {**swatch, "class": colour})
        label = f"{layer} ({count})"
        _text(root, x + 16, 54, label, "small")
        x += 36 + len(label) * 6.0


def _bands(
    root: ET.Element,
    layout: Layout,
    layers: Mapping[str, str],
    *,
    places: tuple[Sequence[float], Sequence[float]],
    height: float,
) -> None:
    lefts, widths = places
    for band in sorted(set(layout.bands)):
        at = [i for i, other in enumerate(layout.bands) if other == band]
        left, right = lefts[at[0]] - 10, lefts[at[-1]] + widths[at[-1]] + 10
        box = {"x": f"{left:.1f}", "y": "66", "width": f"{right - left:.1f}", "rx": "8"}
        ET.SubElement(root, "rect", {**box, "height": f"{height - 74:.1f}", "class": "band"})
        inside = {layers[k] for i in at for k in layout.columns[i] if isinstance(k, str)}
        _text(root, left + 10, 84, ", ".join(sorted(inside, key=layer_rank)), "h2")


def _path(spots: Sequence[tuple[float, float, float]]) -> str:
    """Return a smooth line from the right side of the first box to the left side of the last."""
    left, width, y = spots[0]
    x = left + width
    parts = [f"M{x:.1f} {y:.1f}"]
    for at, (next_left, next_width, next_y) in enumerate(spots[1:], start=2):
        bend = (next_left - x) / 2
        points = (x + bend, y, next_left - bend, next_y, next_left, next_y)
        parts.append("C" + " ".join(f"{number:.1f}" for number in points))
        x, y = next_left, next_y
        if at < len(spots):
            x += next_width
            parts.append(f"H{x:.1f}")
    return "".join(parts)
