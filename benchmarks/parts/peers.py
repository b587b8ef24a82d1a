"""The big table by other loaders, each with its fast settings, in turn with the pipe and with Haven."""

from __future__ import annotations

from typing import Any

from benchmarks import peers, table
from benchmarks.cluster import Bench
from benchmarks.parts import haven
from benchmarks.parts.bulk import baseline
from benchmarks.peers import Job, Peer
from benchmarks.trials import Method, compare

SECONDS_PER_MILLION, SECONDS, MAX_RUNS = 55, 70, 3
SLOW_ROWS = 200_000


def run(bench: Bench, rows: int, runs: int) -> dict[str, Any]:
    """Measure every peer that is installed; the others are named."""
    runs = min(runs, MAX_RUNS)
    project = bench.project("peers", [table.NAME], "sweep")
    methods = [
        baseline(bench),
        haven.load(bench, project),
        haven.load(bench, project, workers=2),
    ]
    for peer in peers.installed():
        methods += _methods(bench, peer, rows)
    shapes = {
        count: bench.shape(bench.source, table.NAME, f"{table.KEY} <= {count}")
        for count in {method.rows or rows for method in methods}
    }
    results = compare(bench, methods, rows, runs, shapes)
    return {
        "entries": [result.as_dict() for result in results],
        "versions": {p.label: p.version() for p in peers.installed()},
        "settings": {p.label: p.settings for p in peers.installed()},
        "missing": [p.label for p in peers.ALL if not p.is_installed],
    }


def _methods(bench: Bench, peer: Peer, rows: int) -> list[Method]:
    some = min(rows, SLOW_ROWS) if peer.name == "pandas" else None
    jobs = {f"{peer.label} {peer.version()}": Job(target=f"big_{peer.name}", rows=some or 0)}
    if peer.can_split:
        name = f"{peer.label} {peer.version()}, 2 extract partitions"
        jobs[name] = Job(target=f"big_{peer.name}", parallel=True, rows=rows)
    return [
        Method(
            name,
            lambda job=job: [peer.pipe(bench, job)],  # type: ignore[misc]
            peer.relation(job),
            rows=some,
            runs=1 if some else None,
            is_peer=True,
            note=f"{some:,} rows only" if some else "",
        )
        for name, job in jobs.items()
    ]
