"""Finds packages on the hub, in the cache and in a given folder, and copies them.

A place counts only if it holds all packages and those they need in turn; half a set would fail later, inside dbt.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml

from runner.dbt import dbt_message, run_dbt
from runner.errors import ConfigError
from runner.packages.project import (
    OFFLINE_SUFFIX,
    VERSION,
    PackagesProject,
    Requests,
    is_package,
    listed,
    locked_versions,
    own_identity,
    package_requests,
    pin,
    read_yaml,
)

# Packages by name: where each lies, and the version it is known by.
FoundPackages = dict[str, tuple[Path, str]]

# dbt retries an unreachable hub for several seconds; one short question first spares that wait.
_PROBE_TIMEOUT_S = 5.0
_NAME = re.compile(r"\w[\w.-]*")
# The folders that dbt reads of a package.
_FOLDERS = {
    "macro-paths": "macros", "model-paths": "models", "seed-paths": "seeds", "snapshot-paths": "snapshots",
    "analysis-paths": "analyses", "test-paths": "tests",
}  # fmt: skip


class PackagesUnavailableError(Exception):
    """A place does not hold all packages; the message says why and fits behind a colon."""


def packages_from_hub(hub: str, project: PackagesProject, work: Path, timeout_s: float) -> FoundPackages:
    """Download all packages below `work`; the project itself gets only its package-lock.yml.

    In a project of its own: `dbt deps` first removes what is installed, and a hub may fail half way.

    Raises PackagesUnavailableError if the hub does not answer, lacks a package, or takes longer than `timeout_s`.
    """
    _probe(hub, min(timeout_s, _PROBE_TIMEOUT_S))
    side, lock = work / "project", project.root / "package-lock.yml"
    side.mkdir(parents=True)
    (side / "dbt_project.yml").write_text("name: haven_deps\nversion: 1.0.0\n", encoding="utf-8")
    content = read_yaml(project.requests_file)
    local = [entry for entry in content["packages"] if "local" in entry]
    for entry in local:
        entry["local"] = str((project.root / entry["local"]).resolve())
    (side / project.requests_file.name).write_text(yaml.safe_dump(content), encoding="utf-8")
    if lock.is_file() and not local:
        shutil.copy(lock, side)
    folders = {
        "DBT_DOWNLOADS_DIR": "downloads", "DBT_LOG_PATH": "logs", "DBT_TARGET_PATH": "target",
        "DBT_PROFILES_DIR": "project",
    }  # fmt: skip
    env = {**os.environ, **{name: str(work / folder) for name, folder in folders.items()}}
    try:
        done = run_dbt(["deps"], project_dir=side, env=env, timeout_s=timeout_s)
    except ConfigError as error:
        why = f"`dbt deps` took more than {timeout_s:g} s (see --hub-timeout)"
        raise PackagesUnavailableError(why) from error
    if done.returncode != 0:
        said = " ".join(dbt_message(done.output, side).split())
        raise PackagesUnavailableError(f"`dbt deps` failed: {said[-300:]}")
    versions = locked_versions(side / "package-lock.yml")
    found = {name: (side / "dbt_packages" / name, version) for name, version in versions.items()}
    broken = [name for name, (path, _) in found.items() if not is_package(path, name)]
    if broken or not found:
        raise PackagesUnavailableError(f"`dbt deps` left {', '.join(broken) or 'packages'} out")
    if not local:  # it would hold a path of this machine
        shutil.copy(side / "package-lock.yml", lock)
    return found


def hub_url() -> str:
    """Return the hub's address: DBT_PACKAGE_HUB_URL, else the one dbt itself would ask."""
    if chosen := os.environ.get("DBT_PACKAGE_HUB_URL"):
        return chosen
    from dbt.clients import registry  # noqa: PLC0415 (half a second, and only needed for the hub)

    return str(registry.DEFAULT_REGISTRY_BASE_URL)


def _probe(url: str, timeout_s: float) -> None:
    import requests  # noqa: PLC0415  slow, and rarely needed

    try:
        with requests.get(f"{url}api/v1/index.json", timeout=timeout_s, stream=True) as answer:
            if answer.ok:
                return
            why = f"answers with status {answer.status_code}"
    except requests.Timeout:
        why = f"does not answer within {timeout_s:g} s"
    except requests.RequestException:
        why = "cannot be reached"
    raise PackagesUnavailableError(f"{url} {why}")


