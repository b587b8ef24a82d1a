"""Adds items to the lists of a YAML file by inserting lines: what was there stays as it is, to the byte."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from runner.errors import ConfigError

# What dbt's Jinja makes a brace of.
_BRACE = "{{ '{' }}"
_PLAIN = re.compile(r"(?!(?:yes|no|y|n|true|false|on|off|null)$)[a-z_](?:[\w ()./'-]*[\w).])?", re.ASCII | re.I)


class YamlFile:
    """A YAML file whose top level is a mapping; an empty or missing one counts as an empty mapping."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises ConfigError if it is not such YAML."""
        self.path = path
        try:
            self.text = path.read_bytes().decode("utf-8") if path.exists() else ""
            self._root, self.data = _parsed(self.text)
        except (yaml.YAMLError, ValueError) as error:
            raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
        if not isinstance(self.data, dict):
            raise ConfigError(f"{path} must hold a mapping, such as `sources: […]`, at its top level")
        self._lines = self.text.splitlines(keepends=True)
        self._added: dict[tuple[str | int, ...], str] = {}

    def add(self, place: Sequence[str | int], items: str) -> None:
        """Add list items, written in the first column, to the end of the list at `place`, which is made if missing.

        `place` is keys and positions from the top of the file.
        """
        self._added[tuple(place)] = self._added.get(tuple(place), "") + items

    def merged(self) -> str:
        """Return the text with all that was added. Raises ConfigError if it would mean anything else than that."""
        expected = json.loads(json.dumps(self.data, default=str))
        inserts = []
        for place, items in self._added.items():
            node, data = self._root, expected
            for step in place[:-1]:
                node, data = node and _child(node, step), data[step]
            found = node and _child(node, place[-1])
            if not isinstance(data.setdefault(place[-1], []), list):
                raise ConfigError(f"{self.path}: `{place[-1]}` is no list that could be added to")
            data[place[-1]] += _parsed(items)[1]
            key = "" if found else f"{place[-1]}:\n"
            written = key + textwrap.indent(items, "" if found else "  ")
            # What is deeper comes first where two end on one line.
            inserts.append((*self._placed(found or node, written), -len(place)))
        text, end = "", 0
        for offset, written, _ in sorted(inserts, key=lambda insert: (insert[0], insert[2])):
            text += self.text[end:offset] + written
            end = offset
        text += self.text[end:]
        try:
            is_as_expected = json.dumps(_parsed(text)[1], default=str) == json.dumps(expected)
        except (yaml.YAMLError, ValueError):
            is_as_expected = False
        if not is_as_expected:
            raise ConfigError(
                f"{self.path} is written in a way that nothing can be added to (an anchor that several entries "
                "share, for example): choose another file with --into"
            )
        return text

    def _placed(self, node: yaml.Node | None, items: str) -> tuple[int, str]:
        """Return the offset at which `items` come to be the last of a node, and how they are written there."""
        if isinstance(node, yaml.CollectionNode) and node.flow_style:
            written = _dumped(yaml.safe_load(items), default_flow_style=True)
            end = self._offset(node.end_mark.line) + node.end_mark.column - 1
            is_open = not node.value or self.text[:end].rstrip().endswith(",")
            return end, ("" if is_open else ", ") + written[1:-1]
        line, column = len(self._lines), 0
        if node:
            line, column = node.end_mark.line, node.start_mark.column
            line += bool("".join(self._lines[line : line + 1])[: node.end_mark.column].strip())
        # Comments before what follows are not of this list, but for those that stand as far in as its items.
        outside = max(column, 1) if isinstance(node, yaml.SequenceNode) else column
        not_ours = re.compile(rf"\s*$| {{0,{outside - 1}}}#" if outside else r"\s*$")
        while line and not_ours.match(self._lines[line - 1]):
            line -= 1
        newline = "\r\n" if "\r\n" in self.text else "\n"
        is_cut = line and not self._lines[line - 1].endswith(("\n", "\r"))
        written = textwrap.indent(items, " " * column).replace("\n", newline)
        return self._offset(line), (newline if is_cut else "") + written

    def _offset(self, line: int) -> int:
        return sum(map(len, self._lines[:line]))


def scalar(text: str) -> str:
    """Return `text` as a value on one line which every YAML takes for this very text, and Jinja for no template."""
    if _PLAIN.fullmatch(text):
        return text
    return _dumped(re.sub(r"\{(?=[{%#])", _BRACE, text), default_style='"')


def unescaped(value: object) -> str:
    """Return the text that `scalar` was given, from what YAML has of it."""
    return str(value).replace(_BRACE, "{")


def comment(text: str) -> str:
    """Return `text` as it may stand behind a `#`."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _dumped(value: object, **style: Any) -> str:  # noqa: ANN401 (PyYAML's own options)
    written = yaml.safe_dump(value, width=float("inf"), allow_unicode=True, sort_keys=False, **style)
    return str(written).rstrip("\n")


def _parsed(text: str) -> tuple[yaml.Node | None, Any]:
    loader = yaml.CSafeLoader(text)
    try:
        node = loader.get_single_node()
        return node, {} if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(step, int):
        return node.value[step]  # type: ignore[no-any-return]
    return next((value for key, value in node.value if key.value == step), None)
