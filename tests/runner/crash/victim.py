"""One load of the shop, as `haven load` does it, in a process that may be killed.

Reads its orders as JSON from standard input; says "go" when the load begins, then each point it reaches.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

from psycopg2.extensions import cursor as PgCursor

from crash import points
from crash.shop import TABLES
from runner.connect import connect
from runner.contract import Contract, TableSpec
from runner.errors import HavenError
from runner.load import engine, table
from runner.load.attempt import Listener
from runner.load.outcome import LoadRequest
from runner.load.plan import TablePlan
from runner.ops import recorded_run
from runner.settings import Connection

# A table of the contract that the source does not have: its failure is recorded at the end.
GONE = TableSpec("shop", "gone", "raw_shop", "gone", "public", "gone", file="crash")
RETRY = "retry: "


@dataclass(frozen=True)
class Orders:
    """One load: what to load how; it dies at point `die_at` (0: none) of those whose name begins with `die_in`.

    `is_broken` makes a loader that commits watermarks apart from their rows, to prove that the harness sees it.
    """

    source: Connection
    warehouse: Connection
    run_id: str
    tables: tuple[str, ...] = tuple(TABLES)
    request: dict[str, Any] = field(default_factory=dict)
    with_gone: bool = False
    die_at: int = 0
    die_in: str = ""
    is_broken: bool = False

    def to_json(self) -> str:
        """Return all of it, passwords too: for a pipe, never an argument or a file."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Orders:
        """Return what `to_json` wrote."""
        values = json.loads(text)
        sides = {side: Connection(**values.pop(side)) for side in ("source", "warehouse")}
        return Orders(**sides, **values)


def load(orders: Orders) -> int:
    """Load; return the exit code that `haven load` would have. Raises HavenError."""
    specs = tuple(TABLES[name] for name in orders.tables) + ((GONE,) if orders.with_gone else ())
    request = LoadRequest(**orders.request)

    def on_retry(what: str, reason: str, wait_s: float) -> None:
        print(f"{RETRY}{what}: {reason}, in {wait_s:.1f} s", file=sys.stderr)

    with recorded_run(
        orders.source,
        orders.warehouse,
        run_id=orders.run_id,
        command="load",
        retries=request.retries,
        on_retry=on_retry,
    ) as run:
        outcomes = engine.load_tables(
            Contract(specs, ()), orders.source, orders.warehouse, request, run=run, listener=Listener(on_retry=on_retry)
        )
        run.is_ok = not any(outcome.error for outcome in outcomes)
    for outcome in outcomes:
        if outcome.error:
            print(f"{outcome.table}: {outcome.error}", file=sys.stderr)
    return max(outcome.exit_code for outcome in outcomes)


def break_watermarks(warehouse: Connection) -> None:
    """Make the loader commit each watermark in a transaction of its own, before the rows' one."""
    original = table._advance_watermark

    def apart(plan: TablePlan, _: PgCursor, load_id: int) -> str | None:
        with closing(connect(warehouse)) as session, session, session.cursor() as cursor:
            return original(plan, cursor, load_id)

    table._advance_watermark = apart


def main() -> int:
    """Do what standard input says; return the exit code."""
    orders = Orders.from_json(sys.stdin.read())
    points.install(points.Counter(orders.die_at, orders.die_in), orders.warehouse.port)
    if orders.is_broken:
        break_watermarks(orders.warehouse)
    print("go", flush=True)
    try:
        return load(orders)
    except HavenError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
