"""A thousand small tables of which none has changed: planning, asking, and one transaction each.

The baseline asks each table for its highest mark, in one psql session: what no loader can do without.
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks.cluster import ROOT, Bench, WrongResult, own_databases
from benchmarks.measure import Measured, Pipe
from benchmarks.measure import run as run_pipe
from benchmarks.trials import Result, say

SECONDS_PER_MILLION, SECONDS, MAX_RUNS = 0, 120, 5
TABLES = 1000
ROWS = 100
NAME = "many_tables"
BY_HAND = "psql: the highest mark of each table"
OURS = "haven load, nothing changed"


def run(bench: Bench, rows: int, runs: int) -> dict[str, Any]:
    """Fill databases of their own, load them twice, then measure loads; their size does not depend on `rows`."""
    with own_databases(bench, NAME) as own:
        names = [f"table_{number:04}" for number in range(TABLES)]
        own.execute(own.source, *(_fill(name) for name in names), "vacuum analyze")
        project = own.project(NAME, names, "sweep")
        say(f"{TABLES:,} tables: first load")
        first = _load(own, own.haven(project), moved=TABLES * ROWS)
        _load(own, own.haven(project), moved=0)
        own.execute(own.warehouse, "vacuum analyze")
        marks = "".join(f"select max(updated_at) from {name};\n" for name in names)
        script = bench.home / "marks.sql"
        script.write_text(marks, encoding="utf-8")
        by_hand = Pipe(((*own.psql(own.source), "-f", str(script)),), own.environment())
        hand, ours = Result(BY_HAND, TABLES), Result(OURS, TABLES, is_haven=True)
        for _ in range(min(runs, MAX_RUNS)):
            hand.add(run_pipe(by_hand, cwd=ROOT), {})
            ours.add(_load(own, own.haven(project), moved=0), {})
            say(f"  by hand {hand.seconds[-1]:.2f} s, haven load {ours.seconds[-1]:.2f} s")
    return {
        "entries": [hand.as_dict(), ours.as_dict()],
        "tables": TABLES,
        "rows_each": ROWS,
        "first_seconds": round(first.seconds, 2),
    }


def _fill(name: str) -> str:
    return (
        f"create table {name} as select n as id, 'row ' || n as name, n / 7.0 as amount, "
        "now() - interval '9 days' + n * interval '1 second' as updated_at "
        f"from generate_series(1, {ROWS}) as n; alter table {name} add primary key (id);"
    )


def _load(own: Bench, pipe: Pipe, moved: int) -> Measured:
    """Load all tables. Raises WrongResult unless `moved` rows were written in all of them."""
    own.checkpoint()
    done = run_pipe(pipe, cwd=ROOT)
    tables = json.loads(done.output)["tables"]
    found = sum(t["rows_inserted"] + t["rows_updated"] + t["rows_deleted"] for t in tables)
    if (found, len(tables)) != (moved, TABLES):
        raise WrongResult(f"{found:,} rows moved in {len(tables):,} tables, not {moved:,}")
    return done
