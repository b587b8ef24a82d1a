"""Days that are not as usual: months of simulated events, and one fault at a time in the day that has just ended.

The models are those of the project; daily_metrics is a view here, so that each day is seen without dbt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from typing import Any

import pytest
from conftest import Databases, Project, copy_project, rows
from psycopg2.extensions import connection as PgConnection

from runner.connect import connect

# Model: time of the event, events on an ordinary day, and values of columns that are watched.
WATCHED = {
    "fct_orders": ("ordered_at", 200, {"order_amount": "exp(4 + random_normal())", "currency_code": "{currency}",
        "first_paid_at": "case when random() < 0.9 then at end"}),
    "fct_order_items": ("ordered_at", 500, {"unit_price_amount": "exp(3 + random_normal())"}),
    "fct_payments": (
        "paid_at", 190,
        {
            "payment_amount": "exp(4 + random_normal())", "currency_code": "{currency}",
            "payment_method": "case when random() < 0.6 then 'card' else 'transfer' end",
            "payment_status": "case when random() < 0.95 then 'captured' else 'failed' end",
        },
    ),
    "fct_bids": ("bid_at", 300, {"bid_amount": "exp(3 + random_normal())", "currency_code": "{currency}"}),
    "fct_listing_views": (
        "viewed_at", 1000,
        {
            "duration_seconds": "exp(3 + random_normal())",
            "device": "case when random() < 0.7 then 'phone' else 'desktop' end",
            "referrer": "case when random() < 0.5 then 'search' when random() < 0.5 then 'mail' end",
        },
    ),
    "fct_reviews": ("reviewed_at", 15, {"rating": "3 + 2 * random()"}),
    "stg_clutter_haven__customers": (
        "created_at", 40, {"state_code": "case when random() < 0.4 then 'CA' else 'NY' end"}
    ),
}  # fmt: skip
CURRENCY = "case when random() < 0.8 then 'USD' else 'EUR' end"
DAYS = 92
FIRST = date(2026, 1, 5)
LAST = FIRST + timedelta(days=DAYS - 1)
# What happened on the day, and the metric of `fct_orders` that has to tell.
FAULTS = {
    "half of the rows are missing": ("delete from {table} where {day} and random() < 0.5", "rows"),
    "no rows at all": ("delete from {table} where {day}", "rows"),
    "loaded twice": ("insert into {table} select * from {table} where {day}", "rows"),
    "amounts in cents": (
        "update {table} set order_amount = 100 * order_amount where {day}", "median of order_amount"
    ),
    "amounts in thousands": (
        "update {table} set order_amount = order_amount / 1000 where {day}", "median of order_amount"
    ),
    "a flood of nulls": ("update {table} set first_paid_at = null where {day}", "null share of first_paid_at"),
    "one currency vanishes": (
        "delete from {table} where {day} and currency_code = 'EUR'", "share of currency_code EUR"
    ),
    "currencies mixed up": ("update {table} set currency_code = 'EUR' where {day}", "share of currency_code USD"),
    "a currency nobody knows": (
        "update {table} set currency_code = 'XXX' where {day} and random() < 0.3", "share of currency_code XXX"
    ),
    "the zone is another": (
        "update {table} set ordered_at = ordered_at + interval '14 hours' where {day}", "rows"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def project(module_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Watched tables with the columns of the YAML and three months of events, and the two models as views on them."""
    folder = copy_project(tmp_path_factory.mktemp("anomalies") / "haven")
    made = Project(folder, module_databases.create("source"), module_databases.create("warehouse"))
    made.haven("deps", "--offline")
    made.dbt("seed", "--quiet", "--select", "personal_data")
    with closing(connect(made.warehouse)) as session:
        for name, days in (("daily_metrics", 60), ("metric_anomalies", 60), ("daily_metrics", DAYS + 1)):
            made.dbt("compile", "--quiet", "--select", name, "--vars", f"monitored_days: {days}")
            compiled = folder / "target" / "compiled" / "haven" / "models" / "quality" / "anomalies" / f"{name}.sql"
            if name == "daily_metrics" and days == 60:
                manifest = json.loads((folder / "target" / "manifest.json").read_text("utf-8"))
                make_tables(session, manifest)
            view = name if days == 60 else "all_metrics"
            rows(session, f"create view quality.{view} as {compiled.read_text('utf-8')}")
        live(session)
    return made


