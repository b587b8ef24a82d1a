"""Puts what a test promises into words, from its name and arguments in the manifest."""

from __future__ import annotations

import re

from runner.artifacts import Node

_QUOTED = re.compile(r"""['"]([^'"]+)['"]""")
_SHOWN_ARGS_CHARS = 160


def rule_of(node: Node) -> str:
    """Return in a few words what a node promises, for nodes without a description too."""
    if node.resource_type == "unit_test":
        return node.name.replace("__", ": ", 1).replace("_", " ")
    if node.resource_type != "test":
        return f"{node.name} is built"
    if node.test_name is None:
        return node.name.replace("_", " ")
    column = node.column_name or node.test_args.get("column_name") or "the row"
    args = {key: value for key, value in node.test_args.items() if key != "column_name"}
    referred = _QUOTED.findall(str(args.get("to"))) or [args.get("to")]
    values = args.get("values") or ()
    # The four tests that come with dbt; any other is named with its arguments.
    known = {
        "not_null": f"{column} is never null",
        "unique": f"{column} is unique",
        "accepted_values": f"{column} is one of {', '.join(str(value) for value in values)}",
        "relationships": f"{column} exists in {referred[-1]} ({args.get('field')})",
    }
    if node.test_name in known:
        return known[node.test_name]
    listed = ", ".join(f"{key}: {value}" for key, value in args.items())
    if len(listed) > _SHOWN_ARGS_CHARS:
        listed = listed[: _SHOWN_ARGS_CHARS - 1] + "…"
    words = node.test_name.rpartition(".")[2].replace("_", " ")
    subject = f"{node.column_name}: " if node.column_name else ""
    return subject + words + (f" ({listed})" if listed else "")
