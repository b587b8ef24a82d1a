"""Runs a Python module (dbt, edr) as a child that ends with this process, however this process ends.

The child's standard input is a pipe that is never written to: the system closes it when this process is gone. A
watcher then ends the child's whole process group; dbt gets a moment to cancel its queries first. The watcher is a
process of its own, as a Python that is busy, or on its way out, lets no thread run.
"""

from __future__ import annotations

import gc
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# How long a child may take to cancel its queries when the run is stopped, and when the run was killed.
GRACE_S = 5.0
ORPHAN_GRACE_S = 0.8
_running: set[Callable[[], None]] = set()


class ChildTimeoutError(Exception):
    """The child did not finish in time and was stopped."""


def follow(
    module: str,
    args: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
    timeout_s: float | None = None,
) -> int:
    """Run `python -m module args`, hand each line of its output to `on_line`, and return its exit code.

    A negative code is the signal that killed it. Nothing that it started is left when this returns or raises.

    Raises ChildTimeoutError after `timeout_s` seconds.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, module, *args],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        process_group=0,
    )
    has_ended, is_late = threading.Event(), threading.Event()

    def sweep() -> None:
        # Without reaping it: until then its number cannot become another process's.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        _signal_group(process.pid, signal.SIGKILL)
        has_ended.set()

    def stop() -> None:
        _signal_group(process.pid, signal.SIGINT)
        if not has_ended.wait(GRACE_S):
            _signal_group(process.pid, signal.SIGKILL)

    def stop_late() -> None:
        is_late.set()
        stop()

    threading.Thread(target=sweep, daemon=True).start()
    _running.add(stop)
    timer = threading.Timer(timeout_s or 0, stop_late)
    timer.daemon = True
    if timeout_s:
        timer.start()
    try:
        for line in process.stdout or ():
            on_line(line.rstrip("\n"))
        has_ended.wait()
    except BaseException:
        stop()
        raise
    finally:
        timer.cancel()
        has_ended.wait()
        process.wait()
        _running.discard(stop)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
    if is_late.is_set():
        raise ChildTimeoutError(f"{module} did not finish within {timeout_s:.0f} s")
    return process.returncode


def stop_all() -> None:
    """Stop what other threads of this process `follow`, which then return."""
    for stop in list(_running):
        threading.Thread(target=stop, daemon=True).start()


def killed_by(returncode: int) -> str | None:
    """Return "was killed by signal 9 (SIGKILL)…" for the exit code of a child that a signal killed, else None."""
    if returncode >= 0:
        return None
    name = signal.Signals(-returncode).name
    cause = ": is the machine out of memory?" if name == "SIGKILL" else ""
    return f"was killed by signal {-returncode} ({name}){cause}"


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        os.killpg(group, number)


def _watch(pipe: int) -> None:
    """End this process's group when the other end of `pipe` is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for output in (1, 2):
        os.close(output)
    os.read(pipe, 1)
    group = os.getpgrp()
    _signal_group(group, signal.SIGINT)
    time.sleep(ORPHAN_GRACE_S)
    _signal_group(group, signal.SIGKILL)


def main() -> None:
    """Run the module that the first argument names as the main program, for as long as the parent lives."""
    pipe = os.dup(0)
    if os.fork() == 0:
        _watch(pipe)
        os._exit(0)
    os.close(pipe)
    # Not what a shell's `&` left: a child that is stopped has to hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    del sys.argv[0]
    run_as_main()


def run_as_main() -> None:
    """Run the module that the first argument names as the main program, in this process."""
    look_less_for_garbage()
    # dbt's package imports its own main module, which Python warns of.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def look_less_for_garbage() -> None:
    """Let Python look less often through what dbt makes: most of it stays to the end of the process."""
    gc.set_threshold(200_000, 20, 20)


if __name__ == "__main__":
    main()
