"""Write docs/warehouse.md (every model and column) and docs/erd.md (the star schema) from dbt's manifest.

Usage: `make dictionary`, or `python .ci/make_docs.py [--check] [MANIFEST]`. `--check` writes nothing and exits 1
if a page is not what the manifest says, or if a model or column has no description, or a model no test.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KINDS = ("model", "snapshot", "seed")
Nodes = dict[str, dict[str, Any]]


def own_nodes(manifest: dict[str, Any]) -> Nodes:
    """Return the project's models, snapshots and seeds by unique id, in the order of layer and name."""
    project = manifest["metadata"]["project_name"]
    found = {
        key: node
        for key, node in manifest["nodes"].items()
        if node["resource_type"] in KINDS and node["package_name"] == project
    }
    return dict(sorted(found.items(), key=lambda item: (item[1]["fqn"][1:-1], item[1]["name"])))


def tests(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the generic and unit tests of the manifest."""
    data_tests = [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    return data_tests + list(manifest["unit_tests"].values())


def gaps(manifest: dict[str, Any]) -> list[str]:
    """Return what is missing: descriptions of models and columns, columns at all, tests of models."""
    tested = {parent for test in tests(manifest) for parent in test["depends_on"]["nodes"]}
    missing = []
    for key, node in own_nodes(manifest).items():
        if not node["description"].strip():
            missing.append(f"{node['name']} has no description")
        if not node["columns"]:
            missing.append(f"{node['name']} lists no columns")
        if key not in tested:
            missing.append(f"{node['name']} has no test")
        missing += [
            f"{node['name']}.{column['name']} has no description"
            for column in node["columns"].values()
            if not column["description"].strip()
        ]
    return missing


def cell(text: str) -> str:
    """Return text as one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def dictionary(manifest: dict[str, Any]) -> str:
    """Return the dictionary of the warehouse as Markdown."""
    nodes = own_nodes(manifest)
    lines = [
        "# Dictionary of the warehouse", "",
        "Every model, snapshot and seed with its columns, made from their YAML by `make dictionary`: do not edit it by "
        "hand. The source tables are in [data_dictionary.md](data_dictionary.md).", "",
        "| layer | model | built as | reads |", "|---|---|---|---|",
    ]  # fmt: skip
    for node in nodes.values():
        above = node["depends_on"].get("nodes", [])
        parents = sorted({".".join(key.split(".")[2:]) for key in above})
        link = f"[{node['name']}](#{node['name'].lower()})"
        layer = " / ".join(node["fqn"][1:-1]) or node["resource_type"]
        built_as = node["config"]["materialized"]
        lines.append(f"| {layer} | {link} | {built_as} | {', '.join(parents)} |")
    for node in nodes.values():
        lines += ["", f"## {node['name']}", "", " ".join(node["description"].split()), ""]
        lines += ["| column | type | meaning |", "|---|---|---|"]
        lines += [
            f"| {column['name']} | {column['data_type'] or ''} | {cell(column['description'])} |"
            for column in node["columns"].values()
        ]
    return "\n".join(lines) + "\n"


def erd(manifest: dict[str, Any]) -> str:
    """Return the star schema as a Mermaid diagram: facts, dimensions and the relationships that tests prove."""
    names = {key: node for key, node in own_nodes(manifest).items() if node["name"].startswith(("fct_", "dim_"))}
    links = set()
    for test in tests(manifest):
        metadata = test.get("test_metadata") or {}
        if metadata.get("name") != "relationships" or test["attached_node"] not in names:
            continue
        target = re.findall(r"'(\w+)'", metadata["kwargs"]["to"])[-1]
        if target.startswith("dim_"):
            child = names[test["attached_node"]]["name"]
            links.add((target, child, test["column_name"]))
    lines = [
        "# The star schema", "",
        "Facts, dimensions, and the relationships between them that tests prove with each build. Made by "
        "`make dictionary`: do not edit it by hand. `_key` columns point at the version that held at the event, `_id` "
        "columns at the entity.", "", "```mermaid", "erDiagram",
    ]  # fmt: skip
    lines += [f"    {one} ||--o{{ {many} : {column}" for one, many, column in sorted(links)]
    for node in names.values():
        lines.append(f"    {node['name']} {{")
        for column in node["columns"].values():
            kind = re.sub(r"\W+", "_", column["data_type"] or "unknown").strip("_")
            lines.append(f"        {kind} {column['name']}")
        lines.append("    }")
    return "\n".join([*lines, "```", ""])


def main(arguments: list[str]) -> int:
    """Write the pages, or check them; return the exit code."""
    paths = [argument for argument in arguments if argument != "--check"]
    path = Path(paths[0]) if paths else ROOT / "target" / "manifest.json"
    if not path.is_file():
        print(f"{path} is missing: run `dbt parse` first", file=sys.stderr)
        return 2
    manifest = json.loads(path.read_text(encoding="utf-8"))
    pages = {"warehouse.md": dictionary(manifest), "erd.md": erd(manifest)}
    wrong = gaps(manifest)
    for name, text in pages.items():
        page = ROOT / "docs" / name
        if "--check" not in arguments:
            page.write_text(text, encoding="utf-8")
        elif not page.is_file() or page.read_text(encoding="utf-8") != text:
            wrong.append(f"docs/{name} is not what the models say: run `make dictionary`")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
