"""What a run starts ends with it: dbt, edr and their queries, whoever is killed and however."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from conftest import clean_environment

from runner import child

# A child that starts one of its own, which holds the output open, and hears nothing.
DEAF = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
grandchild = subprocess.Popen([sys.executable, "-c", code])
print(grandchild.pid, flush=True)
time.sleep(600)
"""
PARENT = """
import os, sys
from pathlib import Path
from runner.child import follow
follow("deaf", [], cwd=Path.cwd(), env=os.environ, on_line=lambda line: print(os.getpid(), line, flush=True))
"""


def wait_for(condition: Callable[[], object], within_s: float = 20) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Return whether the process runs; in a container nobody may bury the dead."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the modules `deaf` and `parent`."""
    (tmp_path / "deaf.py").write_text(DEAF)
    (tmp_path / "parent.py").write_text(PARENT)
    return tmp_path


@pytest.fixture
def family(folder: Path) -> Iterator[list[psutil.Process]]:
    """A parent, the child that it follows, and the grandchild."""
    parent = subprocess.Popen(
        [sys.executable, "-m", "parent"],
        cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert parent.stdout is not None
    grandchild = psutil.Process(int(parent.stdout.readline().split()[1]))
    middle = grandchild.parent()
    assert middle is not None
    yield [psutil.Process(parent.pid), middle, grandchild]
    for pid in (parent.pid, middle.pid, grandchild.pid):
        if lives(pid):
            os.kill(pid, signal.SIGKILL)
    parent.communicate()


@pytest.mark.parametrize("victims", [(0,), (1,), (0, 1)], ids=["runner", "dbt", "both"])
def test_k2_nothing_outlives_the_runner(family: list[psutil.Process], victims: tuple[int, ...]) -> None:
    if victims == (0,):
        os.killpg(family[0].pid, signal.SIGKILL)  # its group, which the child has left
    else:
        for number in sorted(victims, reverse=True):
            family[number].kill()
    wait_for(lambda: not any(lives(process.pid) for process in family[1:]), within_s=2)


def test_k2_a_child_that_hears_nothing_is_stopped_with_all_that_it_started(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "GRACE_S", 0.5)
    seen: list[str] = []
    with pytest.raises(child.ChildTimeoutError, match="deaf did not finish within 1 s"):
        child.follow("deaf", [], cwd=folder, env=clean_environment(), on_line=seen.append, timeout_s=1)
    wait_for(lambda: not lives(int(seen[0])), within_s=2)


def test_k2_a_child_that_ends_leaves_no_grandchild_that_holds_its_output(folder: Path) -> None:
    (folder / "brief.py").write_text(DEAF.replace("\ntime.sleep(600)", "\nsys.exit(3)"))
    seen: list[str] = []
    code = child.follow("brief", [], cwd=folder, env=clean_environment(), on_line=seen.append)
    assert code == 3
    wait_for(lambda: not lives(int(seen[0])), within_s=2)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, None),
        (2, None),
        (-9, "was killed by signal 9 (SIGKILL): is the machine out of memory?"),
        (-15, "was killed by signal 15 (SIGTERM)"),
    ],
)
def test_k9_a_signal_is_named(code: int, words: str | None) -> None:
    assert child.killed_by(code) == words
