"""Finds what was meant for `config.meta.load` and stands elsewhere in the sources YAML, where dbt ignores it.

dbt keeps unknown keys of `config` and `meta` in its manifest, but drops those of a table: for these, and only to see
whether they are there, the YAML itself is looked at.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

PLACE = "it belongs under `config: {meta: {load: …}}`"
# What dbt itself knows of a source or a table by a name that could be taken for one of ours.
_DBT = frozenset({"loader", "loaded_at_field", "loaded_at_query", "columns"})


def misplaced(manifest: Mapping[str, Any], project_dir: Path, keys: tuple[str, ...]) -> dict[str, str]:
    """Return what stands in the wrong place, by `source.table`. `keys` are those that `load` may have."""
    files: dict[str, dict[str, Mapping[str, Any]]] = {}
    found = {}
    for node in manifest["sources"].values():
        file, label = node["original_file_path"], f"{node['source_name']}.{node['name']}"
        if file not in files:
            files[file] = dict(_tables(project_dir / file))
        config, meta = node.get("config") or {}, node.get("meta") or {}
        places = (("beside `name`", files[file].get(label) or {}), ("under `config`", config), ("under `meta`", meta))
        wrong = [
            f"`{key}` stands {place}, where nothing reads it"
            for place, entries in places
            for key, value in entries.items()
            if _is_meant(key, value, keys) and not (place == "under `meta`" and key == "load")
        ]
        if wrong:
            found[label] = f"{'; '.join(wrong)}: {PLACE}"
    return found


def _is_meant(key: str, value: object, keys: tuple[str, ...]) -> bool:
    """Tell whether `key` is `load`, one of its keys, or a misspelt `load` that holds some of them."""
    if key in _DBT or not isinstance(key, str):
        return False
    if key == "load" or key in keys:
        return True
    is_near = bool(difflib.get_close_matches(key.lower(), ["load"], cutoff=0.7))
    return is_near and isinstance(value, dict) and (not value or not set(keys).isdisjoint(value))


def _tables(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield `source.table` and its entry for each table of a sources YAML; of an unreadable one, dbt speaks."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, ValueError, yaml.YAMLError):
        return
    sources = document.get("sources") if isinstance(document, dict) else None
    for source in sources if isinstance(sources, list) else []:
        for table in source.get("tables") or [] if isinstance(source, dict) else []:
            if isinstance(table, dict):
                yield f"{source.get('name')}.{table.get('name')}", table
