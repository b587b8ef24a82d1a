"""Finds the packages a project asks for: in the cache, in a given directory, or in the subset.

A place counts only if it holds all of them and those they need in turn; half a set would fail
later, inside dbt, with an error that does not name the cause.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runner.errors import ConfigError
from runner.packages.project import (
    OFFLINE_SUFFIX,
    PackageRequest,
    PackagesProject,
    is_package,
    own_identity,
    package_requests,
)
from runner.packages.store import PackageFolder

SUBSET_NAME = "offline_packages"


class PackagesUnavailableError(Exception):
    """A place does not hold all packages; the message says why and fits behind a colon."""


def packages_in_cache(
    cache_dir: Path, requests: tuple[PackageRequest, ...]
) -> dict[str, PackageFolder]:
    """Return the cached folders of all requested packages and of those they need in turn.

    Raises:
        PackagesUnavailableError: one is missing, or is not pinned to one version of the hub.
    """

    def look_up(request: PackageRequest) -> PackageFolder | None:
        version = request.version or _newest_cached(cache_dir / request.name, request)
        path = cache_dir / request.name / str(version)
        return PackageFolder(path, str(version)) if is_package(path, request.name) else None

    unpinned = [request.name for request in requests if request.version is None]
    if unpinned:
        raise PackagesUnavailableError(f"packages.yml does not pin {', '.join(unpinned)}")
    return _with_dependencies(requests, look_up)


def packages_in_directory(
    source_dir: Path, requests: tuple[PackageRequest, ...]
) -> dict[str, PackageFolder]:
    """Return the requested packages among the subfolders of a directory, whatever their names.

    A pinned version in packages.yml counts, not the one in the package's dbt_project.yml: dbt_utils
    and dbt_expectations do not keep theirs up to date.

    Raises:
        ConfigError: the directory does not exist or holds the offline subset.
        PackagesUnavailableError: a package is missing.
    """
    if not source_dir.is_dir():
        raise ConfigError(f"there is no folder {source_dir}; --from takes a folder of dbt packages")
    found: dict[str, PackageFolder] = {}
    for folder in sorted(path for path in source_dir.iterdir() if path.is_dir()):
        if (folder / "dbt_project.yml").is_file():
            name, version = own_identity(folder)
            if version.endswith(OFFLINE_SUFFIX):
                raise ConfigError(f"{folder} is the offline subset; install it with --offline")
            found.setdefault(name, PackageFolder(folder, version))

    def look_up(request: PackageRequest) -> PackageFolder | None:
        package = found.get(request.name)
        return package and PackageFolder(package.path, request.version or package.version)

    return _with_dependencies(requests, look_up)


def _with_dependencies(
    requests: tuple[PackageRequest, ...],
    look_up: Callable[[PackageRequest], PackageFolder | None],
) -> dict[str, PackageFolder]:
    """Look up the requests and, in turn, what the packages found ask for and nobody pinned."""
    packages: dict[str, PackageFolder] = {}
    missing: dict[str, str] = {}
    queue = list(requests)
    for request in queue:  # grows while it is walked
        if request.name in packages or request.name in missing:
            continue
        package = look_up(request)
        if package is None:
            missing[request.name] = f"{request.name} {request.version or ''}".strip()
            continue
        packages[request.name] = package
        queue += package_requests(package.path / "packages.yml")
    if missing:
        raise PackagesUnavailableError(f"lacks {', '.join(missing.values())}")
    return packages


def _newest_cached(folder: Path, request: PackageRequest) -> str | None:
    """Return the newest cached version that the request's ranges allow."""
    from dbt_common import semver  # noqa: PLC0415  only needed for packages that nobody pinned

    if not request.ranges or not request.from_hub:
        return None
    cached = [path.name for path in folder.glob("[0-9]*")]
    allowed = semver.reduce_versions(
        *(semver.VersionSpecifier.from_version_string(part) for part in request.ranges)
    )
    return semver.resolve_to_specific_version(allowed, cached)


def subset_folder(project: PackagesProject) -> Path:
    """Return the folder of the offline subset: the project's own, else the one beside this code."""
    own = project.root / SUBSET_NAME
    return own if own.is_dir() else Path(__file__).resolve().parents[2] / SUBSET_NAME


def packages_in_subset(project: PackagesProject) -> dict[str, PackageFolder]:
    """Return the subset's folders of the requested packages.

    Raises:
        PackagesUnavailableError: the subset has no stand-in for a package.
    """
    folder = subset_folder(project)
    missing = [r.name for r in project.requests if not is_package(folder / r.name, r.name)]
    if missing:
        raise PackagesUnavailableError(f"lacks {', '.join(missing)}")
    return {
        request.name: PackageFolder(path, own_identity(path)[1])
        for request in project.requests
        for path in [folder / request.name]
    }
