"""First loads of the big table into an empty warehouse, primary key included: Haven, by hand, other loaders."""

from __future__ import annotations

from pathlib import Path

from benchmarks import by_hand, peers, table
from benchmarks.by_hand import baseline
from benchmarks.cluster import Bench
from benchmarks.peers import Job, Peer
from benchmarks.results import Row
from benchmarks.trials import Method, Result, clean, compare, one_trial, rows_of, say

RAW = f"raw.{table.NAME}"
PARTS = 4
SLOW_ROWS = 200_000


def load(
    bench: Bench, project: Path, workers: int = 1, *, name: str | None = None, relation: str = RAW,
    tables: tuple[str, ...] = (table.NAME,), options: tuple[str, ...] = (),
) -> Method:  # fmt: skip
    """Return `haven load` of `tables` as a method: the whole command, start-up included."""
    plural = "one stream" if workers == 1 else f"{workers} workers"
    arguments = ("--workers", str(workers), *options, *tables)
    pipe = bench.haven(project, *arguments)
    return Method(name or f"haven load, {plural}", lambda: [pipe], relation, is_haven=True)


def bulk(bench: Bench, rows: int, runs: int) -> list[Row]:
    """Measure first loads; then reloads of a raw table that is there with its key: emptied before, or equal."""
    project = bench.project("bulk", [table.NAME], "sweep")
    results = _compare(bench, [baseline(bench), load(bench, project), *by_hand.bulk(bench, rows)], rows, runs)
    reloads = []
    clean(bench)
    bench.measured(bench.haven(project))
    say("reloads of the whole table")
    expected = bench.shape(bench.source, table.NAME)
    for what, before in (
        ("raw emptied, its key in place", f"truncate {RAW}"),
        ("nothing changed", f"vacuum analyze {RAW}"),
    ):
        again = load(bench, project, name=f"haven load --full, {what}", options=("--full",))
        reloads.append(Result(again.name, rows, is_haven=True))
        for _ in range(min(runs, 3)):
            bench.prepare(before)
            one_trial(bench, again, reloads[-1], expected)
    clean(bench)
    found = [row for again in reloads for row in again.rows("bulk.reloads", results[0])]
    return [*rows_of("bulk", results), *found]


def workers(bench: Bench, rows: int, runs: int) -> list[Row]:
    """Measure four tables that together have as many rows as the one."""
    names = tuple(f"part_{number}" for number in range(PARTS))
    for number, name in enumerate(names):
        bench.execute(
            bench.source,
            f"drop table if exists {name}",
            table.ddl(name, key=True),
            f"insert into {name} select {table.NAMES} from {table.NAME} where id % {PARTS} = {number}",
            f"vacuum analyze {name}",
        )
    four = bench.project("four", list(names), "sweep")
    union = " union all ".join(f"select {table.NAMES} from raw.{name}" for name in names)
    several = [load(bench, four, count, relation=f"({union}) as parts", tables=names) for count in (1, 2, 4)]
    found = rows_of("workers.four", _compare(bench, [baseline(bench), *several], rows, runs))
    bench.execute(bench.source, *(f"drop table {name}" for name in names))
    return found


def growth(bench: Bench, rows: int, runs: int) -> list[Row]:
    """Measure a table of a tenth and the whole: is the time per row constant, and the memory flat?"""
    small = "tenth"
    bench.execute(bench.source, f"drop table if exists {small}", table.fill(small, rows // 10))
    bench.execute(bench.source, f"vacuum analyze {small}")
    project = bench.project("growth", [table.NAME, small], "sweep")
    found = []
    for name, count in ((small, rows // 10), (table.NAME, rows)):
        ours = load(bench, project, relation=f"raw.{name}", tables=(name,))
        results = _compare(bench, [baseline(bench, name), ours], count, runs, name)
        for result in results:
            result.name += f", {count:,} rows"
        found += rows_of("growth", results, "speed", "engine speed", "CPU")
    bench.execute(bench.source, f"drop table {small}")
    return found


def others(bench: Bench, rows: int, runs: int) -> list[Row]:
    """Measure every other loader that is installed, with its fast settings; the others are named."""
    project = bench.project("peers", [table.NAME], "sweep")
    methods = [baseline(bench), load(bench, project)]
    for peer in peers.installed():
        methods += _peer(bench, peer, rows)
    missing = [peer.label for peer in peers.ALL if not peer.is_installed]
    return [
        *rows_of("peers", _compare(bench, methods, rows, runs)),
        *(Row("peers", rows, name, "note", note="not installed") for name in missing),
    ]


def _peer(bench: Bench, peer: Peer, rows: int) -> list[Method]:
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


def _compare(bench: Bench, methods: list[Method], rows: int, runs: int, source: str = table.NAME) -> list[Result]:
    """Return the results of trials in turn; each copy is compared with the source's rows up to its number."""
    shapes = {
        count: bench.shape(bench.source, source, f"{table.KEY} <= {count}")
        for count in {method.rows or rows for method in methods}
    }
    return compare(bench, methods, rows, runs, shapes)
