"""Runs dbt as a subprocess with an argument list; what it did is read from its artifacts, not its log."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.errors import ConfigError

# dbt's own exit codes: 0 all well, 1 a node failed, 2 dbt could not run at all.
DBT_NODE_FAILED = 1
# How long dbt may take to cancel its queries when the run is stopped.
GRACE_S = 5.0


@dataclass(frozen=True)
class DbtOutcome:
    """What a dbt process left: its exit code and its combined output (empty when streamed)."""

    returncode: int
    output: str


def dbt_command(args: Sequence[str]) -> list[str]:
    """Return the full argument list for one dbt call."""
    return [sys.executable, "-m", "dbt.cli.main", *args]


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
    """
    try:
        done = subprocess.run(
            dbt_command(args),
            cwd=project_dir,
            env=dbt_env(env, project_dir),
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"dbt {args[0]} did not finish within {timeout_s:.0f} s; run it by hand to see why"
        ) from error
    return DbtOutcome(returncode=done.returncode, output=done.stdout)


def follow_dbt(
    args: Sequence[str],
    *,
    project_dir: Path,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
) -> int:
    """Run dbt, hand each line of its output to `on_line` as it comes, and return its exit code."""
    with subprocess.Popen(
        dbt_command(args),
        cwd=project_dir,
        env=dbt_env(env, project_dir),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            for line in process.stdout or ():
                on_line(line.rstrip("\n"))
        except BaseException:
            _interrupt(process)
            raise
    return process.returncode


def _interrupt(process: subprocess.Popen[str]) -> None:
    """End dbt as Ctrl-C does, so that it cancels its queries; kill it if that takes too long."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()


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
