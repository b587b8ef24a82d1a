"""Bulk and incremental load against the same work done by hand with psql, on the same table in one run.

    make bench            # 1 million rows
    ROWS=5000000 RUNS=5 make bench

Prints the median seconds of RUNS alternating trials, and each as a ratio against its baseline.
Works in two embedded clusters of its own, in a temporary folder, and removes them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from runner import embedded
from runner.connect import connect
from runner.contract import Contract, TableSpec
from runner.embedded import place
from runner.load.engine import load_tables
from runner.load.outcome import LoadRequest
from runner.load.state import recorded_run
from runner.settings import Connection, read_state

ROWS = int(os.environ.get("ROWS", "1000000"))
RUNS = int(os.environ.get("RUNS", "3"))
COLUMNS = "id, customer_id, amount, status, note, updated_at"
SPEC = TableSpec(
    source_name="bench",
    name="big",
    raw_schema="raw",
    raw_table="big",
    source_schema="public",
    source_table="big",
    strategy="incremental",
    watermark="updated_at",
    deletes="ignore",
)
FILL = f"""
create table big (
    id bigint primary key, customer_id bigint not null, amount numeric(12, 2) not null,
    status text not null, note text, updated_at timestamptz not null
);
insert into big
select
    n, n % 50000, (n % 100000) / 100.0, (array['paid', 'shipped', 'delivered'])[n % 3 + 1],
    'note number ' || n, '2026-01-01 00:00+00'::timestamptz + n * interval '1 second'
from generate_series(1, {ROWS}) as n;
create index on big (updated_at);
"""
TABLE = f"create table by_hand.big as select {COLUMNS} from raw.big limit 0"
KEYED = "alter table by_hand.big add primary key (id); create index on by_hand.big (updated_at)"
UPSERT = """
insert into by_hand.big select * from stage
on conflict (id) do update set
    customer_id = excluded.customer_id, amount = excluded.amount, status = excluded.status,
    note = excluded.note, updated_at = excluded.updated_at
"""


class Bench:
    """Both databases, and the ways to move rows between them."""

    def __init__(self, home: Path) -> None:
        embedded.up(home)
        state = read_state(home) or {}
        self.source = Connection(side="source", **state["source"])
        self.warehouse = Connection(side="warehouse", **state["warehouse"])
        self.psql = place.binaries() / "psql"
        self.runs = 0

    def execute(self, target: Connection, statement: str) -> None:
        """Run SQL and commit."""
        with closing(connect(target)) as session, session, session.cursor() as cursor:
            cursor.execute(statement)

    def haven(self) -> None:
        """Load the table with Haven's engine."""
        self.runs += 1
        run_id = f"bench-{self.runs}"
        with recorded_run(self.source, self.warehouse, run_id=run_id, command="bench") as run:
            (outcome,) = load_tables(
                Contract((SPEC,), ()), self.source, self.warehouse, LoadRequest(), run=run
            )
        if outcome.error:
            raise SystemExit(outcome.error)

    def pipe(self, query: str, statement: str) -> None:
        """Copy `query` through `psql | psql`, the second running `statement` with the rows as input."""
        reader = subprocess.Popen(
            [*self._psql(self.source), f"copy ({query}) to stdout (format binary)"],
            env={"PGPASSWORD": self.source.password},
            stdout=subprocess.PIPE,
        )
        subprocess.run(
            [*self._psql(self.warehouse), *statement.split("\n")],
            env={"PGPASSWORD": self.warehouse.password},
            stdin=reader.stdout,
            check=True,
        )
        if reader.wait() != 0:
            raise SystemExit("psql could not read the source")

    def _psql(self, target: Connection) -> list[str]:
        address = [
            "-h",
            target.host,
            "-p",
            str(target.port),
            "-U",
            target.user,
            "-d",
            target.dbname,
        ]
        return [str(self.psql), "-qX", "-v", "ON_ERROR_STOP=1", *address, "-c"]


def timed(work: Callable[[], None]) -> float:
    """Return the wall seconds of one call."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def report(name: str, baseline: list[float], haven: list[float]) -> None:
    """Print one line: medians and how fast Haven is against its baseline (1.00 is the same)."""
    by_hand, ours = statistics.median(baseline), statistics.median(haven)
    print(
        f"{name:<34} by hand {by_hand:6.2f} s   haven {ours:6.2f} s   {by_hand / ours:5.2f}x",
        flush=True,
    )


def bulk(bench: Bench) -> None:
    """First load with key and index, against the psql pipe with the same key and index after it."""
    hand, ours = [], []
    for _ in range(RUNS):
        bench.execute(bench.warehouse, "drop schema if exists raw, by_hand cascade")
        ours.append(timed(bench.haven))
        bench.execute(bench.warehouse, f"create schema by_hand; {TABLE}")

        def by_hand() -> None:
            bench.pipe(f"select {COLUMNS} from big", "copy by_hand.big from stdin (format binary)")
            bench.execute(bench.warehouse, KEYED)

        hand.append(timed(by_hand))
    report(f"bulk, {ROWS:,} rows", hand, ours)


def increment(bench: Bench) -> None:
    """1 % changed rows, against a binary COPY to a temp table and one upsert by hand."""
    hand, ours = [], []
    for number in range(RUNS):
        low = f"2027-01-{number + 1:02} 00:00+00"
        bench.execute(
            bench.source,
            f"update big set amount = amount + 1, updated_at = '{low}' where id % 100 = {number}",
        )
        ours.append(timed(bench.haven))
        stage = "create temp table stage (like by_hand.big)"
        copy = "copy stage from stdin (format binary)"
        statement = "\n-c\n".join((stage, copy, " ".join(UPSERT.split())))
        query = f"select {COLUMNS} from big where updated_at >= '{low}'"
        hand.append(timed(lambda s=statement, q=query: bench.pipe(q, s)))  # type: ignore[misc]
    report(f"increment, {ROWS // 100:,} changed rows", hand, ours)


def main() -> None:
    """Run both benchmarks and clean up."""
    with tempfile.TemporaryDirectory(prefix="haven-bench-") as folder:
        home = Path(folder)
        bench = Bench(home)
        try:
            bench.execute(bench.source, FILL)
            bulk(bench)
            increment(bench)
        finally:
            embedded.down(home, delete=True)


if __name__ == "__main__":
    main()
