"""dbt's manifest: the only form in which the runner reads the project's YAML."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from runner import log
from runner.dbt import SKIPPED, dbt_message, mark_file, parsed_for, run_dbt
from runner.errors import ConfigError
from runner.misplaced import PLACE
from runner.settings import Settings

_SCHEMA = "manifest/v12.json"
_PARSED = (".yml", ".yaml", ".sql", ".md", ".csv")


def read_manifest(settings: Settings) -> dict[str, Any]:
    """Return the project's manifest, parsed anew by dbt only if a project file is newer than it.

    Importing and parsing with dbt takes seconds, reading the fresh file milliseconds.

    Raises:
        ConfigError: dbt cannot parse the project; the message is dbt's own.
    """
    project, env = settings.project_dir, settings.child_env()
    path = settings.target_dir / "manifest.json"
    found = _read(path)
    if found is None:
        why = "no manifest of it can be read"
    elif path.stat().st_mtime < _newest_change(project):
        why = "its files have changed"
    elif not _is_marked(mark_file(env, project), parsed_for(env, project)):
        why = "it was last parsed elsewhere or with other settings"
    else:
        return found
    log.info(f"dbt parses the project, as {why}")
    outcome = run_dbt(["parse", "--quiet"], project_dir=project, env=env)
    if outcome.returncode != 0:
        message = dbt_message(outcome.output, project)
        if "('load' was unexpected)" in message:  # beside a source's name, where dbt allows no key of its own
            message += f"\n  `load` stands in the wrong place: {PLACE}"
        raise ConfigError(f"dbt cannot parse the project: {message}")
    found = _read(path)
    if found is None:
        raise ConfigError(f"dbt parse left no manifest that can be read in {path}: is dbt 1.11 used?")
    return found


def ensure_manifest(settings: Settings) -> None:
    """Have dbt parse the project if the manifest of its last run cannot be read. Raises what `read_manifest` raises."""
    path = settings.target_dir / "manifest.json"
    if path.exists() and _read(path) is None:
        read_manifest(settings)


def _is_marked(mark: Path, parsed: str | None) -> bool:
    try:
        return mark.read_text(encoding="utf-8") == parsed
    except (OSError, ValueError):
        return False


def _read(path: Path) -> dict[str, Any] | None:
    """Return the manifest, None if it is missing or torn, or of another dbt: whoever wrote it may have been killed."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        is_ours = found["metadata"]["dbt_schema_version"].endswith(f"/{_SCHEMA}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return dict(found) if is_ours else None


def _newest_change(project: Path) -> float:
    """Return the newest modification time (seconds since the epoch) of the files dbt parses."""
    newest = 0.0
    for folder, subfolders, files in os.walk(project):
        subfolders[:] = [n for n in subfolders if n not in SKIPPED and not n.startswith(".")]
        for name in files:
            if name.endswith(_PARSED):
                newest = max(newest, os.stat(os.path.join(folder, name)).st_mtime)  # noqa: PTH116, PTH118 (thousands of files)
        newest = max(newest, Path(folder).stat().st_mtime)  # a deleted or moved file
    return newest
