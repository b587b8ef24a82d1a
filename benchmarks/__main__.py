"""`make bench`: measure, keep the numbers in benchmarks/results, write docs/performance.md and .svg."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from benchmarks import cluster, page, table
from benchmarks.measure import CommandFailed
from benchmarks.parts import (
    bulk,
    growth,
    incremental,
    models,
    nothing,
    peers,
    queries,
    reconcile,
    swap,
    tables,
    values,
    workers,
)
from benchmarks.trials import say
from runner import embedded

# In this order: the increments change the source, so they come last.
PARTS = {
    "bulk": bulk,
    "workers": workers,
    "growth": growth,
    "peers": peers,
    "values": values,
    "reconcile": reconcile,
    "nothing": nothing,
    "tables": tables,
    "queries": queries,
    "swap": swap,
    "models": models,
    "incremental": incremental,
}


def main() -> None:
    """Run the chosen parts one after the other; each one's results are kept as soon as it is done."""
    options = _options()
    names = [name.strip() for name in options.only.split(",")] if options.only else list(PARTS)
    unknown = sorted(set(names) - set(PARTS))
    if unknown:
        sys.exit(f"no part {unknown[0]!r}: known are {', '.join(PARTS)}")
    chosen = [] if options.render else [name for name in PARTS if name in names]
    failed = _measure(chosen, options) if chosen else []
    page.write(options.results, options.docs)
    say(f"wrote {options.docs.name}/performance.md and performance.svg")
    if failed:
        sys.exit(f"error: failed, its last results were kept: {', '.join(failed)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    rows, runs = int(os.environ.get("ROWS", "5000000")), int(os.environ.get("RUNS", "5"))
    parser.add_argument("--rows", type=int, default=rows, help="rows of the big table (ROWS)")
    parser.add_argument("--runs", type=int, default=runs, help="trials of each method (RUNS)")
    only = os.environ.get("ONLY", "")
    parser.add_argument("--only", default=only, help=f"parts, comma-separated: {','.join(PARTS)}")
    parser.add_argument("--render", action="store_true", help="write the page again, run nothing")
    parser.add_argument("--results", type=Path, default=cluster.ROOT / "benchmarks" / "results")
    parser.add_argument("--docs", type=Path, default=cluster.ROOT / "docs")
    return parser.parse_args()


def _measure(names: list[str], options: argparse.Namespace) -> list[str]:
    """Run the parts in clusters of their own; return the ones that failed, whose last results are kept."""
    failed: list[str] = []
    rows, runs = options.rows, options.runs
    say(f"{', '.join(names)}: {rows:,} rows, {runs} runs, about {_minutes(names, rows, runs)} min")
    options.results.mkdir(parents=True, exist_ok=True)
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
                    found = PARTS[name].run(bench, rows, runs)
                except (CommandFailed, cluster.WrongResult, psycopg2.Error) as error:
                    say(f"part {name} failed: {error}")
                    failed.append(name)
                    continue
                _keep(options.results, name, bench, rows, runs, found)
                say(f"part {name} done in {time.monotonic() - started:.0f} s")
        except cluster.NotEnoughDisk as error:
            sys.exit(f"error: {error}")
        finally:
            embedded.down(home, delete=True)
    return failed


def _minutes(names: list[str], rows: int, runs: int) -> int:
    """Return a rough estimate, in minutes, from what a slow machine of two cores takes."""
    seconds = 0.0
    for part in (PARTS[name] for name in names):
        trials = min(runs, part.MAX_RUNS)
        seconds += part.SECONDS + part.SECONDS_PER_MILLION * trials * rows / 1_000_000
    return max(1, round(seconds / 60))


def _keep(
    results: Path, name: str, bench: cluster.Bench, rows: int, runs: int, found: dict[str, Any]
) -> None:
    """Write one part's results; no host name, no path."""
    ((server,),) = bench.execute(bench.warehouse, "show server_version")
    body = {
        "part": name,
        "rows": rows,
        "runs": runs,
        "measured_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": {
            "cores": os.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 2**30),
            "system": f"{platform.system()} {platform.machine()}",
            "postgresql": server.split()[0],
            "python": platform.python_version(),
            "psycopg2": version("psycopg2-binary"),
        },
        **found,
    }
    path = results / f"{name}.json"
    path.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
