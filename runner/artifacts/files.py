"""Reads one artifact file, in one clear line if it is unusable; writes files that are whole or not there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from runner.errors import ConfigError


def read_artifact(path: Path, hint: str) -> dict[str, Any]:
    """Return the JSON object in `path`. Raises ConfigError, with `hint`, if not one."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing: {hint}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({type(error).__name__}): {hint}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} is not a dbt artifact: {hint}")
    return document


def write_whole(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Write `text` to `path` in one step: whoever is killed, or has no disk left, leaves what was there before.

    Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    side = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(side, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, mode)) as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        side.replace(path)
    finally:
        side.unlink(missing_ok=True)


def unknown_shape(path: Path, error: Exception) -> ConfigError:
    """Return the error for an artifact that is JSON but lacks what dbt writes."""
    return ConfigError(f"{path} is not what dbt 1.11 writes ({type(error).__name__}: {error}): run `haven run` again")
