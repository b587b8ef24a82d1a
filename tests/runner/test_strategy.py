"""The strategy touched_keys under careless hands: what a model forgets costs time, or is refused by name; never rows.

A small shop, raw rows changed as a load would change them, the project's own macros, dbt in this process.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Databases
from dbt.tests.util import run_dbt
from dbt_common.exceptions.base import CompilationError

from runner.settings import Connection

pytest_plugins = ["dbt.tests.fixtures.project"]
# Only macros are tested here, and dbt runs in this process: coverage would measure dbt.
pytestmark = pytest.mark.no_cover
FOLDERS = ("incremental", "materializations", "scd2", "schemas", "tests")
FAIL = "on_schema_change='fail'"
STRATEGY = "materialized='incremental', incremental_strategy='touched_keys'"


@pytest.fixture(scope="module")
def server(cluster_home: Path) -> Iterator[Connection]:
    """A database of the embedded PostgreSQL 18."""
    made = Databases(cluster_home)
    yield made.create("warehouse")
    made.drop_all()


@pytest.fixture(scope="class")
def dbt_profile_target(server: Connection) -> dict[str, Any]:
    return {
        "type": "postgres", "threads": 2, "host": server.host, "port": server.port,
        "user": server.user, "pass": server.password, "dbname": server.dbname,
        "sslmode": server.sslmode,
    }  # fmt: skip


@pytest.fixture(scope="class")
def macros() -> dict[str, str]:
    return {
        path.name: path.read_text(encoding="utf-8")
        for folder in FOLDERS
        for path in sorted((ROOT / "macros" / folder).glob("*.sql"))
    }


@pytest.fixture(scope="class")
def project_config_update() -> dict[str, Any]:
    before, after = ["{{ begin_consistent_read() }}"], ["{{ save_high_load_ids() }}"]
    return {
        "on-run-start": ["{{ check_names() }}", "{{ check_casts() }}", "{{ create_model_state() }}"],
        "models": {"+pre-hook": [*before, "{{ collect_touched_keys() }}"], "+post-hook": after},
        "snapshots": {"+pre-hook": [*before, "{{ follow_widened_types() }}"], "+post-hook": after},
    }


@pytest.fixture(scope="class")
def logs_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("logs"))
        patch.setenv("DBT_LOG_PATH", folder)
        yield folder


def touched(select: str, *settings: str) -> str:
    """Return the text of a model of the strategy."""
    return f"{{{{ config({', '.join([STRATEGY, *settings])}) }}}}\n{select}"


def unique(*columns: str) -> str:
    """Return the settings of a grain with its unique index."""
    return f"unique_key={list(columns)}, indexes=[{{'columns': {list(columns)}, 'unique': true}}]"


def staging(table: str, columns: str) -> str:
    """Return a staging view's text."""
    return f"select {columns}, _deleted_at is not null as is_deleted, _load_id from {{{{ source('shop', '{table}') }}}}"


def build(*models: str, options: tuple[str, ...] = ()) -> None:
    """Build models, which have to succeed."""
    results = run_dbt(["build", "--select", *models, *options], expect_pass=None)
    bad = ("error", "fail", "skipped")
    assert [f"{r.node.name}: {r.message}" for r in results if r.status in bad] == []


def failure(model: str, *options: str) -> str:
    """Run one model, which has to fail, and return why."""
    results = run_dbt(["run", "--select", model, *options], expect_pass=False)
    return "".join(str(r.message) for r in results if r.status == "error")


def rows(project: Any, model: str) -> list[Any]:
    """Return a model's rows, sorted."""
    found = project.run_sql(f"select t::text from {{schema}}.{model} as t order by 1", fetch="all")
    return [row[0] for row in found]


def assert_like_full_refresh(project: Any, *models: str) -> None:
    """Check that the models hold what a full refresh gives them."""
    before = {model: rows(project, model) for model in models}
    build(*models, options=("--full-refresh",))
    assert before == {model: rows(project, model) for model in models}


def change(project: Any, *statements: str) -> None:
    """Change raw rows as one load would: `{load}` is its id."""
    load = "(select max(load_id) from {schema}.loads)"
    project.run_sql("insert into {schema}.loads select max(load_id) + 1 from {schema}.loads")
    for statement in statements:
        project.run_sql(statement.replace("{load}", load))


COMMON = "_load_id bigint default 1, _loaded_at timestamptz default now(), _deleted_at timestamptz"


class _Shop:
    """A shop with orders, their items, bids, vendors and order statuses."""

    @pytest.fixture(scope="class")
    def seeds(self) -> dict[str, str]:
        return {"statuses.csv": "status,is_revenue\npaid,true\nopen,false\n"}

    @pytest.fixture(scope="class", autouse=True)
    def tables(self, project: Any) -> None:
        project.run_sql("create table {schema}.loads as select 1::bigint as load_id")
        project.run_sql(
            f"create table {{schema}}.bids (bid_id int primary key, bid_at timestamptz, {COMMON});"
            f"create table {{schema}}.orders (order_id int primary key, day date, status text, {COMMON});"
            f"create table {{schema}}.items (item_id int primary key, order_id int, vendor_id int,"
            f" amount numeric, {COMMON});"
            f"create table {{schema}}.vendors (vendor_id int primary key, rate numeric(6, 4), {COMMON});"
            "insert into {schema}.bids select n, '2026-01-01 12:00+00'::timestamptz + n % 9 * interval '1 day'"
            " from generate_series(1, 90) as n;"
            "insert into {schema}.orders select n, '2026-01-01'::date + n % 5, 'paid' from generate_series(1, 20) as n;"
            "insert into {schema}.items select n, n % 20 + 1, n % 3 + 1, n from generate_series(1, 60) as n;"
            "insert into {schema}.vendors select n, 0.1 * n from generate_series(1, 3) as n;"
        )

    @staticmethod
    def yaml(tables: tuple[str, ...] = ("bid", "order", "item", "vendor")) -> str:
        """Return the YAML of the sources and of what is unique in staging."""
        return json.dumps(
            {
                "sources": [
                    {
                        "name": "shop",
                        "schema": "{{ target.schema }}",
                        "tables": [{"name": n} for n in ("bids", "orders", "items", "vendors")],
                    }
                ],
                "models": [
                    {"name": f"stg_{name}s", "columns": [{"name": f"{name}_id", "data_tests": ["unique"]}]}
                    for name in tables
                ],
            }
        )

    @classmethod
    def staged(cls) -> dict[str, str]:
        """Return the staging views, and a view that joins two of them."""
        return {
            "schema.yml": cls.yaml(),
            "stg_bids.sql": staging("bids", "bid_id, bid_at"),
            "stg_orders.sql": staging("orders", "order_id, day, status"),
            "stg_items.sql": staging("items", "item_id, order_id, vendor_id, amount"),
            "stg_vendors.sql": staging("vendors", "vendor_id, rate"),
            "items_joined.sql": "select items.item_id, items.order_id, items.vendor_id, items.amount, orders.day,"
            " statuses.is_revenue from {{ ref('stg_items') }} as items"
            " join {{ ref('stg_orders') }} as orders using (order_id)"
            " join {{ ref('statuses') }} as statuses using (status)"
            " where not items.is_deleted and not orders.is_deleted",
        }


