"""How long it takes to find one changed column in one row of millions, against reading each table once by hand.

    ROWS=5000000 python benchmarks/reconcile.py

The baseline is `select count(*), sum(hashtext(t::text))` on both sides at once: it tells that something differs, not
what, and hashes 32 bits of a text that settings and encodings change.
Prints the median seconds of RUNS alternating trials. Works in two embedded clusters of its own, in a temporary folder.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from load import FILL, ROWS, RUNS, SPEC, Bench, timed

from runner import embedded
from runner.connect import connect
from runner.reconcile.engine import Wishes, reconcile_table
from runner.reconcile.outcome import Reconciliation
from runner.settings import Connection

TABLE = replace(SPEC, deletes="sweep")


def checksums(bench: Bench) -> None:
    """Read both tables once, at the same time."""

    def read(target: Connection, relation: str) -> object:
        with closing(connect(target)) as session, session.cursor() as cursor:
            cursor.execute(f"select count(*), sum(hashtext(big::text)) from {relation}")
            return cursor.fetchone()

    with ThreadPoolExecutor(max_workers=2) as pool:
        sides = ((bench.source, "big"), (bench.warehouse, "raw.big"))
        list(pool.map(lambda side: read(*side), sides))


def reconcile(bench: Bench) -> Reconciliation:
    """Compare the table and name what differs."""
    result = reconcile_table(TABLE, bench.source, bench.warehouse, Wishes(), run_id="bench")
    if result.error:
        raise SystemExit(result.error)
    return result


def trial(bench: Bench, what: str, expected: tuple[int, int, int]) -> None:
    """Time RUNS alternating pairs, check what is found, print one line."""
    hand, ours = [], []
    found: list[Reconciliation] = []
    for _ in range(RUNS):
        hand.append(timed(lambda: checksums(bench)))
        ours.append(timed(lambda: found.append(reconcile(bench))))
        if (found[-1].missing, found[-1].extra, found[-1].different) != expected:
            raise SystemExit(f"{what}: found {found[-1]}")
    baseline, seconds = statistics.median(hand), statistics.median(ours)
    named = found[-1].named[0] if found[-1].named else None
    print(
        f"{what:<34} checksums {baseline:6.2f} s   haven {seconds:6.2f} s   {seconds / baseline:5.2f}x"
        + (f"   key {named.key} {', '.join(named.columns)}" if named else ""),
        flush=True,
    )


def main() -> None:
    """Compare equal tables, then with one changed column in one row, then with a percent of rows changed."""
    with tempfile.TemporaryDirectory(prefix="haven-bench-") as folder:
        home = Path(folder)
        bench = Bench(home)
        try:
            bench.execute(bench.source, FILL)
            bench.haven()
            for target, relation in ((bench.source, "big"), (bench.warehouse, "raw.big")):
                with closing(connect(target)) as session:
                    session.autocommit = True
                    session.cursor().execute(f"vacuum analyze {relation}")
            trial(bench, f"equal, {ROWS:,} rows", (0, 0, 0))
            key = ROWS * 2 // 3
            bench.execute(bench.warehouse, f"update raw.big set amount = 0.07 where id = {key}")
            trial(bench, "one column of one row differs", (0, 0, 1))
            part = ROWS // 100
            bench.execute(bench.warehouse, f"update raw.big set note = '' where id <= {part}")
            trial(bench, f"{part:,} rows differ", (0, 0, part + 1))
            bench.execute(bench.warehouse, "update raw.big set note = null")
            trial(bench, "every row differs", (0, 0, ROWS))
        finally:
            embedded.down(home, delete=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 10)
    print(f"peak memory of the client          {peak:.0f} MB", file=sys.stdout)


if __name__ == "__main__":
    main()
