"""Runs commands as a user would and measures them: wall seconds, and peak memory of all their processes together."""

from __future__ import annotations

import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

SAMPLE_S = 0.05
TIMEOUT_S = 3600
PROC = Path("/proc")


class CommandFailed(Exception):
    """A measured command ended badly; the message is the end of what it said."""


@dataclass(frozen=True)
class Pipe:
    """Commands of which each one's output is the next one's input; `env` replaces the environment.

    `code` is the exit code with which the last one ends when all is well.
    """

    commands: tuple[tuple[str, ...], ...]
    env: Mapping[str, str] = field(default_factory=dict)
    code: int = 0


@dataclass(frozen=True)
class Measured:
    """One trial: wall seconds from first start to last exit, the clients' CPU seconds, MiB (None without /proc)."""

    seconds: float
    cpu_seconds: float
    peak_mb: float | None
    output: str


def run(*pipes: Pipe, cwd: Path | None = None) -> Measured:
    """Run `pipes` side by side to their end and measure them. Raises CommandFailed if one fails."""
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as output:
        used, started = _cpu_seconds(), time.monotonic()
        processes = [p for pipe in pipes for p in _start(pipe, output, errors, cwd)]
        sampler = _Sampler([process.pid for process in processes])
        sampler.start()
        try:
            codes = [process.wait(TIMEOUT_S) for process in processes]
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
            seconds = time.monotonic() - started
            peak = sampler.stop()
        wanted = [code for pipe in pipes for code in (*[0] * (len(pipe.commands) - 1), pipe.code)]
        if codes != wanted:
            raise CommandFailed(" ".join((_tail(errors), _tail(output), f"(exit codes {codes})")))
        output.seek(0)
        text = output.read().decode(errors="replace")
        return Measured(seconds, _cpu_seconds() - used, peak, text)


def _cpu_seconds() -> float:
    """Return the CPU seconds of all children that ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _start(pipe: Pipe, output: IO[bytes], errors: IO[bytes], cwd: Path | None) -> list[subprocess.Popen[bytes]]:
    started: list[subprocess.Popen[bytes]] = []
    for position, command in enumerate(pipe.commands, start=1):
        is_last = position == len(pipe.commands)
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(pipe.env),
            stdin=started[-1].stdout if started else subprocess.DEVNULL,
            stdout=output if is_last else subprocess.PIPE,
            stderr=errors,
        )
        if started and started[-1].stdout:
            started[-1].stdout.close()  # else a reader that dies would never be noticed
        started.append(process)
    return started


def _tail(file: IO[bytes]) -> str:
    file.seek(0)
    return " ".join(file.read().decode(errors="replace").split())[-600:]


class _Sampler(threading.Thread):
    """Adds up the resident memory of the process trees every SAMPLE_S seconds and keeps the maximum.

    A page that several processes share counts once for each. Between two samples each process's own high-water mark
    still counts, so a short peak of a single process is not missed.
    """

    def __init__(self, roots: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self._roots, self._peak_kb, self._done = list(roots), 0, threading.Event()

    def stop(self) -> float | None:
        """Return the peak in MiB; None where there is no /proc."""
        self._done.set()
        self.join()
        return round(self._peak_kb / 1024, 1) if (PROC / "self" / "status").is_file() else None

    def run(self) -> None:
        """Sample until it is stopped."""
        while True:
            memory = [_memory_kb(pid) for pid in _tree(self._roots)]
            total, highest = sum(now for now, _ in memory), max(high for _, high in memory)
            self._peak_kb = max(self._peak_kb, total, highest)
            if self._done.wait(SAMPLE_S):
                return


def _tree(roots: list[int]) -> list[int]:
    found = list(roots)
    for pid in found:  # grows as children are found
        try:
            for task in (PROC / str(pid) / "task").iterdir():
                text = (task / "children").read_text(encoding="ascii")
                found += [int(child) for child in text.split() if int(child) not in found]
        except OSError:
            continue  # it ended meanwhile
    return found


def _memory_kb(pid: int) -> tuple[int, int]:
    """Return resident memory now and at its highest, in KiB; zeros for a process that ended."""
    try:
        lines = (PROC / str(pid) / "status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0, 0
    values = dict(line.split(":", 1) for line in lines.splitlines() if line.startswith("Vm"))
    now, highest = (int(values.get(name, "0 kB").split()[0]) for name in ("VmRSS", "VmHWM"))
    return now, highest