BY_DAY = "touched_by': {'stg_bids': \"(bid_at at time zone 'UTC')::date\"}"
BIDS_BY_DAY = "select (bid_at at time zone 'UTC')::date as day, count(*) as bids from {{ ref('stg_bids') }} group by 1"


class TestForgottenFilters(_Shop):
    """H1: computed rows of untouched keys are left alone, and the grain is held by an index."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        by_day = f"meta={{'{BY_DAY}}}"
        return self.staged() | {
            "bids_by_day.sql": touched(BIDS_BY_DAY, unique("day"), by_day),
            "bids_by_month.sql": "{{ config(materialized='partitioned', incremental_strategy='touched_keys',"
            " partition_by={'column': 'day', 'step': 'month'}, " + unique("day") + ", " + by_day + ") }} "
            + BIDS_BY_DAY,
            # Half filtered: the sum of an order's items is not whole for the orders of other keys.
            "order_amounts.sql": touched(
                "select order_id, sum(amount) as amount from {{ ref('stg_orders') }} as orders"
                " left join (select * from {{ ref('stg_items') }} where not is_deleted"
                " and {{ is_touched('order_id') }})"
                " as items using (order_id) group by order_id",
                unique("order_id"),
            ),
            "without_index.sql": touched(BIDS_BY_DAY, "unique_key='day'", by_day),
            "wrong_index.sql": touched(
                BIDS_BY_DAY, "unique_key='day', indexes=[{'columns': ['day', 'bids'], 'unique': true}]", by_day
            ),
            "without_grain.sql": touched(BIDS_BY_DAY, by_day),
            "two_per_day.sql": touched(
                "select distinct (bid_at at time zone 'UTC')::date as day, bid_id % var_two as half from"
                " (select *, 2 as var_two from {{ ref('stg_bids') }}) as bids"
                "{{ ' where bid_id % 2 = 0' if not is_incremental() }}", unique("day"), by_day,
            ),
        }  # fmt: skip

    def test_h1_rows_of_other_keys_are_never_written(self, project: Any) -> None:
        models = ("bids_by_day", "bids_by_month", "order_amounts")
        build("statuses", "+bids_by_day", "+bids_by_month", "+order_amounts", "two_per_day")
        change(
            project,
            "update {schema}.bids set bid_at = bid_at + interval '1 day', _load_id = {load} where bid_id = 9",
            "update {schema}.items set order_id = 7, _load_id = {load} where item_id = 1",
            "update {schema}.bids set _load_id = {load} where bid_id = 11",
        )
        build(*models)
        assert project.run_sql("select sum(bids)::int from {schema}.bids_by_day", fetch="one") == (90,)
        assert_like_full_refresh(project, *models)
        # What an increment gives twice is refused, as the first build would have.
        assert "more than once" in failure("two_per_day")

    def test_h1_the_grain_needs_a_unique_index(self, project: Any) -> None:
        wanted = "add {'columns': ['day'], 'unique': true} to the indexes in its config"
        assert wanted in failure("without_index")
        assert wanted in failure("wrong_index")
        assert "needs unique_key, the grain of the model" in failure("without_grain")

    def test_h1_a_table_built_without_the_index_gets_it(self, project: Any) -> None:
        build("+bids_by_day")
        index = "select indexrelid::regclass::text from pg_index where indrelid = '{schema}.bids_by_day'::regclass"
        ((name,),) = project.run_sql(index, fetch="all")
        project.run_sql(f"drop index {name}")
        build("bids_by_day")
        assert len(project.run_sql(index, fetch="all")) == 1

    def test_h1_a_key_without_value_is_refused(self, project: Any) -> None:
        change(project, "update {schema}.bids set bid_at = null, _load_id = {load} where bid_id in (1, 2)")
        build("stg_bids")
        # Its computed row is there, as the import is not filtered; a filtered one shows in the next full build.
        for options in ((), ("--full-refresh",)):
            assert "1 rows have no value in one of day" in failure("bids_by_day", *options)
        change(project, "update {schema}.bids set bid_at = '2026-01-03', _load_id = {load} where bid_at is null")


class TestInputs(_Shop):
    """H2: an input that nobody declared touches what it carries, or the model is refused."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        orders = "select order_id, day, status from {{ ref('stg_orders') }} where not is_deleted"
        daily = (
            "select orders.day, count(distinct orders.order_id) as orders, sum(items.commission) as commission"
            " from {{ ref('fct_orders') }} as orders"
            " left join {{ ref('fct_items') }} as items using (order_id, day) group by orders.day"
        )
        reads_vendors = (
            "select item_id, rate from {{ ref('fct_items') }} join {{ ref('stg_vendors') }} using (vendor_id)"
        )

        def vendors(rule: str) -> str:
            return f"meta={{'touched_by': {{'stg_vendors': {rule}}}}}"

        return self.staged() | {
            "fct_orders.sql": touched(orders, unique("order_id")),
            # Through a view: the items by their key, the orders declared, the seed by its content.
            "fct_items.sql": touched(
                "select item_id, order_id, vendor_id, amount, day, is_revenue, amount * rate as commission"
                " from {{ ref('items_joined') }} join {{ ref('stg_vendors') }} as vendors using (vendor_id)"
                " where {{ is_touched('item_id') }}",
                unique("item_id"),
                "meta={'touched_by': {'stg_orders': {'column': 'order_id', 'through': 'stg_items'},"
                " 'stg_vendors': {'column': 'vendor_id', 'through': 'this'}}}",
            ),
            "daily.sql": touched(daily, unique("day")),
            # The declaration leaves out commission, which the SQL reads.
            "daily_uses.sql": touched(
                daily, unique("day"),
                "meta={'touched_by': {'fct_items': {'column': 'day', 'uses': 'item_id'}}}",
            ),
            # An item that moves touches the order that it left, though nobody said row_id.
            "order_items.sql": touched(
                "select order_id, count(*) as items from {{ ref('stg_items') }} where not is_deleted"
                " group by order_id", unique("order_id"), "meta={'touched_by': {'stg_items': 'order_id'}}",
            ),
            "names_the_view.sql": touched(
                "select item_id, day, is_revenue from {{ ref('items_joined') }}", unique("item_id"),
                "meta={'touched_by': {'items_joined': {'column': 'order_id', 'through': 'stg_items'}}}",
            ),
            "undeclared.sql": touched(reads_vendors, unique("item_id")),
            "unread.sql": touched(orders, unique("order_id"), vendors("'order_id'")),
            "unknown_rule.sql": touched(reads_vendors, unique("item_id"), vendors("{'columns': 'item_id'}")),
            "not_its_key.sql": touched(
                "select item_id, day from {{ ref('items_joined') }}", unique("item_id"),
                "meta={'touched_by': {'stg_orders': {'column': 'day', 'through': 'this'}}}",
            ),
        }  # fmt: skip

    def test_h2_inputs_that_nobody_declared_touch_the_keys_they_carry(self, project: Any) -> None:
        models = ("fct_orders", "fct_items", "daily", "daily_uses", "order_items", "names_the_view")
        build("+fct_orders", "+fct_items", *models[2:])
        changes = (
            "update {schema}.items set vendor_id = 3, _load_id = {load} where item_id = 4",
            "update {schema}.items set order_id = 9, _load_id = {load} where item_id = 5",
            "update {schema}.orders set day = '2026-01-09', _load_id = {load} where order_id = 3",
            "update {schema}.vendors set rate = 0.9, _load_id = {load} where vendor_id = 2",
            "update {schema}.items set _deleted_at = now(), _load_id = {load} where item_id = 6",
        )
        for statement in changes:
            change(project, statement)
            build(*models)
        assert_like_full_refresh(project, *models)

    def test_h2_a_changed_seed_touches_every_key(self, project: Any) -> None:
        build("+fct_items")
        project.run_sql("update {schema}.statuses set is_revenue = false")
        build("fct_items", "names_the_view")
        found = project.run_sql("select bool_or(is_revenue) from {schema}.fct_items", fetch="one")
        assert found == (False,)
        assert_like_full_refresh(project, "fct_items", "names_the_view")

    def test_h2_a_declaration_that_wants_what_was_not_kept_is_refused_by_name(self, project: Any) -> None:
        """Only a full refresh knows which order each item belonged to."""
        build("stg_items", "order_items")
        project.run_sql("drop table {schema}_model_state.order_items__stg_items")
        said = failure("order_items")
        assert "order_items: which rows of stg_items belonged to which key was not kept" in said
        assert "dbt build --full-refresh --select order_items+" in said
        build("order_items", options=("--full-refresh",))
        build("order_items")

    def test_h2_what_a_declaration_gets_wrong_is_refused_by_name(self, project: Any) -> None:
        build("+fct_items", "+fct_orders")
        undeclared = failure("undeclared")
        assert "undeclared: reads stg_vendors, which has no column item_id" in undeclared
        assert "'stg_vendors': {'column': '<its column>', 'through': 'this'}" in undeclared
        assert "touched_by names stg_vendors, which the model does not read" in failure("unread")
        assert "touched_by.stg_vendors has columns; it takes column" in failure("unknown_rule")
        assert "which is not what its rows are known by (order_id)" in failure("not_its_key")


