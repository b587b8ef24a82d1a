"""A load that finds nothing to do: all tables of the demo, the whole command with its start-up."""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.cluster import ROOT, Bench
from benchmarks.demo import filled
from benchmarks.measure import Pipe
from benchmarks.measure import run as run_pipe
from benchmarks.trials import Result, say

SECONDS_PER_MILLION, SECONDS, MAX_RUNS = 0, 40, 100


def run(bench: Bench, rows: int, runs: int) -> dict[str, Any]:
    """Fill databases of their own, load them twice, then measure loads; `rows` sets the demo's scale, at most 1."""
    scale = min(1.0, rows / 1_000_000)
    with filled(bench, "nothing", scale) as demo:
        own = demo.bench
        first = run_pipe(own.haven(demo.project), cwd=ROOT)
        run_pipe(own.haven(demo.project), cwd=ROOT)
        own.execute(own.source, "vacuum analyze")
        own.execute(own.warehouse, "vacuum analyze")
        loaded = json.loads(first.output)["tables"]
        total = sum(table["rows_read"] for table in loaded)
        result = Result("haven load, nothing changed", total, is_haven=True)
        for _ in range(max(runs, 3)):
            own.checkpoint()
            done = run_pipe(own.haven(demo.project), cwd=ROOT)
            tables = json.loads(done.output)["tables"]
            moved = sum(t["rows_inserted"] + t["rows_updated"] + t["rows_deleted"] for t in tables)
            if moved or len(tables) != len(loaded):
                raise SystemExit(
                    f"nothing had changed, but {moved} rows moved in {len(tables)} tables"
                )
            result.add(done, {})
            say(f"  {result.name}: {done.seconds:.2f} s")
    help_pipe = Pipe(((sys.executable, "-m", "runner.cli", "--version"),), bench.environment())
    startup = min(run_pipe(help_pipe, cwd=ROOT).seconds for _ in range(5))
    return {
        "entries": [result.as_dict()],
        "tables": len(loaded),
        "scale": scale,
        "startup_seconds": round(startup, 3),
    }
