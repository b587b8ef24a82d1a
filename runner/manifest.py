"""dbt's manifest: the only form in which the runner reads the project's YAML."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from runner import log
from runner.artifacts.files import read_artifact
from runner.dbt import dbt_message, mark_file, parsed_for, run_dbt
from runner.errors import ConfigError
from runner.misplaced import PLACE
from runner.settings import Settings

# Folders whose files say nothing about the project.
_SKIPPED = {"target", "logs", "node_modules", "tests", "docs", "__pycache__"}
_PARSED = (".yml", ".yaml", ".sql", ".md", ".csv")


def read_manifest(settings: Settings) -> dict[str, Any]:
    """Return the project's manifest, parsed anew by dbt only if a project file is newer than it.

    Importing and parsing with dbt takes seconds, reading the fresh file milliseconds.

    Raises:
        ConfigError: dbt cannot parse the project; the message is dbt's own.
    """
    project, env = settings.project_dir, settings.child_env()
    path = settings.target_dir / "manifest.json"
    if path.is_file() and path.stat().st_mtime >= _newest_change(project):
        mark = mark_file(env, project)
        if mark.is_file() and mark.read_text(encoding="utf-8") == parsed_for(env, project):
            return read_artifact(path, "delete it and try again")
        log.info("dbt parses the project, as it was last parsed elsewhere or with other settings")
    else:
        log.info("dbt parses the project, as its files have changed")
    outcome = run_dbt(["parse", "--quiet"], project_dir=project, env=env)
    if outcome.returncode != 0:
        message = dbt_message(outcome.output, project)
        if (
            "('load' was unexpected)" in message
        ):  # beside a source's name, where dbt allows no key of its own
            message += f"\n  `load` stands in the wrong place: {PLACE}"
        raise ConfigError(f"dbt cannot parse the project: {message}")
    return read_artifact(path, "delete it and try again")


def _newest_change(project: Path) -> float:
    """Return the newest modification time (seconds since the epoch) of the files dbt parses."""
    newest = 0.0
    for folder, subfolders, files in os.walk(project):
        subfolders[:] = [n for n in subfolders if n not in _SKIPPED and not n.startswith(".")]
        for name in files:
            if name.endswith(_PARSED):
                newest = max(newest, os.stat(os.path.join(folder, name)).st_mtime)  # noqa: PTH116, PTH118 (thousands of files)
        newest = max(newest, Path(folder).stat().st_mtime)  # a deleted or moved file
    return newest