class TestWholeInputs(_Shop):
    """Inputs that do not say what changed: whatever they hold now is computed."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return self.staged() | {
            "vendor_table.sql": "{{ config(materialized='table') }} select vendor_id as id, rate"
            " from {{ ref('stg_vendors') }} where not is_deleted",
            # A renamed key, through a model without a table of its own.
            "vendor_names.sql": "{{ config(materialized='ephemeral') }} select id as vendor_id, rate"
            " from {{ ref('vendor_table') }}",
            "rates_of_table.sql": touched(
                "select vendor_id, rate from {{ ref('vendor_names') }} where {{ is_touched('vendor_id') }} -- all",
                unique("vendor_id"),
            ),
            "status_list.sql": touched("select status, is_revenue from {{ ref('statuses') }}", unique("status")),
            # What a view says of the strategy is not meant for it.
            "a_view.sql": "{{ config(materialized='view', incremental_strategy='touched_keys') }}"
            " select order_id, status from {{ ref('stg_orders') }}",
            "reads_a_view.sql": touched("select order_id, status from {{ ref('a_view') }}", unique("order_id")),
            # At first incremental, then a table, then incremental again.
            "changing.sql": "{{ config(materialized=var('kind', 'incremental'),"
            " incremental_strategy=var('by', 'touched_keys'), "
            + unique("item_id")
            + ") }} select item_id, order_id from {{ ref('stg_items') }} where not is_deleted",
            "reads_changing.sql": touched(
                "select order_id, count(*) as lines from {{ ref('changing') }} group by order_id", unique("order_id")
            ),
        }

    def test_new_keys_of_a_table_or_seed_arrive_and_gone_ones_go(self, project: Any) -> None:
        models = ("rates_of_table", "status_list")
        build("+rates_of_table", "+status_list")
        change(
            project,
            "insert into {schema}.vendors (vendor_id, rate, _load_id) select 9, 0.9, {load}",
            "update {schema}.vendors set _deleted_at = now(), _load_id = {load} where vendor_id = 1",
            "insert into {schema}.statuses values ('refunded', false)",
            "delete from {schema}.statuses where status = 'open'",
        )
        kept = "select xmin::text from {schema}.rates_of_table where vendor_id = 2"
        before = project.run_sql(kept, fetch="one")
        build("vendor_table", *models)
        assert rows(project, "rates_of_table") == ["(2,0.2000)", "(3,0.3000)", "(9,0.9000)"]
        assert rows(project, "status_list") == ["(paid,t)", "(refunded,f)"]
        assert project.run_sql(kept, fetch="one") == before
        assert_like_full_refresh(project, *models)

    def test_a_model_that_was_a_table_meanwhile_touches_every_key(self, project: Any) -> None:
        build("+reads_changing")
        as_table = ("--vars", "{kind: table, by: append}")
        for number, options in ((8, as_table), (9, ())):
            change(project, f"update {{schema}}.items set order_id = {number}, _load_id = {{load}} where item_id = 4")
            build("changing", options=options)
        build("reads_changing")
        assert_like_full_refresh(project, "changing", "reads_changing")

    def test_a_view_is_none_of_the_strategy_whatever_its_config_says(self, project: Any) -> None:
        build("+reads_a_view")
        change(project, "update {schema}.orders set status = 'open', _load_id = {load} where order_id = 4")
        build("a_view", "reads_a_view")
        assert "(4,open)" in rows(project, "reads_a_view")


class TestOtherReaders(_Shop):
    """Views, snapshots and versions that are not what they look like, and keys that are made anew."""

    @pytest.fixture(scope="class")
    def snapshots(self) -> dict[str, str]:
        text = {
            "name": "open_orders_snapshot", "relation": "ref('open_orders')",
            "config": {
                "unique_key": "order_id", "strategy": "check", "check_cols": ["status"], "hard_deletes": "invalidate",
            },
        }  # fmt: skip
        return {"snapshots.yml": json.dumps({"snapshots": [text]})}

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        yaml = json.loads(self.yaml())
        yaml["models"].append({"name": "ver", "latest_version": 2, "versions": [{"v": 1}, {"v": 2}]})
        for table, key in zip(yaml["sources"][0]["tables"], ("bid", "order", "item", "vendor"), strict=True):
            table["config"] = {"meta": {"load": {"primary_key": [f"{key}_id"]}}}
        of_items = "count(*) as lines from {{ ref('stg_items') }} where not is_deleted and {{ is_touched"

        def by(rule: str, key: str = "order_id") -> str:
            return f"{unique(key)}, meta={{'touched_by': {{{rule}}}}}"

        ver = touched(f"select order_id, {of_items}('order_id') }}}} group by 1", unique("order_id"))
        anew = f"select coalesce(vendor_id, -1) as vendor_id, {of_items}('coalesce(vendor_id, -1)') }}}} group by 1"
        return self.staged() | {
            "schema.yml": json.dumps(yaml),
            # The filter is in a macro's text, not in the view's own.
            "open_orders.sql": "{% set condition = \"wh\" ~ \"ere status <> 'gone' and _deleted_at is null\" %}"
            "select order_id, day, status, _load_id from {{ source('shop', 'orders') }} {{ condition }}",
            "open_per_day.sql": touched(
                "select day, count(*) as orders from {{ ref('open_orders') }} group by day", unique("day")
            ),
            "of_snapshot.sql": touched(
                "select order_id, count(*) filter (where dbt_valid_to is null) as versions"
                " from {{ ref('open_orders_snapshot') }} group by order_id", unique("order_id"),
            ),
            "ver_v1.sql": ver,
            "ver_v2.sql": ver,
            "vendor_lines.sql": touched(anew, by("'stg_items': 'coalesce(vendor_id, -1)'", "vendor_id")),
            "without_rule.sql": touched(anew, unique("vendor_id")),
            "other_name.sql": touched(
                f"select vendor_id as order_id, {of_items}('order_id') }}}} group by 1", unique("order_id")
            ),
            # Mixed case, a renaming view, and a star.
            "mixed.sql": touched(
                'select item_id, order_id, amount as "Ship", vendor_id, vendor_id as other'
                " from {{ ref('stg_items') }} where not is_deleted", unique("item_id"),
            ),
            "renamed.sql": "select item_id, order_id, vendor_id as seller from {{ ref('mixed') }}",
            "uses_mixed.sql": touched(
                'select order_id, sum("Ship") as shipping from {{ ref(\'mixed\') }} group by order_id',
                by("'mixed': {'column': 'order_id', 'uses': 'item_id'}"),
            ),
            "uses_renamed.sql": touched(
                "select order_id, sum(seller) as sellers from {{ ref('renamed') }} group by order_id",
                by("'mixed': {'column': 'order_id', 'uses': 'item_id'}"),
            ),
            "uses_star.sql": touched(
                "select * from {{ ref('mixed') }}", by("'mixed': {'column': 'item_id', 'uses': 'order_id'}", "item_id"),
            ),
            "kept_rows.sql": touched(
                "select order_id, count(*) as items from {{ ref('stg_items') }} where not is_deleted group by order_id",
                by("'stg_items': {'column': 'order_id', 'moves': var('moves', true)}"),
            ),
            "a_table.sql": "{{ config(materialized='table') }} select item_id, _load_id from {{ ref('stg_items') }}",
            "table_rule.sql": touched(
                "select item_id from {{ ref('a_table') }}",
                by("'a_table': {'column': 'item_id', 'row_id': 'item_id'}", "item_id"),
            ),
            "asks_first.sql": touched(
                "{% set found = run_query('select 7')[0][0] if execute %} select order_id, {{ found or 0 }} as n"
                " from {{ ref('stg_orders') }} where {{ is_touched('order_id') }}",
                unique("order_id"), "pre_hook=[before_begin('select 1')]",
            ),
        }  # fmt: skip

    def test_what_looks_like_staging_or_a_loaded_snapshot_is_not_taken_for_it(self, project: Any) -> None:
        views = ("stg_orders", "stg_items", "open_orders", "renamed")
        snapshot = ("open_orders_snapshot", "of_snapshot")
        others = ("open_per_day", "ver", "vendor_lines", "asks_first", "mixed", "uses_*")
        build(*views, *snapshot, *others)
        change(
            project,
            "update {schema}.orders set status = 'gone', _load_id = {load} where order_id = 3",
            "update {schema}.items set vendor_id = null, _load_id = {load} where item_id in (1, 5)",
            "update {schema}.items set amount = 99, _load_id = {load} where item_id = 6",
        )
        build("ver.v1")
        build(*snapshot, "ver.v2", *others)
        assert "(3,0)" in rows(project, "of_snapshot")
        assert rows(project, "vendor_lines")[0] == "(-1,2)"
        names = ("uses_mixed", "uses_renamed", "uses_star", "ver_v1", "ver_v2")
        assert_like_full_refresh(project, "open_per_day", "vendor_lines", "asks_first", *names)
        kept = "select count(*) from {schema}_model_state.model_inputs where model_name like 'ver.v_'"
        assert project.run_sql(kept, fetch="one") == (2,)

    def test_row_keys_that_a_build_did_not_keep_up_are_dropped(self, project: Any) -> None:
        build("stg_items", "kept_rows")
        build("kept_rows", options=("--vars", "moves: false"))
        assert "which rows of stg_items belonged to which key was not kept" in failure("kept_rows")

    def test_what_cannot_be_right_is_refused_by_name(self, project: Any) -> None:
        build("+a_table")
        wanted = "'stg_items': {'column': 'coalesce(vendor_id, -1)'}"
        assert wanted in failure("without_rule")
        assert "other_name: makes order_id of something else than" in failure("other_name")
        assert "a_table does not say which of its rows changed or went" in failure("table_rule")
        assert "kept_rows: a sample of its inputs" in failure("kept_rows", "--sample", "30 days")


class TestKeysOfOtherNames(_Shop):
    """H2: a key that is made of something else than the column of its name, in every way that SQL has to say so."""

    OTHERS = (
        "select vendor_id order_id, sum(amount) as amount from {{ ref('stg_items') }} group by 1",
        "select coalesce(vendor_id, 0) order_id, sum(amount) as amount from {{ ref('stg_items') }} group by 1",
        "select vendor_id::int order_id, sum(amount) as amount from {{ ref('stg_items') }} group by 1",
        "select vendor_id \"order_id\", sum(amount) as amount from {{ ref('stg_items') }} group by 1",
        "select case when true then vendor_id end order_id, 1 as amount from {{ ref('stg_items') }} group by 1",
        "with rows_of (order_id, amount) as (select vendor_id, amount from {{ ref('stg_items') }})"
        " select order_id, sum(amount) as amount from rows_of group by 1",
        "with orders as (select * from {{ ref('stg_orders') }}), rows_of (amount, order_id) as materialized"
        " (select amount, vendor_id from {{ ref('stg_items') }})"
        " select order_id, sum(amount) as amount from rows_of group by 1",
        "select order_id, sum(amount) as amount from (select vendor_id, amount from {{ ref('stg_items') }})"
        " as q (order_id, amount) group by 1",
        "select order_id, sum(amount) as amount from (select vendor_id, amount from {{ ref('stg_items') }})"
        " q(order_id, amount) group by 1",
        "select order_id, sum(amount) as amount from {{ ref('stg_items') }}"
        " as q (item_id, other, order_id, amount) group by 1",
        "select order_id, sum(amount) as amount from {{ ref('by_vendor') }} group by 1",
    )
    SAME = (
        "select distinct i.order_id order_id, null amount from {{ ref('stg_items') }} i"
        " where 'no order_id' > '' and i.order_id is not null",
        "with rows_of (order_id, amount) as (select i.order_id, amount from {{ ref('stg_items') }} as i)"
        " select order_id, sum(amount) as amount, count(*) over (partition by max(amount), order_id) as n"
        " from rows_of group by order_id having not order_id in (-1) union all select -1 order_id, 0, 0",
        "select distinct on (amount > 0, order_id) order_id, case when item_id > 1 then order_id else 0 end as n"
        " from {{ ref('stg_items') }} where item_id between order_id and greatest(99, order_id)",
    )

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        by = "meta={'touched_by': {'stg_items': 'vendor_id'}}"
        return (
            self.staged()
            | {"by_vendor.sql": "select vendor_id order_id, amount from {{ ref('stg_items') }}"}
            | {f"other_{n}.sql": touched(text, unique("order_id")) for n, text in enumerate(self.OTHERS)}
            | {f"same_{n}.sql": touched(text, unique("order_id")) for n, text in enumerate(self.SAME)}
            | {"declared.sql": touched(self.OTHERS[0], unique("order_id"), by)}
        )

    def test_h2_a_key_of_another_column_is_seen_however_it_is_named(self, project: Any) -> None:
        build("stg_orders", "stg_items", "by_vendor", "declared")
        results = run_dbt(["run", "--select", "other_*"], expect_pass=False)
        said = {r.node.name: str(r.message) for r in results if r.node.name.startswith("other_")}
        wanted = "makes order_id of something else than the column of that name that stg_"
        assert [name for name, message in said.items() if wanted not in message] == []
        assert len(said) == len(self.OTHERS)
        change(project, "update {schema}.items set vendor_id = 3, _load_id = {load} where item_id = 4")
        build("declared")
        assert_like_full_refresh(project, "declared")

    def test_h2_a_key_that_is_the_column_itself_needs_no_declaration(self, project: Any) -> None:
        build("stg_items", "same_*")


class TestReadTwice(_Shop):
    """H2: an input that is read by its key and, unseen, by another column."""

    ITEMS = "{{ ref('stg_items') }}"
    BY_OTHER = (
        f"select i.item_id, p.amount from {ITEMS} as i left join {ITEMS} as p on p.item_id = i.vendor_id",
        f"with items as (select * from {ITEMS}) select items.item_id, p.amount from items"
        " left join items as p on p.item_id = items.vendor_id",
        f"with items as materialized (select * from {ITEMS}), live as (select * from items where not (is_deleted))"
        " select i.item_id, p.amount from live i, live p where p.item_id = i.vendor_id",
        f"select item_id, total from {ITEMS} left join (with items as (select * from {ITEMS})"
        " select vendor_id, sum(amount) as total from items group by 1) as totals using (vendor_id)",
        f"with items as (select * from {ITEMS}) select item_id, (select max(p.amount) from items as p"
        " where p.vendor_id = items.vendor_id) as most from items",
        "select item_id, rate from {{ ref('with_vendors') }}"
        f" left join (select vendor_id, sum(amount) as rate from {ITEMS} group by 1) as totals using (vendor_id)",
        "select item_id, amount from {{ ref('with_parents') }}",
        "select i.item_id, p.amount from {{ ref('with_vendors') }} as i"
        " left join {{ ref('with_vendors') }} as p on p.item_id = i.vendor_id",
        "select i.item_id, p.amount from {{ ref('in_memory') }} as i"
        " left join {{ ref('in_memory') }} as p on p.item_id = i.vendor_id",
        f"select i.item_id, p.amount from {ITEMS} as i"
        " left join {{ ref('stg_twins') }} as p on p.item_id = i.vendor_id",
        "{% set items = ref('stg_items') %} select i.item_id, p.amount from {{ items }} as i"
        " left join {{ items }} as p on p.item_id = i.vendor_id",
    )
    ONCE = (
        f"with items as (select * from {ITEMS}),"
        " named as (select item_id, '{{ ref('stg_items') }}' as items from items),"
        " final as (select item_id, items, count(*) over w as n from named window w as (partition by item_id))"
        " select final.* from final",
        f"{{% if is_incremental() %}} select item_id from {ITEMS}"
        f" {{% else %}} select item_id from {ITEMS} {{% endif %}}",
    )

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        parents = (
            f"select i.item_id, p.parent_amount as amount, i.vendor_id from {self.ITEMS} as i"
            " left join {{ ref('stg_parents') }} as p on p.vendor_id = i.vendor_id"
        )
        yaml = json.loads(self.yaml())
        for name, column in (("stg_parents", "vendor_id"), ("stg_twins", "item_id")):
            yaml["models"].append({"name": name, "columns": [{"name": column, "data_tests": ["unique"]}]})
        return (
            self.staged()
            | {
                "schema.yml": json.dumps(yaml),
                "stg_twins.sql": staging("items", "item_id, amount"),
                "stg_parents.sql": staging("items", "item_id as vendor_id, amount as parent_amount"),
                "with_vendors.sql": f"select item_id, vendor_id, amount from {self.ITEMS}",
                "with_parents.sql": f"select i.item_id, p.amount from {self.ITEMS} as i"
                f" left join {self.ITEMS} as p on p.item_id = i.vendor_id",
                "in_memory.sql": f"{{{{ config(materialized='ephemeral') }}}} select * from {self.ITEMS}",
                "by_the_key.sql": touched(
                    f"with items as (select * from {self.ITEMS}) select i.item_id, p.amount from items as i"
                    " join items as p using (item_id)",
                    unique("item_id"),
                    "meta={'touched_by': {'stg_items': 'item_id'}}",
                ),
                "by_a_view_of_its_own.sql": touched(
                    parents,
                    unique("item_id"),
                    "meta={'touched_by': {'stg_parents': {'column': 'vendor_id', 'through': 'this'}}}",
                ),
            }
            | {f"twice_{n}.sql": touched(text, unique("item_id")) for n, text in enumerate(self.BY_OTHER)}
            | {f"once_{n}.sql": touched(text, unique("item_id")) for n, text in enumerate(self.ONCE)}
        )

    def test_h2_an_input_that_is_read_twice_is_refused_without_a_rule(self, project: Any) -> None:
        build("stg_*", "with_vendors", "with_parents")
        results = run_dbt(["run", "--select", "twice_*"], expect_pass=False)
        said = {r.node.name: str(r.message) for r in results if r.node.name.startswith("twice_")}
        assert [
            name for name, message in said.items() if "more than once, perhaps not each time by" not in message
        ] == []
        assert "say so in touched_by: 'stg_items': 'item_id'" in said["twice_0"]
        assert len(said) == len(self.BY_OTHER)

    def test_h2_an_input_that_is_read_twice_and_declared_is_right(self, project: Any) -> None:
        declared = ("by_the_key", "by_a_view_of_its_own", "once_*")
        build("stg_*", *declared)
        change(project, "update {schema}.items set amount = 99, _load_id = {load} where item_id = 3")
        build(*declared)
        assert "(3,99)" in rows(project, "by_the_key")
        assert "(5,99,3)" in rows(project, "by_a_view_of_its_own")
        assert_like_full_refresh(project, "by_the_key", "by_a_view_of_its_own", "once_0", "once_1")


class TestThroughAnExpression(_Shop):
    """H2: keys that are found through another input are what its own rule says."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        select = (
            "select coalesce(vendor_id, -1) as vendor_id, count(day) as days, min(day) as first_day"
            " from {{ ref('stg_items') }} left join {{ ref('stg_orders') }} using (order_id) group by 1"
        )

        def by(items: str) -> str:
            orders = "'stg_orders': {'column': 'order_id', 'through': 'stg_items'}"
            return f"meta={{'touched_by': {{'stg_items': {items}, {orders}}}}}"

        return self.staged() | {
            "vendor_days.sql": touched(select, unique("vendor_id"), by("'coalesce(vendor_id, -1)'")),
            # Whoever looks up by another column does not say what key a row has.
            "key_unsaid.sql": touched(
                select, unique("vendor_id"), by("{'column': 'item_id', 'through': 'stg_items', 'moves': false}")
            ),
            "no_key.sql": touched(
                "select order_id, day, rate from {{ ref('stg_orders') }} left join"
                " (select vendor_id as order_id, rate from {{ ref('stg_vendors') }}) as rates using (order_id)",
                unique("order_id"),
                "meta={'touched_by': {'stg_vendors': {'column': 'vendor_id', 'through': 'this', 'moves': false},"
                " 'stg_orders': {'column': 'order_id', 'through': 'stg_vendors'}}}",
            ),
        }

    def test_h2_a_key_found_through_another_input_has_its_expression(self, project: Any) -> None:
        project.run_sql("update {schema}.items set vendor_id = null where item_id in (3, 23)")
        build("stg_items", "stg_orders", "stg_vendors", "vendor_days")
        change(project, "update {schema}.orders set day = '2025-01-01', _load_id = {load} where order_id = 4")
        build("vendor_days")
        assert "(-1,2,2025-01-01)" in rows(project, "vendor_days")
        assert_like_full_refresh(project, "vendor_days")

    def test_h2_looking_up_through_an_input_that_does_not_name_the_key_is_refused(self, project: Any) -> None:
        build("stg_items", "stg_orders", "stg_vendors")
        said = "which has no column {} that is the key as it is; look them up through an input whose rule says"
        assert "through stg_items, " + said.format("vendor_id") in failure("key_unsaid")
        assert "through stg_vendors, " + said.format("order_id") in failure("no_key")