def default_cache_dir() -> Path:
    """Return `$XDG_CACHE_HOME/haven/dbt_packages`, by default under ~/.cache."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "haven" / "dbt_packages"


def packages_in_cache(cache_dir: Path, requests: Requests) -> FoundPackages:
    """Return the cached folders of all requested packages and of those they need in turn.

    Raises PackagesUnavailableError if one is missing, or is not pinned to one version of the hub.
    """
    if unpinned := [name for name, asked in requests.items() if pin(asked) is None]:
        raise PackagesUnavailableError(f"packages.yml does not pin {', '.join(unpinned)}")

    def look_up(name: str, asked: tuple[str, ...]) -> tuple[Path, str] | None:
        version = pin(asked) or _newest((cache_dir / name).glob("[0-9]*"), asked)
        path = cache_dir / name / str(version)
        return (path, str(version)) if is_package(path, name) else None

    return _with_dependencies(requests, look_up)


def _newest(cached: Iterable[Path], asked: tuple[str, ...]) -> str | None:
    """Return the newest cached version that the ranges of a package that nobody pinned allow."""
    from dbt_common import semver  # noqa: PLC0415 (slow, and rarely needed)

    allowed = semver.reduce_versions(*map(semver.VersionSpecifier.from_version_string, asked))
    names = [path.name for path in cached]
    return semver.resolve_to_specific_version(allowed, names) if asked else None


def packages_in_directory(source_dir: Path, requests: Requests) -> FoundPackages:
    """Return the requested packages among the subfolders of a directory, whatever the folders' names.

    A pinned version in packages.yml counts: dbt_utils and dbt_expectations do not keep their own up to date.

    Raises ConfigError if there is no such directory, it lacks a package, or it holds the offline subset.
    """
    if not source_dir.is_dir():
        raise ConfigError(f"there is no folder {source_dir}; --from takes a folder of dbt packages")
    there: FoundPackages = {}
    for folder in sorted(path.parent for path in source_dir.glob("*/dbt_project.yml")):
        name, version = own_identity(folder)
        if version.endswith(OFFLINE_SUFFIX):
            raise ConfigError(f"{folder} is the offline subset; install it with --offline")
        there.setdefault(name, (folder, version))

    def look_up(name: str, asked: tuple[str, ...]) -> tuple[Path, str] | None:
        return (there[name][0], pin(asked) or there[name][1]) if name in there else None

    try:
        return _with_dependencies(requests, look_up)
    except PackagesUnavailableError as error:
        raise ConfigError(f"--from {source_dir}: {error}") from error


def _with_dependencies(
    requests: Requests, look_up: Callable[[str, tuple[str, ...]], tuple[Path, str] | None]
) -> FoundPackages:
    """Look up the requests and, in turn, what the packages found ask for and nobody pinned."""
    looked_up: dict[str, tuple[Path, str] | None] = {}
    missing = []
    queue = list(requests.items())
    for name, asked in queue:  # grows while it is walked
        if name in looked_up:
            continue
        package = looked_up[name] = look_up(name, asked)
        if package is None:
            missing.append(f"{name} {pin(asked) or ''}".strip())
        else:
            queue += package_requests(package[0] / "packages.yml").items()
    if missing:
        raise PackagesUnavailableError(f"lacks {', '.join(missing)}")
    return {name: package for name, package in looked_up.items() if package}


def fill_cache(cache_dir: Path, found: FoundPackages) -> None:
    """Keep a copy of each package that the cache lacks. Without a cache, a later install is only slower."""
    with contextlib.suppress(OSError):
        for name, (path, version) in found.items():
            target = cache_dir / name / version
            if target.exists() or not (VERSION.fullmatch(version) and _NAME.fullmatch(name)):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as side:
                copy_package(name, path, Path(side, name))
                with contextlib.suppress(OSError):  # another process was first
                    Path(side, name).rename(target)


def copy_package(name: str, source: Path, target: Path) -> None:
    """Copy a package: its files at the top, and of its folders those that dbt reads.

    It comes from strangers. dbt follows every `*-paths`, `target-path` and `clean-targets`, and copying follows links.

    Raises ConfigError if its name is no name of a folder, or one of its paths or links leads out of it.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"package {name!r} has a name that is no folder's: it is refused")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():  # a `local:` package, which dbt links so that edits show at once
        target.symlink_to(source.resolve())
        return
    root = source.resolve()
    settings = read_yaml(root / "dbt_project.yml")
    for key, said in settings.items():
        for part in listed(said) if str(key).endswith(("-path", "-paths", "-targets")) else ():
            # What a template will say is not known here.
            is_unknown = not isinstance(part, str) or (key in _FOLDERS and "{" in part)
            if is_unknown or not (root / part).resolve().is_relative_to(root):
                raise ConfigError(f"package {name}: `{key}: {part}` leads out of it: it is refused")

    read = {Path(part).parts[:1] for key, default in _FOLDERS.items() for part in listed(settings.get(key) or default)}

    def skipped(folder: str, entries: list[str]) -> list[str]:
        is_top = folder == str(root)
        skip = [e for e in entries if is_top and (root / e).is_dir() and not read & {(), (e,)}]
        for path in (Path(folder, entry) for entry in entries):
            if path.is_symlink() and (path.is_dir() or not path.resolve().is_relative_to(root)):
                what = f"{path.name} is a link to a folder or out of it"
                raise ConfigError(f"package {name}: {what}: it is refused")
        return skip

    shutil.copytree(root, target, ignore=skipped)
