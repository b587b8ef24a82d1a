"""How long `haven reconcile` takes to find what differs, against reading each table once by hand for a checksum.

The baseline is `select count(*), sum(hashtext(t::text))` on both sides at once: it tells that something differs, not
what, and hashes 32 bits of a text that settings and encodings change.
"""

from __future__ import annotations

import json
from dataclasses import replace

from benchmarks import table
from benchmarks.cluster import Bench, WrongResult
from benchmarks.measure import Pipe
from benchmarks.parts.loads import RAW
from benchmarks.results import Row
from benchmarks.trials import Result, clean, say
from runner.settings import Connection


def run(bench: Bench, rows: int, runs: int) -> list[Row]:
    """Compare equal tables, then with one changed column in one row, then with a percent of the rows changed."""
    clean(bench)
    project = bench.project("reconcile", [table.NAME], "sweep")
    load = bench.haven(project)
    bench.measured(load)
    bench.prepare(f"vacuum analyze {RAW}")
    key, part = rows * 2 // 3, rows // 100
    found = []
    for what, expected, change in (
        ("equal", 0, None),
        ("one column of one row differs", 1, f"set amount = 0.07 where id = {key}"),
        (f"{part:,} rows differ", part + 1, f"set note = 'x' where id <= {part}"),
    ):
        if change:
            bench.prepare(f"update {RAW} {change}")
        say(what)
        found += _trials(bench, load, rows, runs, what, expected)
    clean(bench)
    return found


def _trials(bench: Bench, load: Pipe, rows: int, runs: int, what: str, expected: int) -> list[Row]:
    command = tuple("reconcile" if word == "load" else word for word in load.commands[0])
    reconcile = replace(load, commands=(command,), code=int(expected > 0))
    hand, ours = Result(what, rows), Result(what, rows)
    for _ in range(runs):
        sides = ((bench.source, table.NAME), (bench.warehouse, RAW))
        hand.add(*bench.measured(*(_checksum(bench, *side) for side in sides)))
        done, servers = bench.measured(reconcile)
        (compared,) = json.loads(done.output)["tables"]
        found = compared["missing"] + compared["extra"] + compared["different"]
        if found != expected:
            raise WrongResult(f"haven reconcile found {found} differing rows, not {expected}")
        ours.add(done, servers)
        say(f"  by hand {hand.seconds[-1]:.2f} s, haven reconcile {ours.seconds[-1]:.2f} s")
    times = [our / their for our, their in zip(ours.seconds, hand.seconds, strict=True)]
    return [
        Row.of("reconcile", rows, what, "by hand", "s", hand.seconds),
        Row.of("reconcile", rows, what, "haven reconcile", "s", ours.seconds),
        Row.of("reconcile", rows, what, "times", "times", times, "by hand"),
        Row.of("reconcile", rows, what, "peak memory", "MB", [ours.peak_mb or 0]),
    ]


def _checksum(bench: Bench, target: Connection, relation: str) -> Pipe:
    query = f"select count(*), sum(hashtext(t::text)) from (select {table.NAMES} from {relation}) t"
    return Pipe((bench.psql(target, query),), bench.environment())