LONG = "a_name_that_says_at_length_what_its_rows_are_by_order_x1"


class TestNames(_Shop):
    """H5: names that are put together are one each, whatever the length of their parts."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        counted = (
            "select order_id, count(distinct item_id) as lines, count(distinct entry_id) as entries"
            " from {{ ref('stg_items') }} as items full join {{ ref('stg_entries') }} as entries using (order_id)"
            " where not coalesce(items.is_deleted, false) group by order_id"
        )
        twins = {
            f"{'tables_that_are_built_anew_at_the_same_moment_as_their_twin_' + end}.sql": text
            for end in ("1", "2")
            for text in ["{{ config(materialized='table') }} select " + end + " as n, pg_sleep(0.2)::text"]
        }
        umlauts = "ä" * 24 + "_bytes"  # 54 bytes, 30 characters
        return self.staged() | twins | {
            "stg_entries.sql": staging("items", "item_id as entry_id, order_id"),
            f"{LONG}.sql": touched(
                counted, unique("order_id"),
                "meta={'touched_by': {'stg_entries': {'column': 'order_id', 'row_id': 'entry_id'}}}",
            ),
            f"{umlauts}.sql": touched(
                "select order_id, count(*) as lines from {{ ref('stg_items') }} where not is_deleted group by order_id",
                unique("order_id"),
            ),
            f"months_{LONG[:56]}.sql": "{{ config(materialized='partitioned', unique_key='bid_id',"
            " partition_by={'column': 'day', 'step': 'month'}) }} "
            "select bid_id, bid_at::date as day from {{ ref('stg_bids') }}",
        }  # fmt: skip

    def test_h5_long_names_never_meet(self, project: Any) -> None:
        assert len(LONG) == 56
        umlauts = "ä" * 24 + "_bytes"
        names = (LONG, umlauts, f"months_{LONG}", "tables_that_are_built*")
        build("stg_items", "stg_entries", "stg_bids", *names)
        change(project, "update {schema}.items set order_id = 7, _load_id = {load} where item_id = 1")
        build(*names)
        for name in (LONG, f'"{umlauts}"'):
            found = project.run_sql(
                f"select order_id, lines from {{schema}}.{name} where order_id in (2, 7)", fetch="all"
            )
            assert sorted(found) == [(2, 2), (7, 4)]
        kept = project.run_sql(
            "select relname from pg_class join pg_namespace n on n.oid = relnamespace"
            " where nspname like '%model_state' and relkind = 'r' and relname ~ '^(a_name|ä)'",
            fetch="all",
        )
        assert len(kept) == 3  # the row keys of two inputs, and of one
        assert max(len(name.encode()) for (name,) in kept) <= 63
        twin = "tables_that_are_built_anew_at_the_same_moment_as_their_twin_"
        for end in (1, 2):
            assert project.run_sql(f"select n from {{schema}}.{twin}{end}", fetch="one") == (end,)


class TestTooLong(_Shop):
    """H5: a name that PostgreSQL would cut."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {"schema.yml": self.yaml(()), f"{'ö' * 32}.sql": "select 1 as n"}

    def test_h5_a_name_of_more_than_63_bytes_is_refused(self, project: Any) -> None:
        with pytest.raises(CompilationError, match=r"model ö{32}: its name in the warehouse, ö{32}, has 64 bytes"):
            build("ö" * 32)


