"""Opens one artifact file; every way it can be unusable becomes one clear line."""

from __future__ import annotations

import json
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


def unknown_shape(path: Path, error: Exception) -> ConfigError:
    """Return the error for an artifact that is JSON but lacks what dbt writes."""
    return ConfigError(
        f"{path} is not what dbt 1.11 writes ({type(error).__name__}: {error}): "
        "run `haven run` again"
    )
