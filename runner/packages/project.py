"""Reads what a dbt project asks for in packages.yml, and what a package says of itself."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from runner.errors import ConfigError

OFFLINE_SUFFIX = "+haven.offline"
_EXACT_VERSION = re.compile(r"=?(\d+\.\d+\.\d+[0-9A-Za-z.+-]*)")


@dataclass(frozen=True)
class PackageRequest:
    """One entry of packages.yml; `version` is set only if it is pinned to one hub version."""

    name: str
    version: str | None
    ranges: tuple[str, ...]
    from_hub: bool


@dataclass(frozen=True)
class PackagesProject:
    """A dbt project as far as its packages are concerned; all paths are absolute."""

    root: Path
    requests: tuple[PackageRequest, ...]
    requests_file: Path
    digest: str
    install_path: Path
    target_path: Path


def read_yaml(path: Path) -> dict[str, Any]:
    """Return a YAML file's top-level mapping; an empty file is an empty mapping.

    Raises:
        ConfigError: the file is not YAML or its top level is not a mapping.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {str(error).splitlines()[0]}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must hold a mapping, not a {type(data).__name__}")
    return data


def read_project(project_dir: Path) -> PackagesProject | None:
    """Return what the project asks for, or None if it asks for no packages.

    Raises:
        ConfigError: there is no such folder, or one of its files cannot be read.
    """
    root = project_dir.resolve()
    if not root.is_dir():
        raise ConfigError(f"there is no folder {project_dir}; give --project-dir a dbt project")
    project_file = root / "dbt_project.yml"
    settings = read_yaml(project_file) if project_file.is_file() else {}
    for requests_file in (root / "packages.yml", root / "dependencies.yml"):
        requests = package_requests(requests_file)
        if requests:
            return PackagesProject(
                root=root,
                requests=requests,
                requests_file=requests_file,
                # of what is asked for, so that a comment or a blank line changes nothing
                digest=_digest(read_yaml(requests_file)["packages"]),
                install_path=root / str(settings.get("packages-install-path", "dbt_packages")),
                target_path=root / (os.environ.get("DBT_TARGET_PATH") or "target"),
            )
    return None


def _digest(entries: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(entries, sort_keys=True, default=str).encode()).hexdigest()


def package_requests(path: Path) -> tuple[PackageRequest, ...]:
    """Return the packages a packages.yml or dependencies.yml names; none if there is no file.

    Raises:
        ConfigError: the file or an entry of it is malformed.
    """
    entries = read_yaml(path).get("packages") or [] if path.is_file() else []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"`packages` in {path} must be a list of mappings")
    return tuple(_request(entry, path) for entry in entries)


def _request(entry: dict[str, Any], path: Path) -> PackageRequest:
    kind = next((k for k in ("package", "git", "local", "tarball", "private") if k in entry), None)
    if kind is None:
        raise ConfigError(f"an entry of `packages` in {path} names no package: {entry}")
    name = str(entry.get("name") or str(entry[kind]).rstrip("/").split("/")[-1])
    version = entry.get("version")
    ranges = tuple(str(part) for part in (version if isinstance(version, list) else [version]))
    exact = _EXACT_VERSION.fullmatch(ranges[0]) if len(ranges) == 1 else None
    is_hub = kind == "package"
    return PackageRequest(
        name=name.removesuffix(".git"),
        version=exact.group(1) if exact and is_hub else None,
        ranges=ranges if version is not None else (),
        from_hub=is_hub,
    )


def is_package(folder: Path, name: str) -> bool:
    """Return whether the folder holds the dbt package of that name, fit to be read by dbt."""
    try:
        return (folder / "dbt_project.yml").is_file() and own_identity(folder)[0] == name
    except ConfigError:
        return False


def own_identity(folder: Path) -> tuple[str, str]:
    """Return the name and version in a package's dbt_project.yml.

    Raises:
        ConfigError: the file is not valid YAML.
    """
    settings = read_yaml(folder / "dbt_project.yml")
    return str(settings.get("name", "")), str(settings.get("version", ""))
