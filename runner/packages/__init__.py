"""Sees to it that the dbt packages a project asks for are installed, from the best place there is.

In this order: what is installed already, the dbt hub, the package cache, the offline subset. Once
the subset is in, the hub is asked again only by `upgrade`: a machine without the hub must not pay
for the attempt at every run. The cache is looked at every time, so a subset that was merely all
there was gives way as soon as the cache is filled; one that was asked for stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from runner.errors import ConfigError
from runner.packages.find import (
    PackagesUnavailableError,
    packages_in_cache,
    packages_in_directory,
    packages_in_subset,
    subset_folder,
)
from runner.packages.hub import hub_url, packages_from_hub
from runner.packages.installed import (
    MARKER_NAME,
    InstalledPackages,
    Variant,
    read_installed,
    write_marker,
)
from runner.packages.project import OFFLINE_SUFFIX, PackagesProject, read_project
from runner.packages.store import (
    PackageFolder,
    default_cache_dir,
    exclusive_workspace,
    fill_cache,
    install_packages,
    installed_folders,
    tree_digest,
)

Source = Literal["installed", "hub", "cache", "directory", "offline", "none"]


@dataclass(frozen=True)
class PackagesOutcome:
    """Which packages are in place now; `reason` is one line for the user: what, from where, why."""

    source: Source
    variant: Variant
    versions: dict[str, str]
    reason: str
    changed: bool


@dataclass(frozen=True)
class _Job:
    """One call's settings, and the side folder it may work in."""

    project: PackagesProject
    cache_dir: Path
    hub_timeout_s: float
    work: Path
    say: Callable[[str], None]


def ensure_packages(
    project_dir: Path,
    *,
    offline: bool = False,
    source_dir: Path | None = None,
    upgrade: bool = False,
    cache_dir: Path | None = None,
    hub_timeout_s: float = 20.0,
    say: Callable[[str], None] = lambda _: None,
) -> PackagesOutcome:
    """Install the project's dbt packages unless they are installed; say which were used and why.

    Writes dbt_packages and the cache, and removes dbt's parse caches when the packages change.

    Args:
        offline: install the offline subset, and stay with it until `upgrade` or `source_dir`.
        source_dir: install the unpacked packages in the subfolders of this directory.
        upgrade: ask the hub and the cache again although packages are installed.
        cache_dir: the package cache; by default `default_cache_dir()`.
        hub_timeout_s: seconds that `dbt deps` may take.
        say: told about the one step that can take seconds.

    Raises:
        ConfigError: the project or its packages.yml is malformed, `source_dir` lacks a package, no
            place has the packages, or dbt_packages cannot be written.
    """
    project = read_project(project_dir)
    if project is None:
        return PackagesOutcome("none", "none", {}, "dbt packages: the project names none", False)
    try:
        with exclusive_workspace(project) as work:
            cache = cache_dir or default_cache_dir()
            job = _Job(project, cache, hub_timeout_s, work, say)
            if offline:
                return _use_subset(job, "asked for with --offline", chosen=True)
            if source_dir is not None:
                return _use_directory(job, source_dir)
            return _use_best(job, upgrade=upgrade)
    except OSError as error:
        raise ConfigError(f"cannot install dbt packages: {error}") from error


def _use_best(job: _Job, *, upgrade: bool) -> PackagesOutcome:
    installed = read_installed(job.project)
    if installed is not None and not upgrade:
        return _use_installed(job, installed)
    refused = []
    try:
        job.say(f"Fetching dbt packages from {hub_url()} (at most {job.hub_timeout_s:g} s)")
        found = packages_from_hub(job.project, job.work, timeout_s=job.hub_timeout_s)
        return _use_real(job, "hub", found, f"from the hub {hub_url()}")
    except PackagesUnavailableError as error:
        refused.append(f"hub: {error}")
    if installed is not None and installed.variant == "real":
        return _keep(installed, f"kept those installed; {refused[0]}")
    try:
        found = packages_in_cache(job.cache_dir, job.project.requests)
        return _use_real(job, "cache", found, f"from the cache {job.cache_dir}; {refused[0]}")
    except PackagesUnavailableError as error:
        refused.append(f"cache {job.cache_dir}: {error}")
    return _use_subset(job, "; ".join(refused), chosen=False)


def _use_installed(job: _Job, installed: InstalledPackages) -> PackagesOutcome:
    if installed.variant == "real":
        if not (job.project.install_path / MARKER_NAME).is_file():
            write_marker(job.project.install_path, installed)
            fill_cache(job.cache_dir, installed_folders(job.project, installed))
        return _keep(installed, f"already installed, from {installed.source}")
    if not installed.chosen:
        try:
            found = packages_in_cache(job.cache_dir, job.project.requests)
            return _use_real(job, "cache", found, f"from the cache {job.cache_dir}, filled since")
        except PackagesUnavailableError:
            pass  # still nothing better than the subset
    why = "asked for with --offline" if installed.chosen else "nothing else was there"
    return _use_subset(job, f"{why}; to ask the hub: haven deps --upgrade", chosen=installed.chosen)


def _use_directory(job: _Job, source_dir: Path) -> PackagesOutcome:
    try:
        found = packages_in_directory(source_dir, job.project.requests)
    except PackagesUnavailableError as error:
        raise ConfigError(f"--from {source_dir}: {error}") from error
    return _use_real(job, "directory", found, f"from {source_dir}")


def _use_real(
    job: _Job, source: Source, found: dict[str, PackageFolder], because: str
) -> PackagesOutcome:
    versions = {name: package.version for name, package in found.items()}
    fill_cache(job.cache_dir, found)
    installed = InstalledPackages(source, "real", versions, job.project.digest)
    install_packages(job.project, job.work, found, installed)
    return PackagesOutcome(source, "real", versions, _line(versions, because), True)


def _use_subset(job: _Job, because: str, *, chosen: bool) -> PackagesOutcome:
    try:
        found = packages_in_subset(job.project)
    except PackagesUnavailableError as error:
        raise ConfigError(f"no dbt packages: {because}; offline subset: {error}") from error
    versions = {name: package.version for name, package in found.items()}
    digest = tree_digest(subset_folder(job.project))
    wanted = InstalledPackages("offline", "offline", versions, job.project.digest, digest, chosen)
    installed = read_installed(job.project)
    is_there = installed is not None and replace(installed, chosen=chosen) == wanted
    if not is_there:
        install_packages(job.project, job.work, found, wanted)
    elif installed != wanted:
        write_marker(job.project.install_path, wanted)
    return PackagesOutcome(
        "installed" if is_there else "offline",
        "offline",
        versions,
        _line(versions, f"offline subset, Elementary does not run; {because}"),
        not is_there,
    )


def _keep(installed: InstalledPackages, because: str) -> PackagesOutcome:
    line = _line(installed.versions, because)
    return PackagesOutcome("installed", installed.variant, installed.versions, line, False)


def _line(versions: dict[str, str], because: str) -> str:
    listed = ", ".join(
        f"{name} {version.removesuffix(OFFLINE_SUFFIX)}".strip()
        for name, version in sorted(versions.items())
    )
    return f"dbt packages: {because} ({listed})"
