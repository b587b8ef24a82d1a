"""How long `haven reconcile` takes to find what differs, against reading each table once by hand for a checksum.

The baseline is `select count(*), sum(hashtext(t::text))` on both sides at once: it tells that something differs, not
what, and hashes 32 bits of a text that settings and encodings change.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.cluster import Bench, WrongResult
from benchmarks.measure import Pipe
from benchmarks.parts import haven
from benchmarks.trials import Result, clean, say

SECONDS_PER_MILLION, SECONDS, MAX_RUNS = 12, 20, 3
BY_HAND = "count and checksum by hand, both sides at once"


def run(bench: Bench, rows: int, runs: int) -> dict[str, Any]:
    """Compare equal tables, then with one changed column in one row, then with a percent of the rows changed."""
    clean(bench)
    project = bench.project("reconcile", [table.NAME], "sweep")
    bench.measured(bench.haven(project))
    bench.execute(bench.warehouse, f"vacuum analyze {haven.RAW}")
    key, part = rows * 2 // 3, rows // 100
    changes = (
        ("equal", 0, None),
        ("one column of one row differs", 1, f"set amount = 0.07 where id = {key}"),
        (f"{part:,} rows differ", part + 1, f"set note = 'x' where id <= {part}"),
    )
    entries = []
    for what, expected, change in changes:
        if change:
            bench.execute(bench.warehouse, f"update {haven.RAW} {change}")
        say(what)
        entries.append([r.as_dict() for r in _trials(bench, project, rows, runs, what, expected)])
    clean(bench)
    return {"cases": entries}


def _trials(
    bench: Bench, project: Path, rows: int, runs: int, what: str, expected: int
) -> tuple[Result, Result]:
    hand, ours = Result(f"{BY_HAND}: {what}", rows), Result(f"haven reconcile: {what}", rows)
    for _ in range(min(runs, MAX_RUNS)):
        hand.add(*bench.measured(_checksum(bench, "source"), _checksum(bench, "warehouse")))
        done, servers = bench.measured(_reconcile(bench, project, expected))
        (compared,) = json.loads(done.output)["tables"]
        found = compared["missing"] + compared["extra"] + compared["different"]
        if found != expected:
            raise WrongResult(f"haven reconcile found {found} differing rows, not {expected}")
        ours.add(done, servers)
        say(f"  by hand {hand.seconds[-1]:.2f} s, haven reconcile {ours.seconds[-1]:.2f} s")
    return hand, ours


def _checksum(bench: Bench, side: str) -> Pipe:
    target, relation = (
        (bench.source, table.NAME) if side == "source" else (bench.warehouse, haven.RAW)
    )
    query = f"select count(*), sum(hashtext(t::text)) from (select {table.NAMES} from {relation}) t"
    return Pipe((bench.psql(target, query),), bench.environment())


def _reconcile(bench: Bench, project: Path, expected: int) -> Pipe:
    """Return the command; it ends with exit code 1 if it is to find something."""
    pipe = bench.haven(project)
    command = tuple("reconcile" if word == "load" else word for word in pipe.commands[0])
    return replace(pipe, commands=(command,), code=int(expected > 0))
