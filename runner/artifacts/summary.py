"""run_summary.json: what the last `haven run` did, is doing, or was doing when it died."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from runner.artifacts.files import write_whole


def summary_file(target_dir: Path) -> Path:
    """Return the path of the summary below dbt's target folder."""
    return target_dir / "haven" / "run_summary.json"


def read_summary(target_dir: Path) -> dict[str, Any] | None:
    """Return the summary, None if there is none that can be read.

    A run that says "running" and whose process is gone has the status "died".
    """
    try:
        found = json.loads(summary_file(target_dir).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    if found.get("status") == "running" and not _lives(found.get("process")):
        found |= {"status": "died", "error": "its process is gone, and it said nothing before"}
    return found


def write_summary(target_dir: Path, summary: Mapping[str, Any]) -> None:
    """Replace the summary in one step. Raises OSError."""
    write_whole(summary_file(target_dir), json.dumps(summary, indent=2, default=str))


def this_process() -> dict[str, Any]:
    """Return what `read_summary` tells this process by: a number alone is given to another one day."""
    started_at = psutil.Process().create_time()
    return {"pid": os.getpid(), "created": started_at, "host": socket.gethostname()}


def _lives(process: object) -> bool:
    if not isinstance(process, dict) or process.get("host") != socket.gethostname():
        return True  # nobody here can tell
    try:
        return bool(psutil.Process(process["pid"]).create_time() == process["created"])
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False
