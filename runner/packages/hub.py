"""Fetches dbt packages from the hub with `dbt deps`, in a project of its own beside dbt_packages.

`dbt deps` first removes what is installed and only then downloads; run in the real project, a hub
that fails half way would leave nothing.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import yaml

from runner.dbt import run_dbt
from runner.errors import ConfigError
from runner.packages.find import PackagesUnavailableError
from runner.packages.installed import locked_versions
from runner.packages.project import PackagesProject, is_package, read_yaml
from runner.packages.store import PackageFolder

# dbt retries an unreachable hub for several seconds; one short question first spares that wait.
_PROBE_TIMEOUT_S = 5.0
_LOG_PREFIX = re.compile(r"^\d\d:\d\d:\d\d\s+")


def hub_url() -> str:
    """Return the hub's address: DBT_PACKAGE_HUB_URL, else the one dbt itself would ask."""
    if chosen := os.environ.get("DBT_PACKAGE_HUB_URL"):
        return chosen
    from dbt.clients import registry  # noqa: PLC0415 (half a second, and only needed for the hub)

    return str(registry.DEFAULT_REGISTRY_BASE_URL)


def packages_from_hub(
    project: PackagesProject, work: Path, *, timeout_s: float
) -> dict[str, PackageFolder]:
    """Download all packages below `work`; the project itself gets only its package-lock.yml.

    Raises:
        PackagesUnavailableError: the hub does not answer, lacks a package, or takes longer than
            `timeout_s` seconds.
    """
    _probe(hub_url(), timeout_s=min(timeout_s, _PROBE_TIMEOUT_S))
    side = work / "project"
    side.mkdir(parents=True)
    (side / "dbt_project.yml").write_text("name: haven_deps\nversion: 1.0.0\n", encoding="utf-8")
    has_local = _copy_requests(project, side)
    environment = {
        **os.environ,
        "DBT_DOWNLOADS_DIR": str(work / "downloads"),
        "DBT_LOG_PATH": str(work / "logs"),
        "DBT_TARGET_PATH": str(work / "target"),
        "DBT_PROFILES_DIR": str(side),
        "DBT_USE_COLORS": "false",
    }
    try:
        done = run_dbt(["deps"], project_dir=side, env=environment, timeout_s=timeout_s)
    except ConfigError as error:
        raise PackagesUnavailableError(
            f"`dbt deps` took more than {timeout_s:g} s (see --hub-timeout)"
        ) from error
    if done.returncode != 0:
        raise PackagesUnavailableError(_failure(done.output))
    versions = locked_versions(side / "package-lock.yml")
    broken = [n for n in versions if not is_package(side / "dbt_packages" / n, n)]
    if broken or not versions:
        raise PackagesUnavailableError(f"`dbt deps` left {', '.join(broken) or 'packages'} out")
    if not has_local:
        shutil.copyfile(side / "package-lock.yml", project.root / "package-lock.yml")
    return {n: PackageFolder(side / "dbt_packages" / n, v) for n, v in versions.items()}


def _probe(url: str, *, timeout_s: float) -> None:
    import requests  # noqa: PLC0415  slow, and rarely needed

    try:
        with requests.get(f"{url}api/v1/index.json", timeout=timeout_s, stream=True) as answer:
            status = answer.status_code
    except requests.Timeout as error:
        raise PackagesUnavailableError(f"{url} does not answer within {timeout_s:g} s") from error
    except requests.RequestException as error:
        raise PackagesUnavailableError(f"{url} cannot be reached") from error
    if status != requests.codes.ok:
        raise PackagesUnavailableError(f"{url} answers with status {status}")


def _copy_requests(project: PackagesProject, side: Path) -> bool:
    """Copy the request files; return whether they name local packages (their paths are mended)."""
    content = read_yaml(project.requests_file)
    has_local = False
    for entry in content["packages"]:
        if "local" in entry:
            entry["local"] = str((project.root / entry["local"]).resolve())
            has_local = True
    if has_local:
        text = yaml.safe_dump(content, sort_keys=False)
        (side / project.requests_file.name).write_text(text, encoding="utf-8")
        return True
    shutil.copyfile(project.requests_file, side / project.requests_file.name)
    lock_file = project.root / "package-lock.yml"
    if lock_file.is_file():
        shutil.copyfile(lock_file, side / "package-lock.yml")
    return False


def _failure(output: str) -> str:
    """Return the last lines of dbt's output as one short sentence."""
    lines = [_LOG_PREFIX.sub("", line).strip() for line in output.splitlines()]
    told = [line for line in lines if line][-2:]
    return f"`dbt deps` failed: {' '.join(told)[-300:]}"
