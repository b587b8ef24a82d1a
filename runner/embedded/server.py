"""One embedded cluster: made with initdb, configured, started, found again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import psutil

from runner.embedded.place import account, open_folder
from runner.errors import UnreachableError
from runner.settings import CLIENT_CHECK, CLIENT_CHECK_MS, Side

SUPERUSER = "haven"
START_TIMEOUT_S = 60


def make_cluster(binaries: Path, data_dir: Path, password: str) -> None:
    owner = account()
    if owner:
        open_folder(data_dir.parent)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    read_end, write_end = os.pipe()
    if owner:
        os.chown(data_dir, owner["user"], owner["group"])
        os.fchown(read_end, owner["user"], owner["group"])
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
        _run(command, data_dir, owner, pass_fds=(read_end,))
    except BaseException:
        shutil.rmtree(data_dir, ignore_errors=True)  # half a cluster would look like a whole one
        raise
    finally:
        os.close(read_end)


def write_config(data_dir: Path, port: int) -> None:
    """Write the settings Haven owns to a file that postgresql.conf includes."""
    memory_mb = psutil.virtual_memory().total // 2**20
    settings = {
        "port": port,
        "shared_buffers": f"'{min(max(memory_mb // 16, 128), 2048)}MB'",
        "effective_cache_size": f"'{memory_mb // 2}MB'",
        "maintenance_work_mem": f"'{min(max(memory_mb // 32, 64), 1024)}MB'",
        CLIENT_CHECK: CLIENT_CHECK_MS,  # statements of a plain dbt or psql that was killed end soon
    }
    body = resources.files("runner.embedded").joinpath("haven.conf").read_text("utf-8")
    body += "".join(f"{name} = {value}\n" for name, value in settings.items())
    config = data_dir / "haven.conf"
    config.write_text(body, encoding="utf-8")
    config.chmod(0o644)  # the folder is private; the server, another user than root, has to read it
    main = data_dir / "postgresql.conf"
    include = "include = 'haven.conf'"
    text = main.read_text(encoding="utf-8")
    if include not in text:
        main.write_text(f"{text}\n{include}\n", encoding="utf-8")


def start(binaries: Path, data_dir: Path, side: Side) -> None:
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
        _run(command, data_dir, account())
    except UnreachableError as error:
        lines = log.read_text(errors="replace").splitlines()[-3:] if log.is_file() else []
        raise UnreachableError(
            f"the {side} server did not start: {' / '.join(lines) or error}; its log is {log}"
        ) from error


def _run(command: list[str], cwd: Path, owner: dict[str, Any], pass_fds: tuple[int, ...] = ()) -> None:
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
            **owner,
        )
        if done.returncode != 0:
            output.seek(0)
            text = " ".join(output.read().decode(errors="replace").split())
            raise UnreachableError(f"{Path(command[0]).name} failed: {text[-500:]}")


def postmaster(data_dir: Path) -> psutil.Process | None:
    """Return the server process of `data_dir`, or None; a reused pid of another program is not it."""
    try:
        pid = int((data_dir / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
        process = psutil.Process(pid)
        if str(data_dir) in " ".join(process.cmdline()) and process.status() != "zombie":
            return process
    except (OSError, ValueError, psutil.Error):
        return None
    return None


def free_port(taken: set[int] | None = None) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in (taken or ()):
            return port


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
