"""A table of a tenth and the whole: is the time per row constant, and the memory flat?"""

from __future__ import annotations

from typing import Any

from benchmarks import by_hand, table
from benchmarks.cluster import Bench
from benchmarks.parts import haven
from benchmarks.parts.bulk import baseline
from benchmarks.trials import Method, compare

SECONDS_PER_MILLION, SECONDS, MAX_RUNS = 12, 20, 3
SMALL = "tenth"


def run(bench: Bench, rows: int, runs: int) -> dict[str, Any]:
    """Measure Haven with one stream and with two workers, and the pipe, at both sizes."""
    runs, small = min(runs, MAX_RUNS), rows // 10
    bench.execute(bench.source, f"drop table if exists {SMALL}", table.fill(SMALL, small))
    bench.execute(bench.source, f"vacuum analyze {SMALL}")
    project = bench.project("growth", [table.NAME, SMALL], "sweep")
    sizes = {}
    for name, count in ((SMALL, small), (table.NAME, rows)):
        pipe = baseline(bench)
        methods = [
            Method(pipe.name, lambda n=name: [by_hand.bulk_pipe(bench, n)], pipe.relation),  # type: ignore[misc]
            haven.load(bench, project, relation=f"raw.{name}", tables=(name,)),
            haven.load(bench, project, workers=2, relation=f"raw.{name}", tables=(name,)),
        ]
        shapes = {count: bench.shape(bench.source, name)}
        sizes[name] = [r.as_dict() for r in compare(bench, methods, count, runs, shapes)]
    bench.execute(bench.source, f"drop table {SMALL}")
    return {"small": sizes[SMALL], "large": sizes[table.NAME]}
