"""First load of the big table into an empty warehouse, primary key included: Haven and the same by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import by_hand, table
from benchmarks.cluster import Bench
from benchmarks.parts import haven
from benchmarks.table import Shape
from benchmarks.trials import Method, Result, clean, compare, one_trial, say

# For the estimate only, on a machine of two cores: a trial for a million rows, and once; at most so many trials.
SECONDS_PER_MILLION, SECONDS, MAX_RUNS = 30, 80, 100


def baseline(bench: Bench) -> Method:
    """Return the pipe that everything is compared with."""
    return Method(by_hand.BASELINE, lambda: [by_hand.bulk_pipe(bench)], by_hand.COPY)


def run(bench: Bench, rows: int, runs: int) -> dict[str, Any]:
    """Measure in interleaved trials; then the reloads of a table that is there with its key."""
    project = bench.project("bulk", [table.NAME], "sweep")
    methods = [
        baseline(bench),
        haven.load(bench, project),
        haven.load(bench, project, workers=2),
        *by_hand.bulk(bench, rows),
    ]
    shapes = {
        n: bench.shape(bench.source, table.NAME, f"{table.KEY} <= {n}")
        for n in {method.rows or rows for method in methods}
    }
    results = compare(bench, methods, rows, runs, shapes)
    reloads = _reloads(bench, project, rows, min(runs, 3), shapes[rows])
    return {"entries": [r.as_dict() for r in results], "reloads": [r.as_dict() for r in reloads]}


def _reloads(bench: Bench, project: Path, rows: int, runs: int, expected: Shape) -> list[Result]:
    """Time `haven load --full` into a raw table that exists with its key: emptied before, or equal to the source."""
    emptied, equal = (
        haven.load(bench, project, name=f"haven load --full, {what}", options=("--full",))
        for what in ("raw emptied, its key in place", "nothing changed")
    )
    results = [Result(m.name, rows, is_haven=True) for m in (emptied, equal)]
    clean(bench)
    bench.measured(bench.haven(project))
    say("reloads of the whole table")
    for _ in range(runs):
        bench.execute(bench.warehouse, f"truncate {haven.RAW}")
        one_trial(bench, emptied, results[0], expected)
        bench.execute(bench.warehouse, f"vacuum analyze {haven.RAW}")
        one_trial(bench, equal, results[1], expected)
    clean(bench)
    return results
