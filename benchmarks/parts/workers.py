"""What more workers give: one table that Haven splits by pages, and four tables; against one pipe and two at once."""

from __future__ import annotations

from typing import Any

from benchmarks import by_hand, table
from benchmarks.cluster import Bench
from benchmarks.measure import Pipe
from benchmarks.parts import haven
from benchmarks.parts.bulk import baseline
from benchmarks.trials import Method, compare

SECONDS_PER_MILLION, SECONDS, MAX_RUNS = 26, 20, 3
WORKERS = (1, 2, 4)
PARTS = 4


def run(bench: Bench, rows: int, runs: int) -> dict[str, Any]:
    """Measure both cases; the four tables together have as many rows as the one."""
    runs = min(runs, MAX_RUNS)
    one = bench.project("one", [table.NAME], "sweep")
    names = [f"part_{number}" for number in range(PARTS)]
    _make_parts(bench, names)
    four = bench.project("four", names, "sweep")
    whole = bench.shape(bench.source, table.NAME)
    split = [
        baseline(bench),
        _two_pipes(bench),
        *(haven.load(bench, one, workers=count) for count in WORKERS),
    ]
    union = " union all ".join(f"select {table.NAMES} from raw.{name}" for name in names)
    several = [
        baseline(bench),
        *(
            haven.load(
                bench,
                four,
                workers=count,
                relation=f"({union}) as parts",
                tables=tuple(names),
            )
            for count in WORKERS
        ),
    ]
    result = {
        "one_table": [r.as_dict() for r in compare(bench, split, rows, runs, {rows: whole})],
        "four_tables": [r.as_dict() for r in compare(bench, several, rows, runs, {rows: whole})],
    }
    bench.execute(bench.source, *(f"drop table {name}" for name in names))
    return result


def _make_parts(bench: Bench, names: list[str]) -> None:
    for number, name in enumerate(names):
        bench.execute(
            bench.source,
            f"drop table if exists {name}",
            table.ddl(name, key=True),
            f"insert into {name} select {table.NAMES} from {table.NAME} where id % {PARTS} = {number}",
            f"vacuum analyze {name}",
        )


def _two_pipes(bench: Bench) -> Method:
    """Return two pipes side by side, each with half of the pages. No key: it would have to wait for both."""

    def pipes() -> list[Pipe]:
        ((pages,),) = bench.execute(
            bench.source,
            f"select pg_relation_size('{table.NAME}') / current_setting('block_size')::int / 2",
        )
        halves = (f"ctid < '({pages},0)'", f"ctid >= '({pages},0)'")
        read = [by_hand.select(half) for half in halves]
        return [
            bench.psql_pipe(
                f"copy ({query}) to stdout (format binary)",
                f"copy {by_hand.COPY} from stdin (format binary)",
            )
            for query in read
        ]

    return Method(
        "two psql pipes at once, half of the pages each; without the key",
        pipes,
        by_hand.COPY,
        lambda: bench.prepare(table.ddl(by_hand.COPY)),
    )