class TestTypesAndClocks(_Shop):
    """H3 and H4: a snapshot and what is made from it, when types grow and clocks step back."""

    @pytest.fixture(scope="class")
    def snapshots(self) -> dict[str, str]:
        text = {
            "name": "vendors_snapshot",
            "relation": "ref('stg_vendors')",
            "config": {
                "unique_key": "vendor_id",
                "strategy": "load",
                "dbt_valid_to_current": "'9999-12-31 00:00:00+00'::timestamptz",
            },
        }
        return {"snapshots.yml": json.dumps({"snapshots": [text]})}

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        def contract(name: str, *columns: tuple[str, str]) -> dict[str, Any]:
            return {
                "name": name,
                "config": {"contract": {"enforced": True}},
                "columns": [{"name": column, "data_type": kind} for column, kind in columns],
            }

        yaml = json.loads(self.yaml())
        for model in yaml["models"]:
            if model["name"] in ("stg_vendors", "stg_items"):
                model["data_tests"] = ["casts_lose_nothing"]
        rate = ("rate", "numeric(6, 4)")
        yaml["models"] += [
            contract("rates", ("vendor_id", "integer"), rate),
            contract("rates_table", ("vendor_id", "integer"), rate),
            contract("rates_by_month", ("vendor_id", "integer"), ("day", "date"), rate),
            contract("moments", ("bid_id", "integer"), ("bid_at", "timestamp(0) with time zone")),
        ]
        current = "from {{ ref('vendors_snapshot') }} where dbt_valid_to > '9999-01-01'"
        return self.staged() | {
            "schema.yml": json.dumps(yaml),
            "stg_vendors.sql": staging("vendors", "vendor_id, rate, _loaded_at"),
            "stg_items.sql": staging("items", "item_id, order_id, vendor_id, amount::integer as amount"),
            "rates.sql": touched(f"select vendor_id, rate {current}", unique("vendor_id"), FAIL),
            "rates_table.sql": f"{{{{ config(materialized='table') }}}} select vendor_id, rate {current}",
            "rates_by_month.sql": "{{ config(materialized='partitioned', unique_key='vendor_id',"
            " partition_by={'column': 'day', 'step': 'month'}) }}"
            f" select vendor_id, '2026-01-01'::date as day, rate {current}",
            "moments.sql": touched(
                "select bid_id, bid_at from {{ ref('stg_bids') }} where not is_deleted", unique("bid_id"), FAIL
            ),
            # No contract: the column follows.
            "half_rates.sql": touched(
                "select vendor_id, rate from {{ ref('stg_vendors') }} where not is_deleted", unique("vendor_id")
            ),
        }

    def test_h4_a_change_counts_whatever_the_clock_says(self, project: Any) -> None:
        build("stg_vendors", "vendors_snapshot", "rates")
        for ahead, rate in (("1 hour", 0.25), ("0 hours", 0.3), ("-1 hour", 0.35)):
            change(
                project,
                f"update {{schema}}.vendors set rate = {rate}, _loaded_at = now() + interval '{ahead}',"
                " _load_id = {load} where vendor_id = 1",
            )
            build("vendors_snapshot", "rates")
            found = project.run_sql("select rate::float from {schema}.rates where vendor_id = 1", fetch="one")
            assert found == (rate,)
        versions = project.run_sql(
            "select rate::float, dbt_valid_from < dbt_valid_to,"
            " dbt_valid_from > lag(dbt_valid_from) over (order by _load_id),"
            " dbt_valid_to = lead(dbt_valid_from) over (order by _load_id)"
            " from {schema}.vendors_snapshot where vendor_id = 1 order by _load_id",
            fetch="all",
        )
        assert versions == [
            (0.1, True, None, True), (0.25, True, True, True), (0.3, True, True, True), (0.35, True, True, None),
        ]  # fmt: skip

    def test_h3_wider_values_are_kept_or_refused(self, project: Any) -> None:
        models = ("rates", "rates_table", "rates_by_month", "moments", "half_rates")
        build("stg_vendors", "stg_bids", "vendors_snapshot", *models)
        project.run_sql(
            "drop view if exists {schema}.stg_vendors, {schema}.stg_items cascade;"
            " alter table {schema}.vendors alter rate type numeric(8, 6)"
        )
        change(
            project,
            "update {schema}.vendors set rate = 0.123456, _load_id = {load} where vendor_id = 2",
            "update {schema}.bids set bid_at = '2026-01-02 03:04:05.6+00', _load_id = {load} where bid_id = 1",
        )
        build("stg_vendors", "vendors_snapshot", "half_rates")
        for table in ("vendors_snapshot", "half_rates"):
            found = project.run_sql(
                f"select max(rate)::text from {{schema}}.{table} where rate::text like '0.1234%'", fetch="one"
            )
            assert found == ("0.123456",)
        for model, options in (
            ("rates", ()), ("rates", ("--full-refresh",)), ("rates_table", ()),
            ("rates_by_month", ()), ("rates_by_month", ("--full-refresh",)),
        ):  # fmt: skip
            assert f"0.123456 does not fit {model}.rate, which is numeric(6" in failure(model, *options)
        for options in ((), ("--full-refresh",)):
            assert "does not fit moments.bid_at, which is timestamp(0)" in failure("moments", *options)

    def test_h3_a_cast_in_staging_that_has_become_narrow_is_found(self, project: Any) -> None:
        build("stg_items")
        change(project, "update {schema}.items set amount = 4.5, _load_id = {load} where item_id = 3")
        results = run_dbt(["test", "--select", "stg_items,test_name:casts_lose_nothing"], expect_pass=False)
        assert [r.failures for r in results if r.status == "fail"] == [1]


