"""The whole crash matrix: every point once, then random trials of all kinds; exit code 1 if anything was wrong.

TRIALS (default 120) counts the random trials, SEED repeats their choices (not the servers' timing).
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from crash.trial import HARMS, MODES, Bench, Kill, Result, run
from runner import embedded
from runner.settings import Side

TRIALS = int(os.environ.get("TRIALS", "120"))
SEED = int(os.environ.get("SEED") or secrets.randbelow(1_000_000))
SIDES: tuple[Side, ...] = ("source", "warehouse")
# One each of: incremental with late rows found by keys, one without the sweep, a whole table without a key.
THREE = ("sale", "visit", "note")


def exhaustive(bench: Bench) -> Iterable[Result]:
    """Kill a first load and an incremental one of three tables at every point they have.

    The incremental one has a table that fails, too: recording that is a few points more.
    """
    for mode, workers in (("first", 2), ("incremental", 1)):
        trial = partial(run, bench, mode, tables=THREE, workers=workers, is_busy=False, with_gone=mode == "incremental")
        whole = trial(Kill("point"))
        yield whole
        print(f"-- {mode}: {len(whole.points)} points, each once", flush=True)
        # By name and number among its like: how many pieces a COPY comes in depends on timing.
        for number, name in enumerate(whole.points, 1):
            alike = sum(earlier.startswith(name) for earlier in whole.points[:number])
            yield trial(Kill("point", die_at=alike, die_in=name))


def at_random(bench: Bench) -> Iterable[Result]:
    """Make TRIALS trials: half of them kill the loader, by number or at a moment, half hurt a server."""
    rng = bench.rng
    lengths: dict[str, tuple[int, float]] = {}
    for mode in MODES:
        whole = run(bench, mode, Kill("point"))
        yield whole
        lengths[mode] = len(whole.points), whole.load_s
    print(f"-- {TRIALS} trials at random, the source changing meanwhile", flush=True)
    for number in range(TRIALS):
        mode = rng.choices(tuple(MODES), (5, 3, 1, 1))[0]
        points, load_s = lengths[mode]
        after_s = rng.uniform(0, load_s * 1.1)
        if number % 2:
            how = HARMS[number // 2 % len(HARMS)]
            kill = Kill(how, rng.choice(SIDES), after_s=after_s)
        elif number % 4:
            kill = Kill("moment", after_s=after_s)
        else:
            kill = Kill("point", die_at=rng.randint(1, points))
        yield run(bench, mode, kill, with_gone=rng.random() < 0.1)


def main() -> int:
    """Run all trials in clusters of their own; print them and the summary; return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the clusters must not stay
    print(f"seed {SEED}", flush=True)
    started = time.monotonic()
    kinds: dict[str, list[Result]] = defaultdict(list)
    points: dict[str, int] = defaultdict(int)
    with tempfile.TemporaryDirectory(prefix="haven-crash-") as folder:
        try:
            bench = Bench.up(Path(folder), random.Random(SEED))  # noqa: S311
            for part in (exhaustive, at_random):
                for result in part(bench):
                    is_kill = result.kill != Kill("point")
                    name = f"{result.kill.label} ({part.__name__})" if is_kill else "left alone"
                    kinds[name].append(result)
                    if result.exit_code == -9:
                        points[result.point.split(":")[0]] += 1
                    print(sum(map(len, kinds.values())), result, flush=True)
                    if not result.is_right:
                        bench.forget()  # or the same rows would be missing in each trial to come
        finally:
            embedded.down(Path(folder), delete=True)
    return report(kinds, points, time.monotonic() - started)


def report(kinds: dict[str, list[Result]], points: dict[str, int], seconds: float) -> int:
    """Print the summary; return 1 if anything was wrong."""
    print(f"\n{'kind':60}{'trials':>7}{'killed':>7}{'failed':>7}{'ended well':>11}{'wrong':>7}")
    for name, results in sorted(kinds.items()):
        codes = [result.exit_code for result in results]
        killed, well = codes.count(-9), codes.count(0)
        wrong = sum(not result.is_right for result in results)
        print(f"{name:60}{len(codes):7}{killed:7}{len(codes) - killed - well:7}{well:11}{wrong:7}")
    print("\nwhere the loader was when it was killed: ", end="")
    print(", ".join(f"{count} {name}" for name, count in sorted(points.items())))
    results = [result for some in kinds.values() for result in some]
    lost, doubled = sum(r.lost for r in results), sum(r.doubled for r in results)
    torn, left = sum(len(r.torn) for r in results), sum(len(r.leftovers) for r in results)
    trials = sum(result.kill != Kill("point") for result in results)
    print(
        f"\n{trials} trials (seed {SEED}) in {seconds:.0f} s: "
        f"{lost} rows lost, {doubled} doubled, {torn} states torn, {left} leftovers"
    )
    return int(not all(result.is_right for result in results))


if __name__ == "__main__":
    sys.exit(main())
