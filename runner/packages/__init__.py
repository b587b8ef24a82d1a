"""Installs the dbt packages a project asks for, from the best place there is, and says which it was.

In this order: what is installed already, the dbt hub, the package cache, the offline subset. Once the subset is in,
the hub is asked again only by `upgrade`: a machine without the hub must not pay for the attempt at every run. The cache
is looked at every time, so a subset that was merely all there was gives way as soon as the cache is filled.

Packages are copied and put in place by renaming a finished folder, so an install that fails or is killed leaves the
earlier dbt_packages as it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from runner.errors import ConfigError
from runner.packages.places import (
    FoundPackages,
    PackagesUnavailableError,
    copy_package,
    default_cache_dir,
    fill_cache,
    hub_url,
    packages_from_hub,
    packages_in_cache,
    packages_in_directory,
)
from runner.packages.project import (
    MARKER,
    OFFLINE_SUFFIX,
    InstalledPackages,
    PackagesProject,
    Source,
    is_package,
    own_identity,
    read_installed,
    read_project,
    write_marker,
)

_SUBSET, _WORK = "offline_packages", ".haven_deps"


def ensure_packages(
    project_dir: Path,
    *,
    offline: bool = False,
    source_dir: Path | None = None,
    upgrade: bool = False,
    cache_dir: Path | None = None,
    hub_timeout_s: float = 20.0,
    say: Callable[[str], None] = lambda _: None,
) -> InstalledPackages:
    """Install the project's dbt packages unless they are installed; say which were used and why.

    `offline` installs the subset, `source_dir` the unpacked packages in its subfolders; `upgrade` asks the hub and the
    cache again although packages are installed. `hub_timeout_s` is how many seconds `dbt deps` may take; `say` is told
    before. Writes dbt_packages and the cache, and removes dbt's parse caches when the packages change.

    Raises ConfigError if the project or its packages.yml is malformed, `source_dir` lacks a package, a package reaches
    out of its folder, no place has the packages, or dbt_packages cannot be written.
    """
    project = read_project(project_dir)
    if project is None:
        return InstalledPackages("none", "none", {}, "dbt packages: the project names none")
    try:
        with _exclusive_workspace(project) as work:
            old = read_installed(project)
            job = _Job(project, cache_dir or default_cache_dir(), work, old)
            if offline:
                return _use_subset(job, "asked for with --offline", chosen=True)
            if source_dir is not None:
                found = packages_in_directory(source_dir, project.requests)
                return _use(job, "directory", found, f"from {source_dir}")
            return _keep(job, old) if old and not upgrade else _fetch(job, hub_timeout_s, say)
    except OSError as error:
        raise ConfigError(f"cannot install dbt packages: {error}") from error


@dataclass(frozen=True)
class _Job:
    """One call's project and cache, the side folder it may work in, and what is installed so far."""

    project: PackagesProject
    cache: Path
    work: Path
    old: InstalledPackages | None


def _fetch(job: _Job, hub_timeout_s: float, say: Callable[[str], None]) -> InstalledPackages:
    """Install from the first place that has all packages; without the hub, real ones stay."""
    hub = hub_url()
    say(f"Fetching dbt packages from {hub} (at most {hub_timeout_s:g} s)")
    try:
        found = packages_from_hub(hub, job.project, job.work, hub_timeout_s)
        return _use(job, "hub", found, f"from the hub {hub}")
    except PackagesUnavailableError as error:
        refused = f"hub: {error}"
    if job.old is not None and job.old.variant == "real":
        return _kept(job.old, f"kept those installed; {refused}")
    try:
        found = packages_in_cache(job.cache, job.project.requests)
        return _use(job, "cache", found, f"from the cache {job.cache}; {refused}")
    except PackagesUnavailableError as error:
        return _use_subset(job, f"{refused}; cache {job.cache}: {error}")


