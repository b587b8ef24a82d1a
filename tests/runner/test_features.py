"""The feature store on real data: the future changes nothing, increments equal a full refresh, files are exact.

Raw is changed behind the loader's back, as a load would change it: new values under a new load id.
"""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Databases, Project, copy_project, rows

from runner.connect import connect
from runner.errors import ConfigError
from runner.parquet import arrow_type, find_tables

FEATURES = ("customer_features", "product_features")
MODELS = ("int_features__order_lines", *FEATURES, "churn_labels")
AS_OF = date(2026, 3, 1)
LOAD_ID = 1000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, module_databases: Databases) -> Project:
    """A small warehouse with the feature store built, and nothing that it does not need."""
    folder = copy_project(tmp_path_factory.mktemp("features") / "haven copy")
    project = Project(folder, module_databases.create("source"), module_databases.create("warehouse"))
    project.haven("deps", "--offline")
    project.haven("demo", "init", "--scale", "0.02")
    project.haven("load")
    project.dbt("build", "--select", "+path:models/marts/ml", "--exclude-resource-type", "test", "unit_test")
    return project


def table(project: Project, name: str, where: str = "true", schema: str = "ml") -> list[Any]:
    """Return the rows of a table in the warehouse, sorted, without the load metadata."""
    with closing(connect(project.warehouse)) as session:
        query = f"select (to_jsonb(t) - '_load_id')::text from {schema}.{name} as t where {where}"
        return sorted(row[0] for row in rows(session, query))


def refreshed(project: Project) -> dict[str, list[Any]]:
    """Rebuild the feature store's incremental models in schemas of their own and return their rows."""
    state = project.path / "target" / "compared"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir()
    shutil.copy(project.path / "target" / "manifest.json", state)
    project.dbt(
        "run", "--full-refresh", "--select", *MODELS, "--defer", "--favor-state",
        "--state", str(state), "--target-path", str(project.path / "target" / "refreshed"),
        HAVEN_TARGET="dev", HAVEN_SCHEMA="refreshed",
    )  # fmt: skip
    found = {name: table(project, name, schema=schema_of(name, "refreshed_")) for name in MODELS}
    with closing(connect(project.warehouse)) as session:
        rows(session, "drop schema refreshed_ml cascade; drop schema refreshed_intermediate cascade")
    return found


def schema_of(model: str, prefix: str = "") -> str:
    """Return the schema of a model."""
    return f"{prefix}{'intermediate' if model.startswith('int_') else 'ml'}"


def change(project: Project, *statements: str, load_id: int = LOAD_ID) -> None:
    """Change raw in one transaction."""
    with closing(connect(project.warehouse)) as session, session, session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.format(load=load_id))
            assert cursor.rowcount > 0, statement


def run_models(project: Project, *, history: bool = False) -> None:
    """Build what changed: the models of the store, and the dimensions if their sources changed."""
    dimensions = ["customers_snapshot", "products_snapshot", "dim_customers", "dim_products"]
    selected = [
        *(dimensions if history else []),
        "int_orders__data_end",
        "int_features__as_of_dates",
        "int_features__refunds",
        *MODELS,
        "feature_catalogue",
    ]
    project.dbt("build", "--select", *selected, "--exclude-resource-type", "test", "unit_test")


def test_a_late_row_and_a_correction_reach_the_dates_they_belong_to(store: Project) -> None:
    """An order given to another customer, a moved line, another product, a new order: the next test proves them all."""
    (order, customer, product, other_order, other), *_ = warehouse_rows(
        store,
        "select a.order_id, a.customer_id, a.product_id, b.order_id, b.customer_id "
        "from intermediate.int_features__order_lines a "
        "join intermediate.int_features__order_lines b on a.customer_id <> b.customer_id "
        "where least(a.ordered_at, b.ordered_at) > '2025-06-01' "
        "and greatest(a.ordered_at, b.ordered_at) < '2026-01-01' "
        "and a._deleted_at is null and b._deleted_at is null "
        "order by a.order_item_id, b.order_item_id limit 1",
    )
    before = counts_per_date(store)
    changed = "select t::text from ml.customer_features t where customer_id = {} order by as_of_date limit 1"
    ordered = {who: warehouse_rows(store, changed.format(who)) for who in (customer, other)}
    load = f"_load_id = {LOAD_ID}, _loaded_at = now()"
    change(
        store,
        f"update raw.orders set customer_id = {other}, {load} where order_id = {order}",
        f"update raw.order_items set order_id = {order}, {load} where order_id = {other_order}",
        f"update raw.order_items set product_id = (select max(product_id) from raw.order_items), {load} "
        f"where product_id = {product}",
        "insert into raw.orders select -order_id, customer_id, order_status, currency_code, shipping_amount, "
        "discount_amount, shipping_address, ordered_at, '2026-08-01', '2026-08-01', now(), "
        f"{LOAD_ID}, null from raw.orders where order_id = {order}",
    )
    run_models(store)
    found = counts_per_date(store)
    assert set(found) - set(before) == {date(2026, 7, 1), date(2026, 8, 1)}
    assert warehouse_rows(store, changed.format(other)) != ordered[other]
    assert warehouse_rows(store, changed.format(customer)) != ordered[customer]
    assert not warehouse_rows(
        store,
        f"select 1 from intermediate.int_features__order_lines where customer_id = {customer} and order_id = {order}",
    )


