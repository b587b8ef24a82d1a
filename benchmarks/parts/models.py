"""What a day of changes costs to build, all models included, and whether that follows the changes or the history.

A marketplace of a tenth of the orders and one of all are written set by set straight into raw, with the same number of
orders a day: ten times the orders are ten times the days. Then the same days of changes are built in both.
"""

from __future__ import annotations

import json
from contextlib import closing

from benchmarks.cluster import ROOT, Bench, WrongResult, own_databases
from benchmarks.demo import Demo, copied
from benchmarks.results import Row
from benchmarks.trials import say
from runner.connect import connect

SCRIPTS = ROOT / "benchmarks" / "scripts"
# The incremental models, and what else they are computed from.
INCREMENTAL = (
    "--select", "config.incremental_strategy:touched_keys", "resource_type:snapshot", "int_features__as_of_dates",
)  # fmt: skip
NO_TESTS = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
PARTLY, WHOLLY = ("incremental models and snapshots, one dbt build", "all models and snapshots, one dbt build")
Seconds = dict[str, list[float]]


def run(bench: Bench, rows: int, runs: int) -> list[Row]:
    """Build `rows` / 10 and `rows` orders from scratch, then `runs` days of changes in each."""
    small = rows // 10
    per_day = max(10, small // 100)  # a percent of the small one's orders
    found = [
        *_measured(bench, small, per_day, runs, "1x history"),
        *_measured(bench, rows, per_day, runs, "10x history"),
    ]
    order = list(dict.fromkeys((PARTLY, WHOLLY, *sorted(row.variant for row in found))))
    return sorted(found, key=lambda row: (order.index(row.variant), "full" in row.measure))


def _measured(bench: Bench, orders: int, per_day: int, runs: int, history: str) -> list[Row]:
    with own_databases(bench, "models") as own, copied(own, "models project") as demo:
        # The raw tables have to be there, and what is not measured: staging, seeds, the calendar.
        demo.haven("demo", "init", "--scale", "0.002")
        demo.haven("deps", "--offline")
        demo.haven("load")
        demo.dbt("build", *NO_TESTS)
        say(f"writing {orders:,} orders, {per_day:,} a day")
        execute_script(own, "marketplace.sql", orders=orders, per_day=per_day)
        full: Seconds = {}
        _build(demo, full, PARTLY, *INCREMENTAL, "--full-refresh")
        own.execute(own.warehouse, "vacuum analyze")
        days: Seconds = {}
        for day in range(1, runs + 3):
            execute_script(own, "marketplace_day.sql", orders=orders, per_day=per_day, day=day)
            if day == 1:  # the first build after a full one makes what only increments need
                _build(demo, {}, PARTLY, *INCREMENTAL)
            elif day <= runs + 1:
                _build(demo, days, PARTLY, *INCREMENTAL)
            else:
                _build(demo, days, WHOLLY)
        _check(own, orders, per_day, runs + 2)
    return [
        Row.of("models", orders, name, f"{what}, {history}", "s", seconds)
        for what, measured in (("a day", days), ("full refresh", full))
        for name, seconds in measured.items()
    ]


def _build(demo: Demo, found: Seconds, name: str, *selection: str) -> None:
    """Build what is selected; add the command's seconds under `name`, and those of each table and snapshot."""
    demo.bench.checkpoint()
    seconds = demo.dbt("build", *NO_TESTS, *selection).seconds
    say(f"  {name} {' '.join(selection[-1:])}: {seconds:.1f} s")
    found.setdefault(name, []).append(seconds)
    results = json.loads((demo.project / "target" / "run_results.json").read_text("utf-8"))
    for result in results["results"]:
        kind, _, model = result["unique_id"].split(".")[:3]
        is_view = "VIEW" in str(result["message"])
        if kind in ("model", "snapshot") and not is_view and (name == PARTLY or model not in found):
            found.setdefault(model, []).append(result["execution_time"])


def execute_script(own: Bench, script: str, **values: int) -> None:
    """Run one of the scripts, in one transaction, with its numbers filled in."""
    text = (SCRIPTS / script).read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f":{name}", str(value))
    with closing(connect(own.warehouse)) as session, session, session.cursor() as cursor:
        cursor.execute(text)


def _check(own: Bench, orders: int, per_day: int, days: int) -> None:
    """Make sure that the days were built. Raises WrongResult if facts and raw disagree."""
    ((facts, live, revenue, daily),) = own.execute(
        own.warehouse,
        "select (select count(*) from analytics.fct_orders), "
        "(select count(*) from raw.orders where _deleted_at is null), "
        "(select sum(order_amount) from analytics.fct_orders where is_revenue), "
        "(select sum(gross_amount) from analytics.daily_revenue)",
    )
    if facts != live or revenue != daily or facts < orders + days * per_day // 4:
        raise WrongResult(f"{facts} facts of {live} orders, {daily} of {revenue} revenue")
