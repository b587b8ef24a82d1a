"""Copies folders of dbt packages: into the cache, and into dbt_packages by a swap.

Packages are copied, never linked, and put in place by renaming a finished folder, so a failed or
interrupted install leaves the earlier dbt_packages as it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.errors import ConfigError
from runner.packages.installed import InstalledPackages, write_marker
from runner.packages.project import PackagesProject, read_yaml

WORK_NAME = ".haven_deps"
_PATH_DEFAULTS = {
    "macro-paths": ["macros"],
    "model-paths": ["models"],
    "seed-paths": ["seeds"],
    "snapshot-paths": ["snapshots"],
    "analysis-paths": ["analyses"],
    "test-paths": ["tests"],
}
_CACHEABLE_VERSION = re.compile(r"\d+\.\d+\.\d[\w.+-]*")  # of the hub; not a git branch or a path
_FOLDER_NAME = re.compile(r"\w[\w.-]*")
_PATH_KEYS = ("-path", "-paths", "-targets")
_FILES = ("dbt_project.yml", "packages.yml", "dependencies.yml")
_FILE_STEMS = ("LICENSE", "README", "NOTICE")


@dataclass(frozen=True)
class PackageFolder:
    """A package on disk and the version it is known by."""

    path: Path
    version: str


def default_cache_dir() -> Path:
    """Return `$XDG_CACHE_HOME/haven/dbt_packages`, by default under ~/.cache."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "haven" / "dbt_packages"


@contextlib.contextmanager
def exclusive_workspace(project: PackagesProject) -> Iterator[Path]:
    """Yield the path of a side folder beside dbt_packages (not made yet), under a lock.

    A second process waits for the lock. What a killed process left is put right first: its earlier
    packages go back in place. The side folder bears the process id, for a `dbt deps` that outlives
    a killed process may still write into the old one.
    """
    parent = project.install_path.parent
    parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(parent, os.O_RDONLY)
    side = parent / WORK_NAME
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if (side / "old").is_dir() and not project.install_path.exists():
            (side / "old").rename(project.install_path)
        shutil.rmtree(side, ignore_errors=True)
        yield side / str(os.getpid())
    finally:
        shutil.rmtree(side, ignore_errors=True)
        os.close(handle)


def install_packages(
    project: PackagesProject,
    work: Path,
    packages: dict[str, PackageFolder],
    installed: InstalledPackages,
) -> None:
    """Put copies of the packages in place of dbt_packages and forget dbt's parse caches.

    Raises:
        OSError: a file cannot be written; the earlier dbt_packages is in place then.
    """
    folder = copy_packages(packages, work / "new")
    write_marker(folder, installed)
    # The folder of each target is below the first one's.
    parsed = {path.parent for path in project.target_path.rglob("partial_parse.msgpack")}
    for target in parsed | {project.target_path}:
        for stale in ("partial_parse.msgpack", "manifest.json"):
            (target / stale).unlink(missing_ok=True)
    old = work.parent / "old"
    had_packages = project.install_path.exists()
    if had_packages:
        project.install_path.rename(old)
    try:
        folder.rename(project.install_path)
    except OSError:
        if had_packages:
            old.rename(project.install_path)
        raise


def installed_folders(
    project: PackagesProject, installed: InstalledPackages
) -> dict[str, PackageFolder]:
    """Return the packages in dbt_packages with the versions they were installed as."""
    return {
        name: PackageFolder(project.install_path / name, version)
        for name, version in installed.versions.items()
    }


def copy_packages(packages: dict[str, PackageFolder], target: Path) -> Path:
    """Copy the packages into a new folder, each under its name; return that folder.

    Raises:
        ConfigError: a package reaches out of its own folder; nothing was copied.
    """
    for name, package in packages.items():
        _check_stays_inside(name, package.path)
    target.mkdir(parents=True)
    for name, package in packages.items():
        _copy_package(package.path, target / name)
    return target


def _copy_package(source: Path, target: Path) -> None:
    """Copy what dbt reads of a package: its files at the top and the folders it declares."""
    if source.is_symlink():  # a `local:` package, which dbt links so that edits show at once
        target.symlink_to(source.resolve())
        return
    target.mkdir()
    for file in source.iterdir():
        if file.is_file() and (file.name in _FILES or file.stem.upper() in _FILE_STEMS):
            shutil.copy2(file, target / file.name)
    settings = read_yaml(source / "dbt_project.yml")
    for key, default in _PATH_DEFAULTS.items():
        for folder in settings.get(key) or default:
            if (source / folder).is_dir():
                shutil.copytree(source / folder, target / folder, dirs_exist_ok=True)


def _check_stays_inside(name: str, package: Path) -> None:
    """Refuse a package that would read or write outside of its own folder: it comes from strangers.

    dbt itself follows every `*-paths`, `target-path` and `clean-targets`, and copying follows links.

    Raises:
        ConfigError: its name is no name of a folder, one of its paths is absolute or leads out, or a link does.
    """
    if not _FOLDER_NAME.fullmatch(name):
        raise ConfigError(f"package {name!r} has a name that is no folder's: it is refused")
    if package.is_symlink():
        return  # a `local:` package is linked, not copied
    root = package.resolve()
    settings = read_yaml(package / "dbt_project.yml")
    declared = {key: said for key, said in settings.items() if str(key).endswith(_PATH_KEYS)}
    for key, said in declared.items():
        for part in said if isinstance(said, list) else [said]:
            path = (root / str(part)).resolve()
            # What a template will say is not known here, and dbt reads what it says.
            is_unknown = not isinstance(part, str) or (key in _PATH_DEFAULTS and "{" in part)
            if part is not None and (is_unknown or not path.is_relative_to(root)):
                raise ConfigError(f"package {name}: `{key}: {part}` leads out of it: it is refused")
    copied = [
        folder for key, default in _PATH_DEFAULTS.items() for folder in declared.get(key) or default
    ]
    for path in (
        *package.iterdir(),
        *(found for folder in copied for found in (root / folder).rglob("*")),
    ):
        if path.is_symlink() and (path.is_dir() or not path.resolve().is_relative_to(root)):
            raise ConfigError(
                f"package {name}: {path.name} is a link to a folder or out of it: it is refused"
            )


def fill_cache(cache_dir: Path, packages: dict[str, PackageFolder]) -> None:
    """Keep a copy of each package that the cache lacks. A cache that cannot be written is no error:
    it only makes a later install slower."""
    with contextlib.suppress(OSError):
        for name, package in packages.items():
            target = cache_dir / name / package.version
            if target.exists() or not _CACHEABLE_VERSION.fullmatch(package.version):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as side:
                copy = copy_packages({name: package}, Path(side) / "copy") / name
                # another process may have put the same version there meanwhile
                with contextlib.suppress(OSError):
                    copy.rename(target)


def tree_digest(folder: Path) -> str:
    """Return a hash over the names and contents of all files below the folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
