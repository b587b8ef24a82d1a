"""HISTORIES (default 200) random histories, then each mutant of the strategy until one history finds it.

SEED repeats them; MUTANTS limits the mutants. Exit code 1 if a history is wrong or a mutant is not found.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from histories.mutants import MUTANTS
from histories.play import BUILDS, SHOPS, play, random_example
from histories.warehouse import Warehouse, made_in

HISTORIES = int(os.environ.get("HISTORIES", "200"))
SEED = int(os.environ.get("SEED") or secrets.randbelow(1_000_000))
WITH_MUTANTS = int(os.environ.get("MUTANTS", str(len(MUTANTS))))
# Examples after which a mutant that was not found counts as missed.
PATIENCE = 40


class WrongError(AssertionError):
    """A model differs from its full refresh, or a dimension's versions are not what they should be."""


def check(warehouse: Warehouse, count: int, on_done: Callable[[], None]) -> None:
    """Play so many examples. Raises WrongError at the first that ends wrong."""

    @seed(SEED)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        # Without shrinking: an example takes seconds, and its seed repeats it.
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    # Hypothesis chooses only where the dice start: left to itself it likes few and equal steps, and short histories of
    # one row meet hardly any of the faults that `mutants` plants.
    @given(dice=st.randoms(use_true_random=True))
    def run(dice: random.Random) -> None:
        if wrong := play(warehouse, random_example(dice)):
            raise WrongError(f"{wrong}")
        on_done()

    run()


def main() -> int:
    """Run everything; print as it goes; return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the clusters must not stay
    print(f"seed {SEED}", flush=True)
    with tempfile.TemporaryDirectory(prefix="haven-histories-") as folder, made_in(Path(folder)) as warehouse:
        names = sorted(warehouse.refreshes)
        print(f"{len(names)} incremental models: {', '.join(names)}", flush=True)
        is_right = right_as_it_is(warehouse)
        chosen = list(MUTANTS)[:WITH_MUTANTS]
        missed = [name for name in chosen if not is_found(warehouse, name)]
    return int(not is_right or bool(missed))


def right_as_it_is(warehouse: Warehouse) -> bool:
    """Play the histories with the strategy as it is; return whether all end right."""
    started, done = time.monotonic(), 0

    def count() -> None:
        nonlocal done
        done += SHOPS
        seconds = time.monotonic() - started
        print(f"{done} histories, {warehouse.builds} builds, {seconds:.0f} s", flush=True)

    try:
        check(warehouse, -(-HISTORIES // SHOPS), count)
    except WrongError as error:
        print(f"WRONG with SEED={SEED} after {done} histories: {error}", flush=True)
        return False
    print(
        f"{done} random histories ({BUILDS} builds each) end like a full refresh; "
        f"{warehouse.refusals * SHOPS} of them in a refusal of what was not declared",
        flush=True,
    )
    return True


def is_found(warehouse: Warehouse, name: str) -> bool:
    """Break the strategy and return whether the histories notice."""
    macro, old, new = MUTANTS[name]
    done = 0

    def count() -> None:
        nonlocal done
        done += SHOPS

    with warehouse.broken(macro, old, new):
        try:
            check(warehouse, PATIENCE, count)
        except WrongError as error:
            models = str(error)[:160]
            print(f"broken ({name}): found within {done + SHOPS} histories: {models}", flush=True)
            return True
    print(f"broken ({name}): NOT found in {done} histories", flush=True)
    return False


if __name__ == "__main__":
    sys.exit(main())
