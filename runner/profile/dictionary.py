"""The data dictionary: what the tables and columns are, in Markdown; the same for the same data."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from runner.artifacts.files import write_whole
from runner.profile.terminal import clip, distinct, origin, share

_HEAD = """# Data dictionary

The source tables, their columns and what they hold. Made by `haven profile --dictionary`; do not edit it by hand.
Descriptions come from the sources YAML, everything else from the data. Null shares and examples are of the rows that
were read; examples are the most frequent values, or the smallest and largest. Personal columns show none.
"""
_EXAMPLES = 3
_MAX_CHARS = 60
# An underscore inside a word is plain text in Markdown.
_MARKS = re.compile(r"[\\|*`\[\]]|(?<![^\W_])_|_(?![^\W_])")


def write_dictionary(made: dict[str, Any], path: Path) -> None:
    """Write the dictionary of a profile's document to `path`. Tables that failed are left out, by name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, dictionary(made))


def dictionary(made: dict[str, Any]) -> str:
    """Return the dictionary; nothing in it depends on time, machine or size on disk."""
    good = [table for table in made["tables"] if table["error"] is None]
    lines = [_HEAD, "| table | rows | description |", "|---|---:|---|"]
    for table in good:
        name = _text(table["label"])
        lines.append(f"| {name} | {table['rows']:,} | {_text(table['description'])} |")
    lines.append("")
    for failed in (table for table in made["tables"] if table["error"] is not None):
        lines += [f"{_text(failed['label'])} could not be read and is missing here.", ""]
    for table in good:
        lines += _table(table)
    return "\n".join(lines).rstrip() + "\n"


def _table(table: dict[str, Any]) -> list[str]:
    rows = f"{table['rows']:,} rows"
    if table["is_sampled"]:
        rows += f"; what follows is of a sample of {table['profiled_rows']:,}"
    lines = [f"## {_text(table['label'])}", ""]
    if table["description"]:
        lines += [_text(table["description"]), ""]
    lines += [
        f"Source: {_code(table['source'])}, {rows}.", "",
        "| column | type | nulls | distinct | key | personal | description | examples |",
        "|---|---|---:|---:|---|---|---|---|",
    ]  # fmt: skip
    for column in table["columns"]:
        cells = (
            _text(column["name"]), _code(column["type"]), share(column["null_share"]),
            distinct(column), _keys(table, column["name"]),
            _text(column["personal"] or ""), _text(column["description"]), _examples(column),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    return lines


def _keys(table: dict[str, Any], name: str) -> str:
    found = [
        f"key ({origin(key)})" if len(key["columns"]) == 1 else f"part of a key ({origin(key)})"
        for key in table["keys"]
        if name in key["columns"]
    ]
    for reference in table["references"]:
        if name in reference["columns"]:
            there = reference["to_columns"][reference["columns"].index(name)]
            orphans = (
                f", {share(reference['orphan_share'])} orphans" if reference["orphans"] else ""
            )
            found.append(f"{reference['to_table']}.{there} ({origin(reference)}{orphans})")
    return _text("; ".join(found))


def _examples(column: dict[str, Any]) -> str:
    if column["personal"]:
        return ""
    if column["min"] is not None and column["kind"] != "boolean":
        ends = dict.fromkeys((column["min"], column["max"]))
        return " to ".join(_code(clip(end, _MAX_CHARS)) for end in ends)
    shown = [_code(clip(top["value"], _MAX_CHARS)) for top in column["top"][:_EXAMPLES]]
    return ", ".join(shown)


def _text(text: str) -> str:
    """Return text for a cell: Markdown and HTML in it mean nothing."""
    line = " ".join(text.split())
    return html.escape(_MARKS.sub(lambda mark: f"\\{mark[0]}", line), quote=False)


def _code(text: str) -> str:
    """Return text as code in a cell, whatever characters it holds."""
    line = " ".join(text.split()) or repr(text)
    if not set("|`\\") & set(line):
        return f"`{line}`"
    line = html.escape(line, quote=False).replace("\\", "&#92;")
    return f"<code>{line.replace('|', '&#124;').replace('`', '&#96;')}</code>"
