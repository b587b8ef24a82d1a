"""Runs dbt as a subprocess with an argument list; what it did is read from its artifacts, not its log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.child import ChildTimeoutError, follow, killed_by
from runner.errors import ConfigError, DataError

_MODULE = "dbt.cli.main"


@dataclass(frozen=True)
class DbtOutcome:
    """What a dbt process left: its exit code and its combined output."""

    returncode: int
    output: str


def run_dbt(
    args: Sequence[str],
    *,
    project_dir: Path,
    env: Mapping[str, str],
    timeout_s: float | None = None,
) -> DbtOutcome:
    """Run dbt in `project_dir` and return its exit code and output.

    Raises:
        ConfigError: dbt did not finish within `timeout_s` seconds.
        DataError: a signal killed dbt.
    """
    lines: list[str] = []
    try:
        code = follow_dbt(
            args, project_dir=project_dir, env=env, on_line=lines.append, timeout_s=timeout_s
        )
    except ChildTimeoutError as error:
        raise ConfigError(
            f"dbt {args[0]} did not finish within {timeout_s:.0f} s; run it by hand to see why"
        ) from error
    if killed := killed_by(code):
        raise DataError(f"dbt {args[0]} {killed}")
    return DbtOutcome(returncode=code, output="".join(f"{line}\n" for line in lines))


def follow_dbt(
    args: Sequence[str],
    *,
    project_dir: Path,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
    timeout_s: float | None = None,
) -> int:
    """Run dbt, hand each line of its output to `on_line` as it comes, and return its exit code (see `follow`)."""
    return follow(
        _MODULE,
        args,
        cwd=project_dir,
        env=dbt_env(env, project_dir),
        on_line=on_line,
        timeout_s=timeout_s,
    )


def dbt_env(env: Mapping[str, str], project_dir: Path) -> dict[str, str]:
    """Return `env` with the project named, and with all that dbt would tell the outside switched off.

    A project may bring its own profiles.yml; otherwise Haven's own is used, which DBT_PROFILES_DIR names. Variables
    instead of options keep this machine's paths out of dbt's artifacts, and so out of the reports.
    """
    named = {"DBT_PROJECT_DIR": str(project_dir)}
    if (project_dir / "profiles.yml").is_file():
        named["DBT_PROFILES_DIR"] = str(project_dir)
    return {
        **env,
        **named,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_VERSION_CHECK": "false",
        "DBT_USE_COLORS": "false",
        "DO_NOT_TRACK": "1",
    }
