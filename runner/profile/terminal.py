"""The profile for people at a terminal: one block for each table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

_HEADINGS = ("column", "type", "nulls", "distinct", "min", "max", "avg", "often", "notes")
_NUMERIC = ("nulls", "distinct", "min", "max", "avg")
_MAX_CHARS = 26
_OFTEN = 36


def show(tables: Sequence[dict[str, Any]], console: Console) -> None:
    """Print the tables of a profile's document; those that failed are left to the caller."""
    for table in tables:
        if table["error"] is None:
            _show_table(table, console)


def _show_table(table: dict[str, Any], console: Console) -> None:
    console.print(f"[bold]{escape(table['label'])}[/bold]  {escape(headline(table))}")
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in _HEADINGS:
        grid.add_column(name, justify="right" if name in _NUMERIC else "left", overflow="fold")
    for column in table["columns"]:
        grid.add_row(*(escape(cell) for cell in _cells(column)))
    if table["columns"]:
        console.print(grid)
    for line in facts(table):
        console.print(f"  {escape(line)}", highlight=False)
    console.print()


def _cells(column: dict[str, Any]) -> tuple[str, ...]:
    notes = [*(["personal"] if column["personal"] else []), *column["notes"]]
    return (
        column["name"],
        column["type"].replace("timestamp with time zone", "timestamptz"),
        share(column["null_share"]),
        distinct(column),
        clip(column["min"] or length(column, "min")),
        clip(column["max"] or length(column, "max")),
        column["avg"] or "",
        _often(column),
        ", ".join(notes),
    )


def _often(column: dict[str, Any]) -> str:
    """Return the most frequent values that fit, with their rows; of times and unique columns none."""
    if column["kind"] == "time" or "unique" in column["notes"]:
        return ""
    shown = [f"{clip(top['value'])} ({top['rows']:,})" for top in column["top"]]
    return next(
        (", ".join(shown[:n]) for n in (3, 2) if len(", ".join(shown[:n])) <= _OFTEN), None
    ) or (shown[0] if shown else "")


def headline(table: dict[str, Any]) -> str:
    """Return rows, size, sample and duplicates of a table on one line."""
    parts = [f"{table['rows']:,} rows", decimal(table["size_bytes"])]
    if table["kind"] != "table":
        parts.insert(0, table["kind"])
    if table["is_sampled"]:
        parts.append(
            f"SAMPLED: all below is of {table['profiled_rows']:,} rows ({table['sample_method']})"
        )
    if table["duplicate_rows"] is not None:
        parts.append(f"{table['duplicate_rows']:,} duplicate rows")
    return ", ".join(parts)


def facts(table: dict[str, Any]) -> list[str]:
    """Return keys, references, growth and changes of a table, a line each."""
    lines = []
    for key in table["keys"]:
        lines.append(f"key  {', '.join(key['columns'])}  ({origin(key)})")
    for reference in table["references"]:
        where = f"{reference['to_table']} ({', '.join(reference['to_columns'])})"
        line = f"refers  {', '.join(reference['columns'])} -> {where}  ({origin(reference)})"
        if reference["orphans"]:
            line += (
                f"  {reference['orphans']:,} orphans of {reference['rows']:,} "
                f"({share(reference['orphan_share'])})"
            )
        lines.append(line)
    growth = table["growth"]
    if growth:
        about = "about " if growth["is_estimate"] else ""
        line = (
            f"grows by {about}{growth['rows_per_day']:,} rows a day ({growth['column']}, "
            f"{growth['first_day']} to {growth['last_day']}); last day {growth['last_day_rows']:,}, "
            f"7 days {growth['last_7_days']:,}, 30 days {growth['last_30_days']:,}"
        )
        if growth["rate"] is not None:
            line += f", {growth['rate']:+.1%} against the 30 before"
        lines.append(line)
        if growth["touched"] is not None:
            lines.append(
                f"{growth['touched_by']} is later than {growth['column']} in "
                f"{about}{growth['touched']:,} rows"
            )
    for change in table["changes"]:
        seen = [f"{name} {count:,}" for name, count in change["changed"].items() if count]
        lines.append(
            f"changes  {change['snapshot']}: of {change['keys']:,} keys had several values: "
            + (", ".join(seen) or "none")
        )
    return lines


def origin(entry: dict[str, Any]) -> str:
    """Return whether a key or reference is declared or inferred."""
    if entry["is_declared"]:
        return "declared"
    by = f" by {entry['evidence']}" if "evidence" in entry else ""
    return f"inferred{by}" + ("" if entry["is_proven"] else ", in the sample only")


def share(value: float | None) -> str:
    """Return a share as percent; a tiny one never shows as none, and nearly all never as all."""
    if value is None:
        return ""
    if value in (0, 1):
        return f"{value:.0%}"
    return f"{min(max(value, 0.0001), 0.9999):.2%}"


def distinct(column: dict[str, Any]) -> str:
    """Return the number of different values, marked where it is no exact count."""
    mark = {"exact": "", "statistics": "~", "sample": ">="}[column["distinct_basis"]]
    return f"{mark}{column['distinct']:,}"


def length(column: dict[str, Any], end: str) -> str:
    """Return the shortest or longest length of a text column."""
    found = column["text"] and column["text"][f"{end}_length"]
    return "" if found is None else f"{found:,} chars"


def clip(text: str, length: int = _MAX_CHARS) -> str:
    """Return text on one line, cut where it is longer than `length`; blanks alone are quoted."""
    line = " ".join(text.split()) if text.strip() else repr(text) if text else ""
    return line if len(line) <= length else line[: length - 1] + "…"
