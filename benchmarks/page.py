"""Renders the tables of docs/performance.md between their markers, from the results alone; the words are a person's."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results import Row

GOALS = Path(__file__).with_name("goals.csv")
MARKED = re.compile(r"(<!-- bench: ([\w.]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)


def write(rows: Sequence[Row], page: Path) -> None:
    """Write the tables into `page`, a Markdown file with markers such as `<!-- bench: bulk -->` … `<!-- /bench -->`."""

    def rendered(marker: re.Match[str]) -> str:
        table = goals(rows) if marker[2] == "goals" else part_table(rows, marker[2])
        return f"{marker[1]}\n{table}\n{marker[3]}"

    page.write_text(MARKED.sub(rendered, page.read_text(encoding="utf-8")), encoding="utf-8")


def goals(rows: Sequence[Row]) -> str:
    """Return what is wanted (goals.csv: bounds on a figure, or on its ratio to another's) and what was measured."""
    lines = ["| what | goal | measured | met |", "|---|---|---|---|"]
    with GOALS.open(encoding="utf-8", newline="") as file:
        for goal in csv.DictReader(file):
            value = _figure(rows, goal, goal["variant"], goal["measure"])
            if goal["against"]:
                other = _figure(rows, goal, goal["against"], goal["against_measure"])
                value = value / other if value and other else None
            if value is not None:
                is_low, unit, limit = (goal["bound"] == "at most", f" {goal['unit']}".rstrip(), float(goal["limit"]))
                is_met = value <= limit if is_low else value >= limit
                found = f"{goal['bound']} {limit:g}{unit} | {value:.3g}{unit} | {'yes' if is_met else '**no**'}"
                lines.append(f"| {goal['what']} | {found} |")
    return "\n".join(lines) + "\n"


def _figure(rows: Sequence[Row], goal: dict[str, str], variant: str, measure: str) -> float | None:
    """Return the figure of a goal's part: the best of the variants that begin so, or the worst for a whole part."""
    found = [
        row.median for row in rows
        if row.median is not None and row.measure == measure and row.variant.startswith(variant)
        and goal["part"] in ("", row.part)
    ]  # fmt: skip
    pick = min if goal["part"] and variant else max
    return pick(found, default=None)


def part_table(rows: Sequence[Row], part: str) -> str:
    """Return a part's figures, a line for each variant and a column for each measure, and where they are from."""
    own = [row for row in rows if row.part == part]
    if not own:
        return "Not measured on this machine yet.\n"
    measures = list(dict.fromkeys(row.measure for row in sorted(own, key=lambda row: row.measure == "note")))
    cells = {(row.variant, row.measure): _cell(row) for row in own}
    lines = [f"| | {' | '.join(measures)} |", f"|---|{'---|' * len(measures)}"]
    for variant in dict.fromkeys(row.variant for row in own):
        found = (cells.get((variant, measure), "") for measure in measures)
        lines.append(f"| {_fit(variant)} | {' | '.join(found)} |")
    size, runs = max(row.size for row in own), max(row.runs for row in own)
    origin = f"Size {size:,}, runs {runs}, {own[0].measured} UTC, commit {own[0].commit}, {own[0].machine}."
    return "\n".join([*lines, "", origin, ""])


def _cell(row: Row) -> str:
    """Return the median with its unit and its range or note; only the note if that is all."""
    if row.median is None:
        return _fit(row.note)
    numbers = (row.median, row.low, row.high) if row.low != row.high else (row.median,)
    shown = [_number(number, row.unit) for number in numbers if number is not None]
    more = f" ({shown[1]} to {shown[2]})" if len(shown) > 1 else f" ({row.note})" if row.note else ""
    return shown[0] + ("" if row.unit == "times" else f" {row.unit}".rstrip()) + more


def _number(value: float, unit: str) -> str:
    if unit in ("", "MB"):
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"  # noqa: PLR2004 (two digits that tell)


def _fit(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
