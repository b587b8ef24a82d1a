"""The data dictionary: what the tables and columns are, in Markdown; the same for the same data."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from runner.artifacts.files import write_whole
from runner.report.pages import render
from runner.report.profile_page import clip, distinct, share

_MAX_CHARS = 60
# An underscore inside a word is plain text in Markdown.
_MARKS = re.compile(r"[\\|*`\[\]]|(?<![^\W_])_|_(?![^\W_])")


def write_dictionary(made: dict[str, Any], manifest: Mapping[str, Any], path: Path) -> None:
    """Write the dictionary of the profiles to `path`; nothing in it depends on time, machine or size on disk."""
    references = references_of(manifest)

    def key(table: dict[str, Any], column: dict[str, Any]) -> str:
        own = "key" if column["is_key"] else "unique" if column["key_share"] == 1 else ""
        return "; ".join(filter(None, (own, references.get((table["label"], column["name"])))))

    words = (cell, code, distinct, examples, key, share)
    helpers = {word.__name__: word for word in words}
    write_whole(path, render("data_dictionary.md.j2", tables=made["tables"], **helpers) + "\n")


def references_of(manifest: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Return what columns refer to, by table and name: `relationships` tests of models that read one table alone."""
    tables = {}
    for node_id, node in (manifest["nodes"] | manifest["sources"]).items():
        behind = (node.get("depends_on") or {}).get("nodes") or [node_id]
        if len(behind) == 1 and behind[0] in manifest["sources"]:
            source = manifest["sources"][behind[0]]
            tables[node_id] = f"{source['source_name']}.{source['name']}"
    found = {}
    for node in manifest["nodes"].values():
        test, mine = node.get("test_metadata") or {}, node.get("attached_node")
        if test.get("name") == "relationships" and mine in tables:
            # A table may refer to itself.
            other = next((n for n in node["depends_on"]["nodes"] if n != mine), mine)
            column, field = test["kwargs"].get("column_name"), test["kwargs"].get("field")
            if other in tables:
                found[tables[mine], column] = f"{tables[other]}.{field}"
    return found


def examples(column: dict[str, Any]) -> Markup:
    """Return the ends of a range, or the most frequent values."""
    if column["min"] is not None:
        values, between = [*dict.fromkeys((column["min"], column["max"]))], " to "
    else:
        values, between = [top["value"] for top in column["top"][:3]], ", "
    return Markup(between).join(code(clip(value, _MAX_CHARS)) for value in values)  # noqa: S704


def cell(text: str) -> Markup:
    """Return text for a cell: Markdown and HTML in it mean nothing."""
    line = _MARKS.sub(lambda mark: f"\\{mark[0]}", " ".join(text.split()))
    return Markup(html.escape(line, quote=False))  # noqa: S704 (Markdown, and escaped)


def code(text: str) -> Markup:
    """Return text as code in a cell, whatever characters it holds."""
    line = " ".join(text.split()) or repr(text)
    if not set("|`\\") & set(line):
        return Markup(f"`{line}`")  # noqa: S704 (nothing in code is HTML)
    line = html.escape(line, quote=False).replace("\\", "&#92;")
    line = line.replace("|", "&#124;").replace("`", "&#96;")
    return Markup(f"<code>{line}</code>")  # noqa: S704 (escaped)
