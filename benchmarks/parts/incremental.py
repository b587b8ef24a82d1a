"""About 1 % of the rows changed at random places: Haven, the same by hand in SQL, and the peers' merges.

Each method keeps a copy of its own. In each round the source changes once and every method brings its copy up to date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from benchmarks import by_hand, peers, table
from benchmarks.cluster import Bench
from benchmarks.measure import Pipe
from benchmarks.trials import Method, Result, clean, one_trial, say
from runner.contract import DEFAULT_LOOKBACK

SECONDS_PER_MILLION, SECONDS, MAX_RUNS = 45, 30, 100
FIND_DELETES = "haven load, deleted rows found too (the default)"
BY_HAND_DELETES = "by hand, one Python process: the same, then all keys copied and compared"
SAME_WORK = "haven load, deletes: ignore, no lookback (the same work as by hand)"


@dataclass(frozen=True)
class Increment:
    """A method with its copy: `first` fills it, `again(round)` returns the pipes that bring it up to date."""

    method: Method
    first: Callable[[], None]
    again: Callable[[int], Sequence[Pipe]]


def run(bench: Bench, rows: int, runs: int) -> dict[str, Any]:
    """Fill all copies, then change, measure, check, round by round."""
    del rows
    with _commits_that_wait(bench):
        return _measured(bench, runs)


@contextmanager
def _commits_that_wait(bench: Bench) -> Iterator[None]:
    """Let every method's commits wait for the disk, as Haven's always do, whatever the server's default."""
    reload = "select pg_reload_conf()"
    bench.execute(bench.warehouse, "alter system set synchronous_commit = on", reload)
    yield
    bench.execute(bench.warehouse, "alter system reset synchronous_commit", reload)


def _measured(bench: Bench, runs: int) -> dict[str, Any]:
    clean(bench)
    increments = [*_by_hand(bench), *_haven(bench), *_peers(bench)]
    results = {
        i.method.name: Result(i.method.name, 0, is_haven=i.method.is_haven) for i in increments
    }
    whole = bench.shape(bench.source, table.NAME)
    say("filling one copy for each method")
    for one in increments:
        try:
            one.first()
            bench.check(one.method.name, one.method.relation, whole)
        except Exception as error:
            if not one.method.is_peer:
                raise
            results[one.method.name].error = f"first load: {str(error)[-200:]}"
            say(f"  {one.method.name}: {results[one.method.name].error}")
    changed = 0
    for number in range(runs):
        bench.execute(bench.source, table.change(table.NAME, number))
        since = table.changed_since(number)
        changed = bench.shape(bench.source, table.NAME, since).rows
        bench.execute(bench.source, f"vacuum analyze {table.NAME}")
        bench.execute(bench.warehouse, "vacuum analyze")
        expected = bench.shape(bench.source, table.NAME)
        say(f"round {number + 1} of {runs}: {changed:,} rows changed")
        for one in increments:
            result = results[one.method.name]
            if result.error:
                continue
            result.rows = changed
            trial = Method(
                one.method.name,
                lambda again=one.again, n=number: again(n),  # type: ignore[misc]
                one.method.relation,
                is_peer=one.method.is_peer,
                is_haven=one.method.is_haven,
            )
            one_trial(bench, trial, result, expected)
    clean(bench)
    return {"entries": [r.as_dict() for r in results.values()], "changed": changed}


def _by_hand(bench: Bench) -> list[Increment]:
    ways: list[tuple[str, str, Callable[[int, str], Pipe]]] = [
        ("by hand, psql: stage, upsert in key order", "by_hand.upsert", _psql(bench, by_hand.UPSERT)),
        (
            "by hand, one Python process: the same",
            "by_hand.script",
            lambda number, copy: by_hand.changes_script(bench, number, copy),
        ),
        (
            BY_HAND_DELETES,
            "by_hand.swept",
            lambda number, copy: by_hand.changes_script(bench, number, copy, find_deletes=True),
        ),
        (
            "by hand, psql: stage, delete and insert",
            "by_hand.deleted",
            _psql(bench, *by_hand.DELETE_INSERT),
        ),
        ("by hand, psql: stage, merge", "by_hand.merged", _psql(bench, by_hand.MERGE)),
    ]  # fmt: skip
    return [
        Increment(
            Method(name, list, copy),
            lambda copy=copy: _fill_by_hand(bench, copy),  # type: ignore[misc]
            lambda number, way=way, copy=copy: [way(number, copy)],  # type: ignore[misc]
        )
        for name, copy, way in ways
    ]


def _psql(bench: Bench, *merge: str) -> Callable[[int, str], Pipe]:
    return lambda number, copy: by_hand.changes(bench, number, copy, *merge)


def _fill_by_hand(bench: Bench, copy: str) -> None:
    bench.measured(by_hand.bulk_pipe(bench))
    name = copy.split(".")[1]
    bench.execute(bench.warehouse, f"alter table {by_hand.COPY} rename to {name}")


def _haven(bench: Bench) -> list[Increment]:
    """Return both ways to load; each has a warehouse schema of its own, as raw holds one copy."""
    found = []
    for name, deletes, lookback in (
        (FIND_DELETES, "sweep", DEFAULT_LOOKBACK),
        (SAME_WORK, "ignore", "0 seconds"),
    ):
        schema = f"raw_{deletes}"
        project = bench.project(
            f"increment_{deletes}", [table.NAME], deletes, schema, lookback=lookback
        )
        pipe = bench.haven(project, "--workers", "2")
        found.append(
            Increment(
                Method(name, list, f"{schema}.{table.NAME}", is_haven=True),
                lambda pipe=pipe: bench.measured(pipe) and None,  # type: ignore[misc]
                lambda number, pipe=pipe: [pipe],  # type: ignore[misc]
            )
        )
    return found


def _peers(bench: Bench) -> list[Increment]:
    found = []
    for peer in peers.installed():
        if peer.can_merge:
            job = peers.Job(target=f"merged_{peer.name}", mode="merge")
            found.append(
                Increment(
                    Method(f"{peer.label} merge", list, peer.relation(job), is_peer=True),
                    lambda peer=peer, job=job: bench.measured(peer.pipe(bench, job)) and None,  # type: ignore[misc]
                    lambda number, peer=peer, job=job: [  # type: ignore[misc]
                        peer.pipe(bench, replace(job, since=table.round_start(number)))
                    ],
                )
            )
    return found