def make_tables(session: PgConnection, manifest: dict[str, Any]) -> None:
    """Create what is watched, with the columns of its YAML."""
    for name in ("analytics", "staging", "quality"):
        rows(session, f"create schema if not exists {name}")
    for name in WATCHED:
        columns = manifest["nodes"][f"model.haven.{name}"]["columns"].values()
        defined = ", ".join(f"{column['name']} {column['data_type']}" for column in columns)
        rows(session, f"create table {table_of(name)} ({defined})")


@pytest.fixture
def warehouse(project: Project) -> Iterator[PgConnection]:
    """A session of which nothing stays."""
    with closing(connect(project.warehouse)) as session:
        yield session
        session.rollback()


def table_of(name: str) -> str:
    """Return the table of a watched model."""
    return f"{'staging' if name.startswith('stg') else 'analytics'}.{name}"


def ask(session: PgConnection, query: str, *args: object) -> list[tuple[Any, ...]]:
    """Return the rows of a query, in the transaction that is open."""
    with session.cursor() as cursor:
        cursor.execute(query, args or None)
        return cursor.fetchall() if cursor.description else []


def live(session: PgConnection) -> None:
    """Let days pass: weekends are half as busy again, and each day is off by a tenth."""
    rows(session, "select setseed(0.1)")
    for name, (event_time, usual, values) in WATCHED.items():
        rows(
            session,
            f"insert into {table_of(name)} ({event_time}, {', '.join(values)}) "
            f"select at, {', '.join(values.values()).format(currency=CURRENCY)} from (select "
            "(day + random() * interval '1 day') at time zone 'UTC' as at from (select day, round("
            "%s * case when extract(isodow from day) > 5 then 1.5 else 1 end * (1 + 0.1 * random_normal()))::int as n "
            "from generate_series(%s::timestamp, %s::timestamp, interval '1 day') as day) as days "
            "cross join lateral generate_series(1, n)) as events",
            usual, FIRST, LAST,
        )  # fmt: skip
        # Something has happened after midnight, so that the last day is over by the clock of the events.
        rows(
            session, f"insert into {table_of(name)} ({event_time}) values (%s)", f"{LAST + timedelta(days=1)} 00:10+00"
        )
        rows(session, f"analyze {table_of(name)}")


def found(session: PgConnection) -> dict[tuple[str, str], date]:
    """Return what is not as usual, with the day it is about."""
    query = "select model_name, metric, metric_date from quality.metric_anomalies where is_anomalous"
    return {(model, metric): when for model, metric, when in ask(session, query)}


def test_three_months_of_noisy_weeks_raise_no_alarm(warehouse: PgConnection) -> None:
    ask(warehouse, "create table quality.kept as select * from quality.all_metrics")
    ask(
        warehouse,
        "create or replace view quality.daily_metrics as select * from quality.kept "
        "where metric_date between current_setting('haven.day')::date - 59 and current_setting('haven.day')::date",
    )
    alarms = {}
    for day in range(DAYS):
        ask(warehouse, "select set_config('haven.day', %s, true)", str(FIRST + timedelta(days=day)))
        alarms[day] = found(warehouse)
    assert len(alarms) == 92
    assert {day: alarm for day, alarm in alarms.items() if alarm} == {}


@pytest.mark.parametrize(
    ("days", "name"), [(60, name) for name in FAULTS] + [(8, "no rows at all"), (29, "no rows at all")]
)
def test_w1_w2_a_fault_is_found_on_its_first_day(warehouse: PgConnection, days: int, name: str) -> None:
    statement, metric = FAULTS[name]
    table = "analytics.fct_orders"
    ask(warehouse, f"delete from {table} where ordered_at < %s", f"{LAST - timedelta(days=days - 1)} 00:00+00")
    ask(warehouse, statement.format(table=table, day=f"(ordered_at at time zone 'UTC')::date = '{LAST}'"))
    assert found(warehouse).get(("fct_orders", metric)) == LAST


@pytest.mark.parametrize("model", WATCHED)
def test_w1_any_feed_that_stalls_is_found_and_no_other(warehouse: PgConnection, model: str) -> None:
    event_time, _, _ = WATCHED[model]
    ask(warehouse, f"delete from {table_of(model)} where ({event_time} at time zone 'UTC')::date = %s", LAST)
    assert {key: day for key, day in found(warehouse).items() if key[1] == "rows"} == {(model, "rows"): LAST}
