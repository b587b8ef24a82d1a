"""Kill whole runs of `haven run` at random moments; exit code 1 if anything was left over, or wrong after the next run.

TRIALS (default 60) counts the kills, SEED repeats their choices (not the machine's timing). A run that was over before
its kill is no kill: it is tried again, with a moment within what the last whole run took.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from conftest import Databases, Project

from chaos import shop
from chaos.trial import TARGETS, Result, run
from runner import embedded

TRIALS = int(os.environ.get("TRIALS", "60"))
SEED = int(os.environ.get("SEED") or secrets.randbelow(1_000_000))


def main() -> int:
    """Run all trials in clusters of their own; print each and the sum; return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the clusters must not stay
    rng = random.Random(SEED)  # noqa: S311
    print(f"SEED={SEED} TRIALS={TRIALS}", flush=True)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="haven-chaos-") as folder:
        home = Path(folder) / "clusters"
        home.mkdir()
        embedded.up(home)
        try:
            databases = Databases(home)
            path = shop.make_project(Path(folder) / "shop")
            project = Project(path, databases.create("source"), databases.create("warehouse"))
            shop.fill(project)
            began = time.monotonic()
            project.haven("run")
            lasts_s = time.monotonic() - began
            misses = 0
            while len(results) < TRIALS and misses <= TRIALS:
                target = TARGETS[len(results) % len(TARGETS)]
                result = run(project, rng, target, rng.uniform(0, lasts_s))
                lasts_s = result.next_run_s
                print(f"{len(results) + 1:>3} {result}", flush=True)
                if result.is_missed and not result.faults:
                    misses += 1
                else:
                    results.append(result)
        finally:
            embedded.down(home, delete=True)
    wrong = [result for result in results if result.faults]
    targets = Counter(result.target for result in results)
    print(f"{len(results)} kills ({', '.join(f'{n} {t}' for t, n in targets.items())}), {len(wrong)} wrong")
    return 1 if wrong or len(results) < TRIALS else 0


if __name__ == "__main__":
    sys.exit(main())
