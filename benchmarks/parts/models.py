"""Does the build of the incremental models follow the changes, not the history?

A marketplace of a tenth of the orders and one of all are written set by set straight into raw, with the same number of
orders a day: ten times the orders are ten times the days. Then the same days of changes are built in both.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.cluster import ROOT, Bench, WrongResult
from benchmarks.demo import FILES, FOLDERS
from benchmarks.measure import Pipe
from benchmarks.measure import run as run_pipe
from benchmarks.trials import say
from runner.connect import connect

SECONDS_PER_MILLION, SECONDS, MAX_RUNS = 40, 150, 3
SCRIPTS = ROOT / "benchmarks" / "scripts"
DATABASE = "models"
# The incremental models, and what else they are computed from.
SELECTION = (
    "--select",
    "config.incremental_strategy:touched_keys",
    "resource_type:snapshot",
    "int_features__as_of_dates",
)
# What is computed whole at each build.
TABLES = ("--select", "marts,config.materialized:table")
NO_TESTS = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")


def run(bench: Bench, rows: int, runs: int) -> dict[str, Any]:
    """Build `rows` / 10 and `rows` orders from scratch, then `runs` days of changes in each."""
    small = rows // 10
    # A percent of the small one's orders is a day's.
    per_day = max(10, small // 100)
    return {
        "orders_per_day": per_day,
        "tenth": _measured(bench, small, per_day, min(runs, MAX_RUNS)),
        "whole": _measured(bench, rows, per_day, min(runs, MAX_RUNS)),
    }


def _measured(bench: Bench, orders: int, per_day: int, runs: int) -> dict[str, Any]:
    for side in (bench.source, bench.warehouse):
        bench.execute(
            side,
            f"drop database if exists {DATABASE} with (force)",
            f"create database {DATABASE}",
        )
    own = Bench(
        bench.home,
        replace(bench.source, dbname=DATABASE),
        replace(bench.warehouse, dbname=DATABASE),
    )
    project = _project(own)
    say(f"writing {orders:,} orders, {per_day:,} a day")
    _execute(own, "marketplace.sql", orders=orders, per_day=per_day)
    full, refreshed = _build(own, project, SELECTION, "--full-refresh")
    say(f"  full refresh: {full:.1f} s")
    own.execute(own.warehouse, "vacuum analyze")
    # The first build after a full one makes what only increments need.
    days, models = [], []
    for day in range(1, runs + 2):
        _execute(own, "marketplace_day.sql", orders=orders, per_day=per_day, day=day)
        seconds, by_model = _build(own, project, SELECTION)
        say(f"  day {day}: {seconds:.1f} s")
        if day > 1:
            days.append(seconds)
            models.append(by_model)
    tables, by_table = _build(own, project, TABLES)
    say(f"  tables that are computed whole: {tables:.1f} s")
    _check(own, orders, per_day, runs + 1)
    shutil.rmtree(project)
    for side in (bench.source, bench.warehouse):
        bench.execute(side, f"drop database {DATABASE} with (force)")
    return {
        "orders": orders,
        "full_seconds": round(full, 2),
        "seconds": [round(seconds, 2) for seconds in days],
        "models": {
            name: round(statistics.median(found[name] for found in models), 3)
            for name in sorted(models[0])
        },
        "refreshed": {name: round(seconds, 3) for name, seconds in refreshed.items()},
        "tables_seconds": round(tables, 2),
        "tables": {name: round(seconds, 3) for name, seconds in by_table.items()},
    }


def _project(own: Bench) -> Path:
    """Make a copy of the dbt project whose raw tables are there, with hardly a row."""
    project = own.home / "models project"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, project / name)
    for name in FILES:
        shutil.copy(ROOT / name, project)
    for arguments in (
        ("demo", "init", "--scale", "0.002"),
        ("deps", "--offline"),
        ("load",),
    ):
        command = (sys.executable, "-m", "runner.cli", *arguments)
        run_pipe(Pipe((command,), own.environment(HAVEN_HOME=str(project))), cwd=project)
    _dbt(own, project, "build", *NO_TESTS)  # what is not measured: staging, seeds, the calendar
    return project


def _build(
    own: Bench, project: Path, selection: tuple[str, ...], *flags: str
) -> tuple[float, dict[str, float]]:
    """Build what is selected; return the command's seconds, and each model's."""
    own.checkpoint()
    seconds = _dbt(own, project, "build", *selection, *NO_TESTS, *flags)
    results = json.loads((project / "target" / "run_results.json").read_text(encoding="utf-8"))
    return seconds, {
        result["unique_id"].split(".")[2]: result["execution_time"]
        for result in results["results"]
        if result["unique_id"].split(".")[0] in ("model", "snapshot")
    }


def _dbt(own: Bench, project: Path, *arguments: str) -> float:
    command = (sys.executable, "-m", "dbt.cli.main", *arguments, "--quiet")
    environment = own.environment(DBT_PROFILES_DIR=str(project), HAVEN_TARGET="local")
    return run_pipe(Pipe((command,), environment), cwd=project).seconds


def _execute(own: Bench, script: str, **values: int) -> None:
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
