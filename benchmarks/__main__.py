"""`make bench`: measure, keep the figures in benchmarks/results.csv, render the tables of docs/performance.md."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg2

from benchmarks import cluster, page, results, table
from benchmarks.measure import CommandFailed
from benchmarks.parts import incremental, loads, models, queries, reconcile, swap, unchanged, values
from benchmarks.trials import say
from runner import embedded

# What runs a part, and how many trials at most; in this order, as the increments change the source.
PARTS: dict[str, tuple[Callable[[cluster.Bench, int, int], list[results.Row]], int]] = {
    "bulk": (loads.bulk, 100),
    "workers": (loads.workers, 3),
    "growth": (loads.growth, 3),
    "peers": (loads.others, 3),
    "values": (values.run, 1),
    "reconcile": (reconcile.run, 3),
    "nothing": (unchanged.nothing, 100),
    "tables": (unchanged.many, 5),
    "queries": (queries.run, 1),
    "swap": (swap.run, 100),
    "models": (models.run, 2),
    "incremental": (incremental.run, 100),
}


def main() -> None:
    """Run the chosen parts one after the other; each one's figures are kept as soon as it is done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    rows, runs = int(os.environ.get("ROWS", "5000000")), int(os.environ.get("RUNS", "5"))
    parser.add_argument("--rows", type=int, default=rows, help="rows of the big table (ROWS)")
    parser.add_argument("--runs", type=int, default=runs, help="trials of each method (RUNS)")
    only = os.environ.get("ONLY", "")
    parser.add_argument("--only", default=only, help=f"parts, comma-separated: {','.join(PARTS)}")
    parser.add_argument("--render", action="store_true", help="render again, run nothing")
    parser.add_argument("--results", type=Path, default=cluster.ROOT / "benchmarks" / "results.csv")
    parser.add_argument("--page", type=Path, default=cluster.ROOT / "docs" / "performance.md")
    options = parser.parse_args()
    names = [name.strip() for name in options.only.split(",")] if options.only else list(PARTS)
    if unknown := sorted(set(names) - set(PARTS)):
        sys.exit(f"no part {unknown[0]!r}: known are {', '.join(PARTS)}")
    chosen = [] if options.render else [name for name in PARTS if name in names]
    failed = _measure(chosen, options) if chosen else []
    page.write(results.read(options.results), options.page)
    say(f"rendered the tables of {options.page.name}")
    if failed:
        sys.exit(f"error: failed, its last results were kept: {', '.join(failed)}")


def _measure(names: list[str], options: argparse.Namespace) -> list[str]:
    """Run the parts in clusters of their own; return the ones that failed, whose last results are kept."""
    failed: list[str] = []
    rows, runs = options.rows, options.runs
    say(f"{', '.join(names)}: {rows:,} rows, {runs} runs (all parts with 5,000,000 and 5: about an hour)")
    with tempfile.TemporaryDirectory(prefix="haven-bench-") as folder:
        home = Path(folder)
        try:
            cluster.check_disk(home, rows)
            bench = cluster.start(home)
            say("filling the source")
            bench.execute(bench.source, table.fill(table.NAME, rows))
            bench.execute(bench.source, "vacuum analyze")
            for name in names:
                say(f"part {name}")
                started = time.monotonic()
                try:
                    run, most = PARTS[name]
                    found = run(bench, rows, min(runs, most))
                except (CommandFailed, cluster.WrongResult, psycopg2.Error) as error:
                    say(f"part {name} failed: {error}")
                    failed.append(name)
                    continue
                results.keep(options.results, name, _from_here(bench, found))
                say(f"part {name} done in {time.monotonic() - started:.0f} s")
        except cluster.NotEnoughDisk as error:
            sys.exit(f"error: {error}")
        finally:
            embedded.down(home, delete=True)
    return failed


def _from_here(bench: cluster.Bench, found: list[results.Row]) -> list[results.Row]:
    """Return figures with when, of which commit and on what kind of machine they are; no host name, no path."""
    ((server,),) = bench.execute(bench.warehouse, "show server_version")
    git = ["git", "-C", str(cluster.ROOT), "describe", "--always", "--dirty=+"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    memory = round(psutil.virtual_memory().total / 2**30)
    machine = f"{os.cpu_count()} cores, {memory} GB, {platform.system()}, PostgreSQL {server.split()[0]}"
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    return [replace(row, measured=now, commit=commit or "unknown", machine=machine) for row in found]


if __name__ == "__main__":
    main()
