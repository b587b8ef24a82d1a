"""Elementary's report on the warehouse, made by its command line tool `edr`.

edr runs a dbt project of its own. It is pointed at package copies, a profile and a home folder under
target/haven/edr, so it writes nothing into site-packages, asks no network for packages or new
versions, and counts no usage. Rows are left out of its report: it knows nothing of `meta.pii`.
"""

from __future__ import annotations

import os
import shutil
import site
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from runner.artifacts import Manifest
from runner.artifacts.files import write_whole
from runner.child import ChildTimeoutError, follow, killed_by
from runner.errors import DataError
from runner.packages.project import OFFLINE_SUFFIX, own_identity, read_installed, read_project
from runner.report.docs import error_line
from runner.report.offline import self_contained
from runner.settings import whole_number

_TIMEOUT = "HAVEN_ELEMENTARY_TIMEOUT"
_PACKAGES = ("elementary", "dbt_utils")
_CONFIG = """\
anonymous_usage_tracking: false
disable_elementary_version_check: true
disable_elementary_logo_print: true
run_dbt_deps_if_needed: false
quiet_logs: true
"""
_PROFILE = """\
elementary:
  target: haven
  outputs:
    haven:
      type: postgres
      host: "{{ env_var('HAVEN_WAREHOUSE_HOST') }}"
      port: "{{ env_var('HAVEN_WAREHOUSE_PORT', '5432') | as_number }}"
      user: "{{ env_var('HAVEN_WAREHOUSE_USER') }}"
      password: "{{ env_var('HAVEN_WAREHOUSE_PASSWORD', env_var('DBT_ENV_SECRET_HAVEN_WAREHOUSE_PASSWORD', '')) }}"
      dbname: "{{ env_var('HAVEN_WAREHOUSE_DBNAME') }}"
      sslmode: "{{ env_var('HAVEN_WAREHOUSE_SSLMODE', 'prefer') }}"
      schema: "{{ env_var('HAVEN_EDR_SCHEMA') }}"
      connect_timeout: 10
      threads: 4
"""


def installed_versions(project_dir: Path) -> dict[str, str]:
    """Return name and version of each package in dbt_packages; stand-ins end in OFFLINE_SUFFIX."""
    project = read_project(project_dir)
    if project is None or not project.install_path.is_dir():
        return {}
    found = [
        own_identity(folder)
        for folder in sorted(project.install_path.iterdir())
        if (folder / "dbt_project.yml").is_file()
    ]
    versions = dict(found)
    installed = read_installed(project)
    if installed is not None and installed.variant == "real":
        # Several packages never raise the version in their own dbt_project.yml.
        versions |= {name: installed.versions[name] for name in versions.keys() & installed.versions}
    return versions


def why_not(project_dir: Path, manifest: Manifest) -> str | None:
    """Return in one line why Elementary's report cannot be made, or None if it can."""
    versions = installed_versions(project_dir)
    if "elementary" not in versions:
        return "the dbt package elementary is not installed: name it in packages.yml, run `haven deps`"
    if versions["elementary"].endswith(OFFLINE_SUFFIX):
        return (
            "the offline stand-in of the dbt package elementary is installed: run "
            "`haven deps --upgrade` where the dbt hub can be reached, then `haven run`"
        )
    if "dbt_utils" not in versions or versions["dbt_utils"].endswith(OFFLINE_SUFFIX):
        return "Elementary needs the real dbt package dbt_utils: run `haven deps --upgrade`"
    if find_spec("elementary") is None:
        return "its command line tool is missing: run `make setup`"
    if _schema(manifest) is None:
        return "its models are switched off in dbt_project.yml"
    return None


def write_elementary(
    project_dir: Path, target_dir: Path, path: Path, env: Mapping[str, str], manifest: Manifest
) -> None:
    """Write Elementary's report to `path`; call `why_not` first.

    Raises:
        ConfigError: HAVEN_ELEMENTARY_TIMEOUT is no number.
        DataError: edr failed, or took longer than that allows.
    """
    timeout_s = whole_number(env, _TIMEOUT, 600)
    work = target_dir / "haven" / "edr"
    _prepare(project_dir, work)
    made = work / "report.html"
    made.unlink(missing_ok=True)
    options = {
        "config-dir": work / "home" / ".edr",
        "profiles-dir": work / "profiles",
        "target-path": work / "target",
        "file-path": made,
        "open-browser": "false",
        "disable-samples": "true",
        "project-name": manifest.project_name,
        "env": env.get("HAVEN_TARGET", "local"),
    }
    arguments = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    try:
        with (work / "edr-output.log").open("w+", encoding="utf-8") as output:
            code = follow(
                "elementary.cli.cli",
                ["report", *arguments],
                cwd=work,
                env=edr_env(work, env, schema=_schema(manifest) or ""),
                on_line=lambda line: print(line, file=output, flush=True),
                timeout_s=timeout_s,
            )
            output.seek(0)
            text = output.read()
    except ChildTimeoutError as error:
        raise DataError(
            f"edr did not finish within {timeout_s} s and was stopped: give it more seconds with "
            f"{_TIMEOUT}, then `haven report --only elementary`"
        ) from error
    if code != 0 or not made.is_file():
        reason = killed_by(code) or f"failed: {error_line(text)}"
        raise DataError(f"edr {reason} (see {work / 'edr-output.log'})")
    write_whole(path, self_contained(made.read_text(encoding="utf-8")))


def edr_env(work: Path, env: Mapping[str, str], *, schema: str) -> dict[str, str]:
    """Return the environment for edr: dbt's and edr's own variables are replaced by ours."""
    kept = {
        key: value for key, value in env.items() if not key.startswith(("DBT_", "EDR_")) or key.startswith("DBT_ENV_")
    }
    return {
        **kept,
        # edr looks for its settings in the home folder before it reads --config-dir.
        "HOME": str(work / "home"),
        "USERPROFILE": str(work / "home"),
        "PYTHONUSERBASE": site.getuserbase(),
        "HAVEN_EDR_SCHEMA": schema,
        "DBT_PACKAGES_FOLDER": str(work / "packages"),
        "EDR_INTERNAL_TARGET_PATH": str(work / "dbt_target"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }


def _prepare(project_dir: Path, work: Path) -> None:
    """Fill the work folder: settings, a profile without a password, and copies of two packages."""
    project = read_project(project_dir)
    installed = project.install_path if project else project_dir / "dbt_packages"
    shutil.rmtree(work / "packages", ignore_errors=True)
    for name in _PACKAGES:
        ignored = shutil.ignore_patterns("integration_tests", ".git")
        shutil.copytree(installed / name, work / "packages" / name, ignore=ignored)
    for folder in ("home/.edr", "profiles", "target"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "home" / ".edr" / "config.yml").write_text(_CONFIG, encoding="utf-8")
    (work / "profiles" / "profiles.yml").write_text(_PROFILE, encoding="utf-8")
    # Certificates for the warehouse's TLS are looked up in the home folder.
    certificates, link = Path.home() / ".postgresql", work / "home" / ".postgresql"
    if certificates.is_dir() and not link.exists() and hasattr(os, "symlink"):
        link.symlink_to(certificates)


def _schema(manifest: Manifest) -> str | None:
    """Return the schema of Elementary's tables, as dbt resolved it for this target."""
    for node in manifest.nodes.values():
        if node.package_name == "elementary" and node.resource_type == "model":
            return node.schema
    return None
