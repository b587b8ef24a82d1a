"""Random histories in short (`make histories` runs many): incremental = full refresh, and a broken mark is seen."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, clean_environment


def test_random_histories_end_like_a_full_refresh_and_find_a_broken_mark() -> None:
    """The second half is the test of the test: the same histories, with a high-water mark that runs ahead."""
    done = subprocess.run(
        [sys.executable, "-m", "histories"],
        cwd=ROOT,
        env=clean_environment()
        | {"PYTHONPATH": str(Path(__file__).parent), "HISTORIES": "20", "SEED": "4", "MUTANTS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "20 random histories (3 builds each) end like a full refresh" in done.stdout
    assert re.search(r"broken \(the mark runs twenty loads ahead\): found within \d+ histories", done.stdout)
