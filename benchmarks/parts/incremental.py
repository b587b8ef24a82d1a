"""About 1 % of the rows changed at random places: Haven, the same by hand in SQL, and the peers' merges.

Each method keeps a copy of its own. In each round the source changes once and every method brings its copy up to date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from benchmarks import by_hand, peers, table
from benchmarks.cluster import Bench
from benchmarks.measure import Pipe
from benchmarks.results import Row
from benchmarks.trials import Method, Result, clean, one_trial, rows_of, say
from runner.contract import DEFAULT_LOOKBACK


@dataclass(frozen=True)
class Increment:
    """A method with its copy in the warehouse: `first` fills it, `again(round)` brings it up to date."""

    name: str
    copy: str
    first: Pipe
    again: Callable[[int], Pipe]
    is_haven: bool = False
    is_peer: bool = False


def run(bench: Bench, rows: int, runs: int) -> list[Row]:
    """Fill all copies, then change, measure, check, round by round."""
    with _commits_that_wait(bench):
        clean(bench)
        increments = [*_by_hand(bench), *_haven(bench), *_peers(bench)]
        results = {one.name: Result(one.name, 0, is_haven=one.is_haven) for one in increments}
        whole = bench.shape(bench.source, table.NAME)
        say("filling one copy for each method")
        for one in increments:
            try:
                _fill(bench, one)
                bench.check(one.name, one.copy, whole)
            except Exception as error:
                if not one.is_peer:
                    raise
                results[one.name].error = f"first load: {str(error)[-200:]}"
                say(f"  {one.name}: {results[one.name].error}")
        for number in range(runs):
            _round(bench, increments, results, number)
        clean(bench)
    changed = next(iter(results.values())).size
    note = Row("incremental", rows, f"{changed:,} rows changed of {rows:,}", "note", note="in each run")
    return [*rows_of("incremental", list(results.values()), "engine speed", "CPU"), note]


@contextmanager
def _commits_that_wait(bench: Bench) -> Iterator[None]:
    """Let every method's commits wait for the disk, as Haven's always do, whatever the server's default."""
    reload = "select pg_reload_conf()"
    bench.prepare("alter system set synchronous_commit = on", reload)
    yield
    bench.prepare("alter system reset synchronous_commit", reload)


def _fill(bench: Bench, one: Increment) -> None:
    bench.measured(one.first)
    if one.copy.startswith("by_hand."):
        bench.prepare(f"alter table {by_hand.COPY} rename to {one.copy.split('.')[1]}")


def _round(bench: Bench, increments: list[Increment], results: dict[str, Result], number: int) -> None:
    bench.execute(bench.source, table.change(table.NAME, number))
    changed = bench.shape(bench.source, table.NAME, table.changed_since(number)).rows
    bench.vacuum()
    expected = bench.shape(bench.source, table.NAME)
    say(f"round {number + 1}: {changed:,} rows changed")
    for one in increments:
        result = results[one.name]
        if not result.error:
            result.size = changed
            pipe = one.again(number)
            trial = Method(one.name, lambda pipe=pipe: [pipe], one.copy, is_peer=one.is_peer)  # type: ignore[misc]
            one_trial(bench, trial, result, expected)


def _by_hand(bench: Bench) -> list[Increment]:
    ways: dict[str, Callable[[int, str], Pipe]] = {
        "by hand, psql: stage, upsert in key order": _psql(bench, by_hand.UPSERT),
        "by hand, one Python process: the same": lambda number, copy: by_hand.changes_script(bench, number, copy),
        "by hand, one Python process: the same, then all keys copied and compared": lambda number, copy: (
            by_hand.changes_script(bench, number, copy, table.NAME, table.KEY)
        ),
        "by hand, psql: stage, delete and insert": _psql(bench, *by_hand.DELETE_INSERT),
        "by hand, psql: stage, merge": _psql(bench, by_hand.MERGE),
    }
    first = by_hand.bulk_pipe(bench)
    return [
        Increment(name, copy, first, lambda number, way=way, copy=copy: way(number, copy))  # type: ignore[misc]
        for position, (name, way) in enumerate(ways.items())
        for copy in (f"by_hand.way_{position}",)
    ]


def _psql(bench: Bench, *merge: str) -> Callable[[int, str], Pipe]:
    return lambda number, copy: by_hand.changes(bench, number, copy, *merge)


def _haven(bench: Bench) -> list[Increment]:
    """Return both ways to load; each has a warehouse schema of its own, as raw holds one copy."""
    found = []
    for name, deletes, lookback in (
        ("haven load, deleted rows found too (the default)", "sweep", DEFAULT_LOOKBACK),
        ("haven load, deletes: ignore, no lookback (the same work as by hand)", "ignore", "0 seconds"),
    ):
        schema = f"raw_{deletes}"
        project = bench.project(f"increment_{deletes}", [table.NAME], deletes, schema, lookback=lookback)
        pipe, copy = bench.haven(project, "--workers", "2"), f"{schema}.{table.NAME}"
        found.append(Increment(name, copy, pipe, _always(pipe), is_haven=True))
    return found


def _always(pipe: Pipe) -> Callable[[int], Pipe]:
    return lambda number: pipe


def _peers(bench: Bench) -> list[Increment]:
    found = []
    for peer in (one for one in peers.installed() if one.can_merge):
        job = peers.Job(target=f"merged_{peer.name}", mode="merge")
        found.append(
            Increment(
                f"{peer.label} merge",
                peer.relation(job),
                peer.pipe(bench, job),
                lambda number, peer=peer, job=job: peer.pipe(  # type: ignore[misc]
                    bench, replace(job, since=table.round_start(number))
                ),
                is_peer=True,
            )
        )
    return found