# What happens from the as-of date on, and later news of what happened before it.
FUTURE = (
    # The future is rewritten: more orders of it, other amounts, and some that never were.
    "update raw.order_items set quantity = quantity + 7, _load_id = {load}, _loaded_at = now() "
    "where order_id in (select order_id from raw.orders where ordered_at >= '2026-03-01')",
    "update raw.orders set _deleted_at = now(), _load_id = {load}, _loaded_at = now() "
    "where ordered_at >= '2026-03-01' and order_id % 3 = 0",
    "insert into raw.listing_views select -view_id, product_id, customer_id, session_id, device, referrer, "
    "duration_seconds, '2026-03-01', '2026-03-01', now(), {load}, null from raw.listing_views "
    "where viewed_at < '2026-03-01' limit 500",
    # A row of the past that is written only now.
    "insert into raw.bids select -bid_id, product_id, customer_id, bid_amount * 2, currency_code, bid_status, "
    "'2026-02-20', '2026-03-05', '2026-03-05', now(), {load}, null from raw.bids limit 200",
    # What was known then is deleted, paid back, and has another status.
    "update raw.orders set _deleted_at = now(), _load_id = {load}, _loaded_at = now() "
    "where ordered_at < '2026-03-01' and order_id % 5 = 0",
    "update raw.reviews set _deleted_at = now(), _load_id = {load}, _loaded_at = now() "
    "where reviewed_at < '2026-03-01' and review_id % 5 = 0",
    "update raw.orders set order_status = 'cancelled', updated_at = '2026-07-01', _load_id = {load}, "
    "_loaded_at = now() where ordered_at < '2026-03-01' and order_id % 5 = 1",
    "update raw.payments set payment_status = 'refunded', updated_at = '2026-03-01', _load_id = {load}, "
    "_loaded_at = now() where payment_status = 'captured' and paid_at < '2026-03-01'",
    # A refund of the past is touched again, which moves the only time the source has for it.
    "update raw.payments set updated_at = '2026-07-01', _load_id = {load}, _loaded_at = now() "
    "where payment_status = 'refunded' and updated_at < '2026-03-01'",
    # The newest attributes.
    "update raw.customers set state_code = 'ZZ', is_marketing_opt_in = not is_marketing_opt_in, "
    "updated_at = '2026-07-01', _load_id = {load}, _loaded_at = now() where customer_id % 2 = 0",
    "update raw.products set price = price + 1000, listing_status = 'withdrawn', "
    "updated_at = '2026-07-01', _load_id = {load}, _loaded_at = now() where product_id % 2 = 0",
)


def test_the_future_changes_no_feature(store: Project) -> None:
    """Everything after the as-of date is changed and the store rebuilt, in an increment and in full.

    The full refresh also proves the increment of the test before.
    """
    known, later = f"as_of_date <= '{AS_OF}'", f"as_of_date > '{AS_OF}'"
    before = {name: table(store, name, known) for name in FEATURES}
    after = {name: table(store, name, later) for name in FEATURES}
    assert min(len(found) for found in before.values()) > 100
    change(store, *FUTURE, load_id=LOAD_ID + 1)
    run_models(store, history=True)
    assert {name: table(store, name, known) for name in FEATURES} == before
    for name in FEATURES:  # else the changes would prove nothing
        assert table(store, name, later) != after[name], name
    full = refreshed(store)
    assert full == {name: table(store, name, schema=schema_of(name)) for name in MODELS}


def test_a_view_that_moves_against_the_promise_is_found(store: Project) -> None:
    """`moves: false` saves the memory of each view's keys; the data test tells when a source does not keep to it."""
    models = ("--select", *FEATURES)
    change(
        store,
        f"update raw.listing_views as moved set customer_id = other.customer_id, product_id = other.product_id, "
        f"_load_id = {LOAD_ID + 2}, _loaded_at = now() from raw.listing_views as other "
        "where (moved.view_id, other.view_id) in ("
        "select a.view_id, b.view_id from raw.listing_views a join raw.listing_views b "
        "on a.customer_id <> b.customer_id and a.product_id <> b.product_id "
        "join ml.customer_features c on c.customer_id = a.customer_id and c.as_of_date = '2026-03-01' "
        "join ml.product_features p on p.product_id = a.product_id and p.as_of_date = '2026-03-01' "
        "where a.viewed_at between '2026-02-01' and '2026-02-20' and a._deleted_at is null "
        "order by a.view_id, b.view_id limit 1)",
    )
    store.dbt("run", *models)
    done = store.dbt("test", "--select", "feature_views_match_listing_views", expect=1)
    assert re.search(r"Got [1-9]\d* results?, configured to fail", done.out)
    store.dbt("run", "--full-refresh", *models)
    store.dbt("test", "--select", "feature_views_match_listing_views")


