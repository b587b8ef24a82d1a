"""Tells what a project's dbt_packages folder holds, without starting dbt.

A marker file in dbt_packages says which packages are there and where they came from. Folders filled
by plain `dbt deps` have no marker; they are recognised by the package-lock.yml that dbt writes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from runner.packages.project import (
    OFFLINE_SUFFIX,
    PackagesProject,
    is_package,
    own_identity,
    read_yaml,
)

MARKER_NAME = ".haven.json"

Variant = Literal["real", "offline", "none"]


@dataclass(frozen=True)
class InstalledPackages:
    """The marker file: what was installed, from where, and for which packages.yml.

    `chosen` tells a subset that the user asked for from one that was merely all there was.
    """

    source: str
    variant: Variant
    versions: dict[str, str]
    digest: str
    subset_digest: str = ""
    chosen: bool = False


def read_installed(project: PackagesProject) -> InstalledPackages | None:
    """Return what is installed if it is whole and answers the present packages.yml, else None."""
    marker = project.install_path / MARKER_NAME
    if marker.is_file():
        try:
            installed = InstalledPackages(**json.loads(marker.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            return None  # a damaged marker proves nothing: install again
    else:
        installed_by_dbt = _installed_by_dbt(project)
        if installed_by_dbt is None:
            return None
        installed = installed_by_dbt
    whole = all(is_package(project.install_path / name, name) for name in installed.versions)
    return installed if whole and installed.digest == project.digest else None


def write_marker(folder: Path, installed: InstalledPackages) -> None:
    """Write the marker file into a folder of packages, whole or not at all."""
    side = folder / f"{MARKER_NAME}.new"
    side.write_text(json.dumps(asdict(installed), indent=2) + "\n", encoding="utf-8")
    side.replace(folder / MARKER_NAME)


def _installed_by_dbt(project: PackagesProject) -> InstalledPackages | None:
    """Return what plain `dbt deps` installed if its lock satisfies every pin of packages.yml."""
    lock_file = project.root / "package-lock.yml"
    if not (lock_file.is_file() and project.install_path.is_dir()):
        return None
    versions = locked_versions(lock_file)
    for request in project.requests:
        if request.name not in versions or request.version not in (None, versions[request.name]):
            return None
    folders = [project.install_path / name for name in versions]
    if any(not (folder / "dbt_project.yml").is_file() for folder in folders):
        return None
    if any(own_identity(folder)[1].endswith(OFFLINE_SUFFIX) for folder in folders):
        return None
    return InstalledPackages("dbt deps", "real", versions, project.digest)


def locked_versions(lock_file: Path) -> dict[str, str]:
    """Return name and version (or git revision) of each package in dbt's package-lock.yml."""
    return {
        request["name"]: str(request.get("version") or request.get("revision") or "")
        for request in read_yaml(lock_file).get("packages") or []
        if isinstance(request, dict) and "name" in request
    }
