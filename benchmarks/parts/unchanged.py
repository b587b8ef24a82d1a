"""Loads that find nothing to do: all tables of the demo, and a thousand small ones; whole commands with start-up."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.cluster import ROOT, Bench, WrongResult, own_databases
from benchmarks.demo import filled
from benchmarks.measure import Measured, Pipe
from benchmarks.measure import run as run_pipe
from benchmarks.results import Row
from benchmarks.trials import Result, say

TABLES, ROWS_EACH = 1000, 100
OURS = "haven load, nothing changed"


def nothing(bench: Bench, rows: int, runs: int) -> list[Row]:
    """Load the demo twice, then measure loads; `rows` sets the demo's scale, at most 1."""
    with filled(bench, "nothing", min(1.0, rows / 1_000_000)) as demo:
        total, tables = _load(demo.bench, demo.project, None)
        _load(demo.bench, demo.project, 0)
        demo.bench.vacuum()
        result = Result(f"{OURS}, {tables} tables of the demo", total, is_haven=True)
        for _ in range(max(runs, 3)):
            _trial(result, demo.bench, demo.project)
    start = Pipe(((sys.executable, "-m", "runner.cli", "--version"),), bench.environment())
    bare = Result("haven --version, Python and its imports", total)
    for _ in range(5):
        bare.add(run_pipe(start, cwd=ROOT), {})
    return result.rows("nothing") + bare.rows("nothing")


def many(bench: Bench, rows: int, runs: int) -> list[Row]:
    """Measure loads of a thousand tables; the baseline asks each one for its highest watermark, in one psql session."""
    del rows
    with own_databases(bench, "many_tables") as own:
        names = [f"table_{number:04}" for number in range(TABLES)]
        own.execute(own.source, *(_fill(name) for name in names), "vacuum analyze")
        project = own.project("many_tables", names, "sweep")
        say(f"{TABLES:,} tables: first load")
        first = Result("haven load, first load", TABLES)
        first.add(_measured(own, project, TABLES * ROWS_EACH)[0], {})
        _load(own, project, 0)
        own.vacuum()
        script = bench.home / "marks.sql"
        script.write_text("".join(f"select max(updated_at) from {n};\n" for n in names), "utf-8")
        by_hand = Pipe(((*own.psql(own.source), "-f", str(script)),), own.environment())
        hand, ours = (Result("psql: the highest watermark of each table", TABLES), Result(OURS, TABLES, is_haven=True))
        for _ in range(runs):
            hand.add(run_pipe(by_hand, cwd=ROOT), {})
            _trial(ours, own, project)
    return [row for result in (hand, ours, first) for row in result.rows("tables")]


def _trial(result: Result, own: Bench, project: Path) -> None:
    done, _ = _measured(own, project, 0)
    result.add(done, {})
    say(f"  {result.name}: {done.seconds:.2f} s")


def _load(own: Bench, project: Path, moved: int | None) -> tuple[int, int]:
    """Load all tables; return how many rows were read, and how many tables there are."""
    _, tables = _measured(own, project, moved)
    return sum(table["rows_read"] for table in tables), len(tables)


def _measured(own: Bench, project: Path, moved: int | None) -> tuple[Measured, list[dict[str, Any]]]:
    """Load all tables. Raises WrongResult unless `moved` rows were written, if that is known."""
    own.checkpoint()
    done = run_pipe(own.haven(project), cwd=ROOT)
    tables = json.loads(done.output)["tables"]
    found = sum(t["rows_inserted"] + t["rows_updated"] + t["rows_deleted"] for t in tables)
    if moved is not None and found != moved:
        raise WrongResult(f"{found:,} rows moved in {len(tables):,} tables, not {moved:,}")
    return done, tables


def _fill(name: str) -> str:
    return (
        f"create table {name} as select n as id, 'row ' || n as name, n / 7.0 as amount, "
        "now() - interval '9 days' + n * interval '1 second' as updated_at "
        f"from generate_series(1, {ROWS_EACH}) as n; alter table {name} add primary key (id);"
    )
