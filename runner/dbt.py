"""Runs dbt as a subprocess with an argument list; what it did is read from its artifacts, not its log."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.child import ChildTimeoutError, follow, killed_by
from runner.errors import ConfigError, DataError
from runner.settings import ALERT_PREFIX, target_folder

_MODULE = "dbt.cli.main"
_TIME = re.compile(r"^(\x1b\[[0-9;]*m)*\d\d:\d\d:\d\d(\.\d+)? *(\[\w+ *\])?[ :]*")
_NOTICES = (
    "Running with", "Registered", "Encountered an error", "Unable to do partial parsing", "Error uploading artifacts",
)  # fmt: skip
_MESSAGE_LINES = 40
# Folders whose files say nothing about the project.
SKIPPED = {"target", "logs", "node_modules", "tests", "docs", "__pycache__"}
# The variables that a file reads, by name.
_ENV_VAR = re.compile(rb"""env_var\(\s*['"](\w+)['"]""")
_READS_ENV = (".yml", ".yaml", ".sql", ".md")
# Settings that say where and how to work, never what the project is.
_NOT_PARSED = (
    "HAVEN_SOURCE_", "HAVEN_WAREHOUSE_", "HAVEN_TRANSFORMER_", "HAVEN_MASK_", "HAVEN_HOME", ALERT_PREFIX,
    "HAVEN_RETRIES", "HAVEN_LOCK_TIMEOUT", "HAVEN_THREADS", "HAVEN_BUILD_", "HAVEN_ELEMENTARY_", "HAVEN_PROFILE_",
    "DBT_ENV_SECRET_",
)  # fmt: skip


@dataclass(frozen=True)
class DbtOutcome:
    """What a dbt process left: its exit code and its combined output."""

    returncode: int
    output: str


def dbt_message(output: str, project_dir: Path) -> str:
    """Return what dbt says is wrong, on its own lines: without time stamps, notices and tracebacks.

    A YAML file is named with its folder, which dbt leaves out.
    """
    lines = [_TIME.sub("", line).rstrip() for line in output.splitlines()]
    starts = [at for at, line in enumerate(lines) if line.startswith("Encountered an error")]
    kept = [line for line in lines[starts[-1] if starts else 0 :] if line.strip() and not line.startswith(_NOTICES)]
    if any(line.startswith("Traceback (most recent") for line in kept):
        kept = kept[-1:]
    text = "\n".join(kept[:_MESSAGE_LINES]) or "no output; run `dbt parse` to see why"
    for name in re.findall(r"Error reading [\w-]+: (\S+) - ", text):
        found = [path for path in project_dir.glob(f"*/{name}") if "dbt_packages" not in path.parts]
        if len(found) == 1:
            text = text.replace(f": {name} - ", f": {found[0].relative_to(project_dir)} - ")
    return text


def run_dbt(
    args: Sequence[str], *, project_dir: Path, env: Mapping[str, str], timeout_s: float | None = None
) -> DbtOutcome:
    """Run dbt in `project_dir` and return its exit code and output.

    Raises:
        ConfigError: dbt did not finish within `timeout_s` seconds.
        DataError: a signal killed dbt.
    """
    lines: list[str] = []
    try:
        code = follow_dbt(args, project_dir=project_dir, env=env, on_line=lines.append, timeout_s=timeout_s)
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
    started = time.time()
    code = follow(_MODULE, args, cwd=project_dir, env=dbt_env(env, project_dir), on_line=on_line, timeout_s=timeout_s)
    _keep_mark(env, project_dir, started)
    return code


def parsed_for(env: Mapping[str, str], project_dir: Path) -> str | None:
    """Return a mark of the manifest in the target's folder, of the project, and of all settings its files may read.

    None if there is no manifest. Connections are no part of it. The runner keeps the mark of the manifest that it had
    made last: one that plain dbt wrote since, with other `--vars`, settings or of another project, has another.
    """
    path = project_dir / target_folder(env) / "manifest.json"
    if not path.is_file():
        return None
    named = _named_variables(project_dir)
    chosen = {
        name: value
        for name, value in env.items()
        if (name.startswith("HAVEN_") or name in named) and not name.startswith(_NOT_PARSED)
    }
    chosen.setdefault("HAVEN_TARGET", "local")
    text = json.dumps([path.stat().st_mtime_ns, chosen], sort_keys=True).encode()
    project = (project_dir / "dbt_project.yml").read_bytes()
    return hashlib.sha256(text + project).hexdigest()


def _named_variables(project_dir: Path) -> set[str]:
    """Return the environment variables that the project's files name."""
    found: set[bytes] = set()
    for folder, subfolders, files in os.walk(project_dir):
        subfolders[:] = [n for n in subfolders if n not in SKIPPED and not n.startswith(".")]
        for name in files:
            if name.endswith(_READS_ENV):
                found.update(_ENV_VAR.findall(Path(folder, name).read_bytes()))
    return {name.decode() for name in found}


def mark_file(env: Mapping[str, str], project_dir: Path) -> Path:
    """Return where the runner keeps the mark of the manifest that it had made last."""
    return project_dir / target_folder(env) / "haven" / "parsed_for"


def _keep_mark(env: Mapping[str, str], project_dir: Path, started: float) -> None:
    """Keep the mark of the manifest that dbt has written since `started` (seconds since the epoch)."""
    mark = parsed_for(env, project_dir)
    path = mark_file(env, project_dir)
    if mark and (path.parents[1] / "manifest.json").stat().st_mtime >= started:
        path.parent.mkdir(exist_ok=True)
        path.write_text(mark, encoding="utf-8")


def dbt_env(env: Mapping[str, str], project_dir: Path) -> dict[str, str]:
    """Return `env` with the project named, and with all that dbt would tell the outside switched off.

    A project may bring its own profiles.yml; otherwise Haven's own is used, which DBT_PROFILES_DIR names. Variables
    instead of options keep this machine's paths out of dbt's artifacts, and so out of the reports.
    """
    named = {"DBT_PROJECT_DIR": str(project_dir), "DBT_TARGET_PATH": target_folder(env)}
    if (project_dir / "profiles.yml").is_file():
        named["DBT_PROFILES_DIR"] = str(project_dir)
    return {
        # A log of every statement and event takes much of a build's time; `debug` brings it back.
        "DBT_LOG_LEVEL_FILE": "info",
        **env,
        **named,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_VERSION_CHECK": "false",
        "DBT_USE_COLORS": "false",
        "DO_NOT_TRACK": "1",
    }
