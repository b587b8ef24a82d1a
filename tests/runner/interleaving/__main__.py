"""HISTORIES (default 500) random interleavings, then each mutant until a history finds it; SEED repeats them.

Exit code 1 if raw differs from the source after a history, or a mutant is not found.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from interleaving.mutants import MUTANTS
from interleaving.play import TABLES, History, Place, made_ready
from runner import embedded
from runner.connect import connect
from runner.settings import Connection, read_state

HISTORIES = int(os.environ.get("HISTORIES", "500"))
SEED = int(os.environ.get("SEED") or secrets.randbelow(1_000_000))
# Histories after which a mutant that was not found counts as missed.
PATIENCE = 600


def wrong(place: Place, first: int, count: int, seed: int) -> tuple[int, History | None]:
    """Play histories until one ends wrong; return how many were played, and that one."""
    for number in range(first, first + -(-count // TABLES)):
        # Each by its own seed: what chance does in one depends on no other.
        history = History(place, random.Random(f"{seed} {number}"), number)  # noqa: S311
        if history.play():
            return TABLES * (number - first + 1), history
        if (number - first + 1) % 10 == 0:
            print(f"{TABLES * (number - first + 1)} histories", flush=True)
    return TABLES * (number - first + 1), None


def found(place: Place, name: str, seed: int, patience: int = PATIENCE) -> int | None:
    """Break the bound and return how many histories it took to notice; None if none did."""
    with MUTANTS[name]():
        count, history = wrong(place, 1_000_000, patience, seed)
    return count if history else None


@contextmanager
def place() -> Iterator[Place]:
    """Make clusters of our own; prepared transactions have to be allowed."""
    with tempfile.TemporaryDirectory(prefix="haven-interleavings-") as folder:
        home = Path(folder)
        try:
            embedded.up(home)
            state = read_state(home)
            assert state is not None
            source = Connection(side="source", **state["source"])
            with closing(connect(source)) as session:
                session.autocommit = True
                with session.cursor() as cursor:
                    cursor.execute("alter system set max_prepared_transactions = 20")
            embedded.down(home)
            embedded.up(home)
            yield made_ready(source, Connection(side="warehouse", **state["warehouse"]))
        finally:
            embedded.down(home, delete=True)


def main() -> int:
    """Run everything; print as it goes; return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the clusters must not stay
    print(f"seed {SEED}", flush=True)
    with place() as here:
        started = time.monotonic()
        count, history = wrong(here, 0, HISTORIES, SEED)
        if history is not None:
            print("\n".join(history.log))
            print(f"WRONG with SEED={SEED} in history {count}", flush=True)
            return 1
        seconds = time.monotonic() - started
        print(f"{count} random interleavings end with raw = source ({seconds:.0f} s)", flush=True)
        missed = 0
        for name in MUTANTS:
            took = found(here, name, SEED)
            missed += took is None
            text = f"found within {took} histories" if took else f"NOT found in {PATIENCE}"
            print(f"broken ({name}): {text}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
