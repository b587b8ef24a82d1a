"""dbt's documentation of the project as one HTML file that opens without a network.

The pages of installed packages (their models and some 2,000 macros) are left out, which makes the
file about half of what `dbt docs generate --static` writes and its index readable.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.artifacts.files import write_whole
from runner.dbt import run_dbt
from runner.errors import DataError
from runner.report.masking import mask_text
from runner.report.offline import self_contained

TIMEOUT_S = 300.0
_PARTS = ("manifest", "catalog")
# What the page lists, keyed by unique id; everything else of the manifest is kept as it is.
_LISTED = (
    "nodes",
    "sources",
    "exposures",
    "metrics",
    "groups",
    "macros",
    "docs",
    "unit_tests",
    "semantic_models",
    "saved_queries",
    "functions",
)


def write_docs(project_dir: Path, target_dir: Path, path: Path, env: Mapping[str, str]) -> None:
    """Write the documentation to `path`. dbt works in target/haven/docs, for it overwrites
    run_results.json wherever it works.

    Raises:
        ConfigError: dbt did not finish in time.
        DataError: dbt failed, or its page is not the one this was written for.
    """
    work = target_dir / "haven" / "docs"
    work.mkdir(parents=True, exist_ok=True)
    parsed = target_dir / "partial_parse.msgpack"
    if parsed.is_file():
        shutil.copy2(parsed, work)
    args = ["docs", "generate", "--select", "package:this", "--target-path", str(work)]
    outcome = run_dbt([*args, "--log-path", str(work)], project_dir=project_dir, env=env, timeout_s=TIMEOUT_S)
    if outcome.returncode != 0:
        raise DataError(f"dbt docs generate failed: {error_line(outcome.output)}")
    page = (work / "index.html").read_text(encoding="utf-8")
    for part in _PARTS:
        document = json.loads((work / f"{part}.json").read_text(encoding="utf-8"))
        document = own_part(document) if part == "manifest" else document
        page = inline(page, part, document)
    write_whole(path, self_contained(page))


def inline(page: str, part: str, document: Mapping[str, Any]) -> str:
    """Return dbt's page with `document` in the place it keeps for it.

    Raises DataError if there is no such place.
    """
    place = f'"{part.upper()}.JSON INLINE DATA"'
    if place not in page:
        raise DataError(f"dbt's documentation page has no place for its {part}: is dbt 1.11 used?")
    # No text of the project can end the script element in which the data stands.
    data = json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")
    return page.replace(place, data)


def own_part(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest without what belongs to installed packages, without usage tracking, and
    without the paths of this machine."""
    own = manifest["metadata"]["project_name"]
    kept: dict[str, Any] = dict(manifest)
    for kind in _LISTED:
        kept[kind] = {
            key: {name: value for name, value in entry.items() if name != "compiled_path"}
            for key, entry in (manifest.get(kind) or {}).items()
            if entry["package_name"] == own or key == "doc.dbt.__overview__"
        }
    shown = {key for kind in _LISTED for key in kept[kind]}
    for relation in ("parent_map", "child_map"):
        kept[relation] = {
            key: [other for other in others if other in shown]
            for key, others in (manifest.get(relation) or {}).items()
            if key in shown
        }
    kept["disabled"] = {}
    kept["metadata"] = {**manifest["metadata"], "send_anonymous_usage_stats": False}
    return kept


def error_line(output: str) -> str:
    """Return the line of dbt's output that says what is wrong, without secrets of a traceback."""
    lines = [line.strip() for line in mask_text(output).splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()] or lines
    at = lines.index(telling[0]) if telling else 0
    return " ".join(lines[at : at + 2]) or "it printed nothing"
