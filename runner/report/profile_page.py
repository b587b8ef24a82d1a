"""Profiles for people: as blocks on a terminal, and as the page target/reports/profile.html."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from runner.artifacts.files import write_whole
from runner.report.pages import render

_HEADINGS = ("column", "type", "nulls", "distinct", "min", "max", "mean", "often", "notes")
_NUMERIC = ("nulls", "distinct", "min", "max", "mean")
_MAX_CHARS = 26
_OFTEN = 36


def write_page(made: dict[str, Any], path: Path, *, project: str) -> None:
    """Write the page of the profiles to `path`; folders are made."""
    words = (bars, clip, distinct, ends, headline, keys, number, often, share)
    helpers = {word.__name__: word for word in words}
    write_whole(path, render("profile.html.j2", tables=made["tables"], project=project, **helpers))


def show(tables: Sequence[dict[str, Any]], console: Console) -> None:
    """Print a block for each table; those that failed are left to the caller."""
    for table in (table for table in tables if table["error"] is None):
        console.print(f"[bold]{escape(table['label'])}[/bold]  {escape(headline(table))}")
        grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in _HEADINGS:
            grid.add_column(name, justify="right" if name in _NUMERIC else "left", overflow="fold")
        for column in table["columns"]:
            personal = ["personal"] if column["personal"] else []
            cells = (
                column["name"], column["type"].replace("timestamp with time zone", "timestamptz"),
                share(column["null_share"]), distinct(column), *ends(column), number(column["mean"]),
                often(column), ", ".join(personal + column["notes"]),
            )  # fmt: skip
            grid.add_row(*map(escape, cells))
        console.print(grid)
        if keys(table):
            console.print(f"  key  {escape(', '.join(keys(table)))}", highlight=False)
        console.print()


def headline(table: dict[str, Any]) -> str:
    """Return rows, growth, size, sample and duplicates of a table on one line."""
    parts = [f"{table['row_count']:,} rows", decimal(table["size_bytes"])]
    if table["previous_profiled_on"]:
        more = table["row_count"] - table["previous_row_count"]
        parts[0] += f" ({more:+,} since {table['previous_profiled_on']})"
    if table["is_sampled"]:
        rows, pct = table["profiled_row_count"], table["sample_pct"]
        parts.append(f"SAMPLED: all below is of {rows:,} rows (blocks, about {pct:.2f}%)")
    if table["duplicate_row_count"] is not None:
        parts.append(f"{table['duplicate_row_count']:,} duplicate rows")
    return ", ".join(parts)


def keys(table: dict[str, Any]) -> list[str]:
    """Return the columns of raw's primary key."""
    return [column["name"] for column in table["columns"] if column["is_key"]]


def often(column: dict[str, Any]) -> str:
    """Return the most frequent values that fit, with their rows; of times and unique columns none."""
    if column["kind"] == "time" or not column["duplicate_count"]:
        return ""
    shown = [f"{clip(top['value'])} ({top['rows']:,})" for top in column["top"]]
    fitting = (", ".join(shown[:n]) for n in (3, 2) if len(", ".join(shown[:n])) <= _OFTEN)
    return next(fitting, shown[0] if shown else "")


def ends(column: dict[str, Any]) -> tuple[str, str]:
    """Return the smallest and largest value; of text the shortest and longest length."""
    if column["longest_length"] is not None:
        return f"{column['shortest_length']:,} chars", f"{column['longest_length']:,} chars"
    return clip(column["min"] or ""), clip(column["max"] or "")


def share(value: float | None) -> str:
    """Return a share as percent; a tiny one never shows as none, and nearly all never as all."""
    if value is None or value in (0, 1):
        return "" if value is None else f"{value:.0%}"
    return f"{min(max(value, 0.0001), 0.9999):.2%}"


def distinct(column: dict[str, Any]) -> str:
    """Return the number of different values, marked where it is no exact count."""
    mark = {"exact": "", "statistics": "~", "sample": ">="}[column["distinct_basis"]]
    return f"{mark}{column['distinct_count']:,}"


def number(value: float | None) -> str:
    """Return a number with 10 significant digits."""
    return "" if value is None else f"{value:.10g}"


def clip(text: str, length: int = _MAX_CHARS) -> str:
    """Return text on one line, cut where it is longer than `length`; blanks alone are quoted."""
    line = " ".join(text.split()) if text.strip() else repr(text) if text else ""
    return line if len(line) <= length else line[: length - 1] + "…"


def bars(counts: list[int], *, width: int = 120, height: int = 28) -> list[dict[str, float]]:
    """Return the rectangles of a bar chart, in pixels; a bar with rows is at least one high."""
    most = max(counts, default=0)
    step = width / len(counts) if counts else 0
    return [
        {
            "x": round(at * step, 2), "y": round(height - tall, 2),
            "width": round(max(step - 1, 1), 2), "height": round(tall, 2),
        }
        for at, count in enumerate(counts)
        if (tall := max(count / most * height, 1) if count else 0)
    ]  # fmt: skip
