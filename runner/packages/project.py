"""Reads what a dbt project asks for in packages.yml, what it has installed, and what a package says of itself."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from runner.errors import ConfigError

OFFLINE_SUFFIX = "+haven.offline"
MARKER = ".haven.json"
Variant = Literal["real", "offline", "none"]
Source = Literal["installed", "hub", "cache", "directory", "offline", "dbt deps", "none"]
# Requests by name: the versions of the hub that packages.yml allows; none for a package from elsewhere.
Requests = Mapping[str, tuple[str, ...]]

# One version of the hub; not a range, a git branch or a path.
VERSION = re.compile(r"=?(\d+\.\d+\.\d[\w.+-]*)")
_KINDS = ("package", "git", "local", "tarball", "private")


@dataclass(frozen=True)
class PackagesProject:
    """A dbt project as far as its packages are concerned; all paths are absolute."""

    root: Path
    requests: Requests
    requests_file: Path
    digest: str
    install_path: Path


@dataclass(frozen=True)
class InstalledPackages:
    """The packages in place, as the marker file in dbt_packages keeps them; `reason` is one line for the user.

    `digest` says for which packages.yml, and of which subset. `chosen` tells a subset that was asked for from one that
    was all there was.
    """

    source: Source
    variant: Variant
    versions: dict[str, str]
    reason: str
    changed: bool = False
    digest: str = ""
    chosen: bool = False


def read_project(project_dir: Path) -> PackagesProject | None:
    """Return what the project asks for, or None if it asks for no packages.

    Raises ConfigError if there is no such folder, or one of its files cannot be read.
    """
    root = project_dir.resolve()
    if not root.is_dir():
        raise ConfigError(f"there is no folder {project_dir}; give --project-dir a dbt project")
    folder = read_yaml(root / "dbt_project.yml").get("packages-install-path", "dbt_packages")
    for file in (root / "packages.yml", root / "dependencies.yml"):
        if requests := package_requests(file):
            # Of what is asked for, so that a comment or a blank line changes nothing.
            text = json.dumps(read_yaml(file)["packages"], sort_keys=True, default=str)
            digest = hashlib.sha256(text.encode()).hexdigest()
            return PackagesProject(root, requests, file, digest, root / str(folder))
    return None


def package_requests(path: Path) -> Requests:
    """Return the packages that a packages.yml or dependencies.yml names; none if there is no such file.

    Raises ConfigError if the file or an entry of it is malformed.
    """
    entries = read_yaml(path).get("packages") or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"`packages` in {path} must be a list of mappings")
    requests = {}
    for entry in entries:
        kind = next((kind for kind in _KINDS if kind in entry), None)
        if kind is None:
            raise ConfigError(f"an entry of `packages` in {path} names no package: {entry}")
        name = str(entry.get("name") or str(entry[kind]).rstrip("/").split("/")[-1])
        said = listed(entry.get("version")) if kind == "package" else []
        requests[name.removesuffix(".git")] = tuple(str(version) for version in said)
    return requests


def pin(versions: tuple[str, ...]) -> str | None:
    """Return the version that a request allows, if it is just one."""
    exact = VERSION.fullmatch(versions[0]) if len(versions) == 1 else None
    return exact and exact[1]


def read_installed(project: PackagesProject) -> InstalledPackages | None:
    """Return what is installed if it is whole and answers the present packages.yml, else None. Starts no dbt."""
    installed: InstalledPackages | None
    try:
        marker = (project.install_path / MARKER).read_text(encoding="utf-8")
        installed = InstalledPackages(**json.loads(marker))
    except OSError:
        installed = _installed_by_dbt(project)
    except (ValueError, TypeError):
        return None  # a damaged marker proves nothing: install again
    if installed is None or installed.digest.partition(":")[0] != project.digest:
        return None
    whole = all(is_package(project.install_path / name, name) for name in installed.versions)
    return installed if whole else None


def _installed_by_dbt(project: PackagesProject) -> InstalledPackages | None:
    """Return what plain `dbt deps` installed, if the lock that it writes satisfies every pin of packages.yml."""
    locked = locked_versions(project.root / "package-lock.yml")
    if any(pin(asked) not in (None, locked.get(name)) for name, asked in project.requests.items()):
        return None
    own = [own_identity(project.install_path / name)[1] for name in locked]
    if not locked.keys() >= project.requests.keys() or any(v.endswith(OFFLINE_SUFFIX) for v in own):
        return None
    return InstalledPackages("dbt deps", "real", locked, "", digest=project.digest)


def locked_versions(lock_file: Path) -> dict[str, str]:
    """Return name and version (or git revision) of each package in dbt's package-lock.yml."""
    return {
        entry["name"]: str(entry.get("version") or entry.get("revision") or "")
        for entry in read_yaml(lock_file).get("packages") or []
        if isinstance(entry, dict) and "name" in entry
    }


def write_marker(folder: Path, installed: InstalledPackages) -> None:
    side = folder / f"{MARKER}.new"
    side.write_text(json.dumps(asdict(installed), indent=2) + "\n", encoding="utf-8")
    side.replace(folder / MARKER)


def own_identity(folder: Path) -> tuple[str, str]:
    """Return the name and version in a package's dbt_project.yml. Raises ConfigError if that is no YAML."""
    settings = read_yaml(folder / "dbt_project.yml")
    return str(settings.get("name", "")), str(settings.get("version", ""))


def is_package(folder: Path, name: str) -> bool:
    """Return whether the folder holds the dbt package of that name, fit to be read by dbt."""
    with contextlib.suppress(ConfigError):
        return (folder / "dbt_project.yml").is_file() and own_identity(folder)[0] == name
    return False


def read_yaml(path: Path) -> dict[str, Any]:
    """Return a YAML file's top-level mapping; an empty one without a file. Raises ConfigError if it is no YAML."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(data or {}, dict):
        raise ConfigError(f"{path} must hold a mapping, not a {type(data).__name__}")
    return data or {}


def listed(said: object) -> list[Any]:
    """Return an entry of a YAML file that may be one value or a list of them as a list."""
    return [] if said is None else said if isinstance(said, list) else [said]
