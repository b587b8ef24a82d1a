"""A dbt that is imported once and forked for each command that tests start: `python warm_dbt.py SOCKET`.

Importing dbt and reading a project for the first time takes most of the time of a short command. This process does
both once, with the caches that dbt has for its own tests, and then forks itself for each request of
`startup/sitecustomize.py`. Whatever is about processes themselves (kills, signals) starts its own dbt instead: see
`cold_dbt` in conftest.py.
"""

from __future__ import annotations

import ast
import gc
import json
import os
import re
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dbt.cli.main import dbtRunner
from dbt.deprecations import reset_deprecations
from dbt_common.clients.jinja import template_cache
from dbt_common.events.functions import reset_metadata_vars
from dbt_common.tests import enable_test_caching
from dbt_extractor import ExtractionError

from runner import child

ROOT = Path(__file__).parents[2]


def _extract(source: str) -> dict[str, Any]:
    """Return what dbt's own extractor returns for one `ref` or `source`: that one starts threads, which forks lack."""
    call = re.fullmatch(r"\{\{ *(ref|source)\((.*)\) *\}\}", source.strip())
    if not call:
        raise ExtractionError
    args = ast.literal_eval(f"({call[2]},)")
    is_ref = call[1] == "ref"
    return {
        "refs": [{"package": None, "name": args[-1], "version": None}] if is_ref else [],
        "sources": [] if is_ref else [args],
        "configs": [],
    }


def _dump(value: Any, file: Any, **options: Any) -> None:
    """Write what `json.dump` writes, in one piece, by the encoder in C: manifests in a tenth of the time."""
    file.write(json.dumps(value, **options))


def warm_up() -> None:
    """Parse the project twice, the second time from what the first has written, and compile its macros.

    Forks inherit the schemas, readers and templates that dbt makes on the way.
    """
    enable_test_caching()
    json.dump = _dump  # type: ignore[assignment]
    with (
        patch("dbt.parser.models.py_extract_from_source", _extract),
        patch("dbt.clients.jinja_static.py_extract_from_source", _extract),
    ):
        command = ["parse", "--quiet", "--project-dir", str(ROOT), "--profiles-dir", str(ROOT)]
        dbtRunner().invoke([*command, "--no-partial-parse"])
        manifest = dbtRunner().invoke(command).result
    for macro in manifest.macros.values():
        if macro.package_name in ("dbt", "dbt_postgres", "haven"):
            template_cache.get_node_template(macro)
    reset_metadata_vars()
    reset_deprecations()
    gc.collect()
    gc.freeze()


def serve(address: str) -> None:
    """Fork a dbt for each request, until standard input is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        line, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _supervise(line)
            return
        line.close()


def _supervise(line: socket.socket) -> None:
    """Fork the dbt that is asked for on `line`, tell how it ended, and end it if who asked is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, outputs, *_ = socket.recv_fds(line, 4, 3)
    text = line.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
    process = os.fork()
    if process == 0:
        line.close()
        _become(json.loads(text), outputs)
        return
    for output in outputs:
        os.close(output)
    ended = os.pidfd_open(process)
    if ended not in select.select([ended, line], [], [])[0]:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    line.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request: dict[str, Any], outputs: list[int]) -> None:
    """Be the process that asked: its group, folder, environment and outputs; then run its dbt as it would."""
    os.setpgid(0, request["group"])
    for number, output in enumerate(outputs):
        os.dup2(output, number)
        os.close(output)
    os.chdir(request["folder"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = request["modules"]
    if sys.argv[0] == child.__name__:
        child.main()
    else:
        child.run_as_main()


if __name__ == "__main__":
    warm_up()
    serve(sys.argv[1])