def warehouse_rows(project: Project, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query in the warehouse."""
    with closing(connect(project.warehouse)) as session:
        return rows(session, query)


def counts_per_date(project: Project) -> dict[date, int]:
    """Return the number of customers per as-of date."""
    query = "select as_of_date, count(*) from ml.customer_features group by as_of_date"
    return {row[0]: row[1] for row in warehouse_rows(project, query)}


def test_the_catalogue_says_what_the_tables_hold(store: Project) -> None:
    missing = warehouse_rows(
        store,
        "select table_name, column_name from information_schema.columns "
        "left join ml.feature_catalogue on feature_table = table_name and feature_name = column_name "
        "where table_schema = 'ml' and table_name like '%_features' and feature_name is null",
    )
    keys = {(n, c) for n, c in zip(FEATURES, ("customer_id", "product_id"), strict=True)}
    assert set(missing) == keys | {(name, "as_of_date") for name in FEATURES}
    ((owner, freshness, newest),) = warehouse_rows(
        store, "select distinct owner_email, freshness <> '', latest_as_of_date from ml.feature_catalogue"
    )
    assert (owner, freshness) == ("machine-learning@clutterhaven.example", True)
    assert newest == max(counts_per_date(store))


def test_export_holds_every_value_exactly(store: Project, tmp_path: Path) -> None:
    done = store.haven(
        "features", "export", "--since", "2026-02-01", "--until", "2026-04-01", "--json", "--output", str(tmp_path)
    )
    files = {entry["model"]: entry for entry in done.json["files"]}
    assert set(files) == {*FEATURES, "churn_labels", "churn_training_set"}
    for name, entry in files.items():
        found = pq.read_table(entry["path"])
        columns = ", ".join(found.column_names)
        entity = "product_id" if name == "product_features" else "customer_id"
        wanted = warehouse_rows(
            store,
            f"select {columns} from ml.{name} where as_of_date >= '2026-02-01' "
            f"and as_of_date < '2026-04-01' order by {entity}, as_of_date",
        )
        assert [tuple(row.values()) for row in found.to_pylist()] == wanted
        assert entry["rows"] == len(wanted) > 0
    schema = pq.read_schema(files["customer_features"]["path"])
    assert schema.field("items_amount_365d").type == pa.decimal128(18, 2)
    assert schema.field("as_of_date").type == pa.date32()
    assert schema.field("customer_id").type == pa.int64()
    assert schema.field("order_count").metadata[b"description"].startswith(b"Orders placed")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--model", "fct_orders"], 2, "cannot export fct_orders: choose from churn_labels"),
        (["--as-of", "2026-03-01", "--since", "2026-01-01"], 2, "give one of both"),
        (["--since", "2026-03-01", "--until", "2026-03-01"], 2, "--since must be before --until"),
        (["--output", "all.parquet"], 2, "is one file"),
        (["--as-of", "2026-03-02"], 1, "has no row with as_of_date from 2026-03-02"),
    ],
)
def test_export_says_in_one_line_what_is_wrong(store: Project, options: list[str], code: int, said: str) -> None:
    done = store.haven("features", "export", *options, expect=code)
    (line,) = [line for line in done.err.splitlines() if line.startswith("error:")]
    assert said in line
    assert not list((store.path / "target").glob("features/*unfinished"))


def test_types_of_postgresql_as_parquet_has_them() -> None:
    for declared, wanted in {
        "numeric(18,2)": pa.decimal128(18, 2),
        "numeric(38,0)": pa.decimal128(38, 0),
        "numeric(39,5)": pa.decimal256(39, 5),
        "numeric(77,5)": None,
        "numeric(3,-2)": None,
        "numeric(2,5)": None,
        "numeric": None,
        "character varying(5)": pa.string(),
        "timestamp(3) with time zone": pa.timestamp("us", tz="UTC"),
        "integer[]": None,
        "jsonb": None,
    }.items():
        assert arrow_type(declared) == wanted, declared


def test_a_value_that_parquet_lacks_leaves_the_old_file(tmp_path: Path, store: Project) -> None:
    path = tmp_path / "labels.parquet"
    command = ("features", "export", "--model", "churn_labels", "--output", str(path))
    store.haven(*command)
    old = path.read_bytes()
    warehouse_rows(store, "update ml.churn_labels set horizon_end_date = 'infinity'")
    done = store.haven(*command, expect=1)
    assert "churn_labels: a value does not fit into Parquet" in done.err
    assert path.read_bytes() == old
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    warehouse_rows(store, "drop view ml.churn_training_set; drop table ml.churn_labels")
    done = store.haven(*command, expect=2)
    assert "run `dbt build --select +churn_labels`" in done.err


def test_models_without_an_as_of_date_are_named() -> None:
    node = {
        "name": "scores", "resource_type": "model", "schema": "ml", "alias": "scores", "columns": {},
        "original_file_path": "models/scores.sql", "config": {"meta": {"feature_table": {"entity": "id"}}},
    }  # fmt: skip
    with pytest.raises(ConfigError, match=r"scores: config\.meta\.feature_table lacks as_of"):
        find_tables({"nodes": {"a": node}}, [])
    with pytest.raises(ConfigError, match="no model to export"):
        find_tables({"nodes": {}}, [])