def _keep(job: _Job, old: InstalledPackages) -> InstalledPackages:
    """Keep what is installed; the cache may have better by now than a subset that nobody asked for."""
    place = job.project.install_path
    if old.variant == "real":
        if not (place / MARKER).is_file():
            write_marker(place, old)
            fill_cache(job.cache, {name: (place / name, v) for name, v in old.versions.items()})
        return _kept(old, f"already installed, from {old.source}")
    if not old.chosen:
        with contextlib.suppress(PackagesUnavailableError):
            found = packages_in_cache(job.cache, job.project.requests)
            return _use(job, "cache", found, f"from the cache {job.cache}, filled since")
    why = "asked for with --offline" if old.chosen else "nothing else was there"
    return _use_subset(job, f"{why}; to ask the hub: haven deps --upgrade", chosen=old.chosen)


def _use(job: _Job, source: Source, found: FoundPackages, because: str) -> InstalledPackages:
    """Install real packages, and keep them in the cache."""
    fill_cache(job.cache, found)
    new = InstalledPackages(source, "real", {}, "", digest=job.project.digest)
    return _swap(job, found, because, new)


def _use_subset(job: _Job, because: str, *, chosen: bool = False) -> InstalledPackages:
    """Install the offline subset, the project's own or the one beside this code, unless it is there."""
    project, old = job.project, job.old
    folder = project.root / _SUBSET
    if not folder.is_dir():
        folder = Path(__file__).resolve().parents[2] / _SUBSET
    if missing := [name for name in project.requests if not is_package(folder / name, name)]:
        lacks = f"offline subset: lacks {', '.join(missing)}"
        raise ConfigError(f"no dbt packages: {because}; {lacks}")
    found = {name: (folder / name, own_identity(folder / name)[1]) for name in project.requests}
    because = f"offline subset, Elementary does not run; {because}"
    digest = f"{project.digest}:{_digest(folder)}"
    if old is not None and old.digest == digest:
        if old.chosen != chosen:
            write_marker(project.install_path, replace(old, chosen=chosen))
        return _kept(old, because)
    new = InstalledPackages("offline", "offline", {}, "", digest=digest, chosen=chosen)
    return _swap(job, found, because, new)


def _swap(job: _Job, found: FoundPackages, because: str, installed: InstalledPackages) -> InstalledPackages:
    """Put copies of the packages in place of dbt_packages, and forget what dbt has parsed."""
    new, old, place = job.work / "new", job.work.parent / "old", job.project.install_path
    for name, (path, _) in found.items():
        copy_package(name, path, new / name)
    versions = {name: version for name, (_, version) in found.items()}
    installed = replace(installed, versions=versions)
    write_marker(new, installed)
    # The folder of each target is below the first one's.
    target = job.project.root / (os.environ.get("DBT_TARGET_PATH") or "target")
    for folder in {path.parent for path in target.rglob("partial_parse.msgpack")} | {target}:
        for stale in ("partial_parse.msgpack", "manifest.json"):
            (folder / stale).unlink(missing_ok=True)
    if place.exists():
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise
    return replace(installed, reason=_line(versions, because), changed=True)


def _kept(installed: InstalledPackages, because: str) -> InstalledPackages:
    return replace(installed, source="installed", reason=_line(installed.versions, because))


def _line(versions: dict[str, str], because: str) -> str:
    named = (f"{n} {v.removesuffix(OFFLINE_SUFFIX)}".strip() for n, v in sorted(versions.items()))
    return f"dbt packages: {because} ({', '.join(named)})"


@contextlib.contextmanager
def _exclusive_workspace(project: PackagesProject) -> Iterator[Path]:
    """Yield the path of a side folder beside dbt_packages (not made yet), under a lock that a second process waits for.

    What a killed process left is put right first: its earlier packages go back in place. The side folder bears the
    process id, for a `dbt deps` that outlives a killed process may still write into the old one.
    """
    side = project.install_path.parent / _WORK
    side.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(side.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if (side / "old").is_dir() and not project.install_path.exists():
            (side / "old").rename(project.install_path)
        shutil.rmtree(side, ignore_errors=True)
        yield side / str(os.getpid())
    finally:
        shutil.rmtree(side, ignore_errors=True)
        os.close(handle)


def _digest(folder: Path) -> str:
    """Return a hash over the names and contents of all files below the folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