class TestCasts(_Shop):
    """H3: a cast that rounds before anything can look."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {"schema.yml": self.yaml(()), "rounded.sql": "select 0.123456::numeric (5, 4) as rate"}

    def test_h3_a_cast_to_a_size_is_refused(self, project: Any) -> None:
        with pytest.raises(CompilationError, match=r"rounded: ::numeric .5….* cuts values without a word"):
            build("rounded")

    def test_h3_which_types_hold_which(self, project: Any) -> None:
        pairs = {
            ("numeric(8,6)", "numeric(6,4)"): True, ("numeric(8,6)", "numeric(8,4)"): False,
            ("numeric", "numeric(6,4)"): True, ("numeric(6,4)", "numeric"): False,
            ("numeric(6,2)", "smallint"): False, ("numeric(7,2)", "smallint"): True,
            ("bigint", "integer"): True, ("integer", "bigint"): False, ("double precision", "bigint"): False,
            ("character varying(9)", "character varying(8)"): True, ("text", "character varying(8)"): True,
            ("character varying(8)", "text"): False, ("real", "double precision"): False,
            ("timestamp(3) with time zone", "timestamp(0) with time zone"): True,
            ("timestamp(0) with time zone", "timestamp with time zone"): False,
            ("timestamp without time zone", "date"): True, ("date", "timestamp without time zone"): False,
            ("integer[]", "integer"): False, ("bigint[]", "integer[]"): True, ("text", "uuid"): True,
        }  # fmt: skip
        expressions = ", ".join(f"type_holds('{wide}', '{narrow}')" for wide, narrow in pairs)
        done = run_dbt(["show", "--inline", "select $${{ [" + expressions + "] }}$$ as found"])
        assert done.results[0].agate_table.rows[0][0] == str(list(pairs.values()))
