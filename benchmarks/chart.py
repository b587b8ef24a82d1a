"""The chart: horizontal bars, first loads and increments, readable in light and dark."""

from __future__ import annotations

from html import escape
from typing import Any

from benchmarks.figures import Row

WIDTH, LABELS, BAR, GAP, TOP = 960, 430, 20, 8, 34
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .head { font-weight: 600; font-size: 15px }
  .bar { fill: #8c959f } .haven { fill: #0969da } .base { fill: #57606a }
  .page { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .page { fill: #0d1117 }
    .bar { fill: #6e7681 } .haven { fill: #4493f8 } .base { fill: #9198a1 }
  }
"""


def _groups(results: dict[str, dict[str, Any]]) -> list[tuple[str, list[tuple[Row, float, str]]]]:
    """Return heading and bars of each group: figures, length, text."""
    groups = []
    # Each part has a pipe of its own; figures of different hours are not put side by side.
    for name, whose in (("bulk", "by hand"), ("peers", "other loaders")):
        if part := results.get(name):
            rows = [Row.of(entry, part["entries"][0]) for entry in part["entries"]]
            bars = [(r, r.ratio, f"{r.rate} rows/s, {r.ratio:.2f}") for r in rows if r.ratio]
            bars.sort(key=lambda bar: -bar[1])
            head = f"First load of {part['rows']:,} rows, Haven and {whose}: speed, the psql pipe being 1"
            groups.append((head, bars))
    if part := results.get("incremental"):
        again = [Row.of(entry, part["entries"][0]) for entry in part["entries"]]
        taken = [(row, row.median, f"{row.median:.2f} s") for row in again if row.ratio]
        taken.sort(key=lambda bar: bar[1])
        head = f"{part['changed']:,} updates in {part['rows']:,} rows: seconds, whole command (shorter is faster)"
        groups.append((head, taken))
    return groups


def alternative(results: dict[str, dict[str, Any]]) -> str:
    """Return the chart in words, on one line."""
    said = [
        f"{head}: " + ", ".join(f"{row.name.replace('|', 'to')} {text}" for row, _, text in bars)
        for head, bars in _groups(results)
    ]
    return ". ".join(said).replace("[", "(").replace("]", ")")


def svg(results: dict[str, dict[str, Any]]) -> str:
    """Return the chart as a document of its own."""
    body, y = [], 12
    for head, bars in _groups(results):
        body.append(f'<text class="head" x="12" y="{y + 16}">{escape(head)}</text>')
        y += TOP
        longest = max((length for _, length, _ in bars), default=1)
        for position, (row, length, text) in enumerate(bars):
            width = max((WIDTH - LABELS - 160) * length / longest, 1)
            kind = "haven" if row.is_haven else "base" if row.speed == "1.00" else "bar"
            middle = y + position * (BAR + GAP)
            body += [
                f'<text x="{LABELS - 10}" y="{middle + 15}" text-anchor="end">{escape(row.name)}</text>',
                f'<rect class="{kind}" x="{LABELS}" y="{middle}" width="{width:.1f}" height="{BAR}" rx="2"/>',
                f'<text x="{LABELS + width + 8:.1f}" y="{middle + 15}">{escape(text)}</text>',
            ]
        y += len(bars) * (BAR + GAP) + 24
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" '
        f'aria-labelledby="title words"><title id="title">How fast a load is</title>'
        f'<desc id="words">{escape(alternative(results))}</desc><style>{STYLE}</style>'
        f'<rect class="page" width="{WIDTH}" height="{y}"/>\n' + "\n".join(body) + "\n</svg>\n"
    )
