"""Values that are odd, and sessions that are: what stops at the door, and what every mart makes of the rest.

One warehouse is built in an ordinary session, one in a session, a database and a source where every setting differs.
Both must hold the same rows. The tests after that work on the odd one.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from conftest import ROOT, Databases, Project, copy_project, rows

from runner.connect import connect

SCHEMAS = ("staging", "intermediate", "snapshots", "analytics", "ml", "reference")
# When the loader and the snapshots saw something is another moment in each warehouse.
METADATA = "{_load_id,_loaded_at,dbt_scd_id,dbt_updated_at,dbt_valid_from}"
ODD_CLIENT = {
    "PGTZ": "America/New_York",
    "PGDATESTYLE": "German, DMY",
    "PGOPTIONS": "-c intervalstyle=iso_8601 -c extra_float_digits=-3 -c bytea_output=escape",
}
# A function that is found before PostgreSQL's own, unless the session says where to look.
ODD_DATABASE = """
create schema odd;
create function odd.lower(text) returns text immutable language sql return 'trap';
create function odd.date_trunc(text, timestamp) returns timestamp immutable language sql return $2;
alter database {0} set search_path = odd, pg_catalog;
alter database {0} set timezone = 'Australia/Lord_Howe';
alter database {0} set datestyle = 'SQL, DMY';
alter database {0} set default_transaction_isolation = 'serializable';
alter database {0} set transform_null_equals = on;
alter database {0} set standard_conforming_strings = off;
alter database {0} set quote_all_identifiers = on;
"""
LOAD_ID = 1000
CHANGED = f"_load_id = {LOAD_ID}, _loaded_at = now()"
# Stable for PostgreSQL, and the same in every session: names in English, JSON that is only compared, a hash whose key
# is in a table, and the microseconds by which scd2_versions keeps the versions of a dimension apart.
SAME_EVERYWHERE = ("to_char(timestamp without time zone,text)", 'jsonb_build_array("any")', "privacy.pseudonym(text)")
IN_DIMENSIONS = (
    "timestamptz_pl_interval(timestamp with time zone,interval)",
    "timestamptz_mi_interval(timestamp with time zone,interval)",
)


def odd_database(databases: Databases, side: str) -> Any:
    """Return a new database with another locale than the cluster's, if this machine has one, and odd settings."""
    for locale in ("de_DE.UTF-8", "tr_TR.UTF-8", "en_US.UTF-8", "C"):
        try:
            made = databases.create(side, f"template template0 locale_provider libc locale '{locale}' encoding 'UTF8'")
            break
        except psycopg2.Error:
            continue
    with closing(connect(made)) as session:
        rows(session, ODD_DATABASE.format(made.dbname))
    return made


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory, module_databases: Databases) -> Project:
    """A small warehouse, loaded and built in an ordinary session. Customer 7 was deleted before the first build."""
    folder = copy_project(tmp_path_factory.mktemp("values") / "haven copy")
    project = Project(folder, module_databases.create("source"), module_databases.create("warehouse"))
    project.haven("deps", "--offline")
    project.haven("demo", "init", "--scale", "0.02")
    project.haven("load")
    delete_customer(project)
    project.dbt("build", "--exclude-resource-type", "test", "unit_test")
    return project


@pytest.fixture(scope="module")
def odd(ordinary: Project, module_databases: Databases) -> Project:
    """The same, with nothing in any session as it should be, and with the tests across models."""
    with closing(connect(ordinary.source)) as session:
        rows(session, ODD_DATABASE.format(ordinary.source.dbname))
    project = replace(ordinary, warehouse=odd_database(module_databases, "warehouse"), env=ODD_CLIENT)
    project.haven("load")
    done = project.haven("reconcile", "--json").json
    assert {table["status"] for table in done["tables"]} == {"ok"}
    delete_customer(project)
    project.dbt("build", "--exclude", "test_type:generic")
    return project


def delete_customer(project: Project) -> None:
    """Let the loader have found customer 7 gone."""
    ask(project, "update raw.customers set _deleted_at = '2026-05-15+00' where customer_id = 7")


def ask(project: Project, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query in the warehouse, in an ordinary session."""
    with closing(connect(project.warehouse)) as session:
        return rows(session, query)


def contents(project: Project) -> dict[str, str]:
    """Return number and checksum of the rows of every relation that was built."""
    names = ask(
        project,
        "select oid::regclass::text from pg_class where relkind in ('r', 'p', 'v') and not relispartition "
        f"and relnamespace::regnamespace::text in {SCHEMAS}",
    )
    return {
        name: ask(
            project,
            "select count(*) || ' ' || coalesce(md5(string_agg(line, '|' order by line collate \"C\")), '') from "
            f"(select (to_jsonb(t) - '{METADATA}'::text[])::text as line from {name} as t) as lines",
        )[0][0]
        for (name,) in names
    }


def test_h6_results_do_not_depend_on_the_session(ordinary: Project, odd: Project) -> None:
    expected = contents(ordinary)
    assert len(expected) > 50
    assert contents(odd) == expected


def test_h6_every_session_has_the_same_settings(odd: Project) -> None:
    """The runner's are those of dbt, and a profile without them is refused."""
    names = [line.split()[1] for line in profile_settings(ROOT / "profiles.yml")]
    with closing(connect(odd.warehouse)) as session:
        found = rows(
            session, f"select name || ' = ' || setting from pg_settings where name ilike any('{{{','.join(names)}}}')"
        )
    assert len(found) == len(names) > 15
    settings = [
        line for line in (ROOT / "runner" / "connect.py").read_text().splitlines()
        if line.startswith("set ") and "transaction_timeout" not in line
    ]  # fmt: skip
    assert settings == profile_settings(ROOT / "profiles.yml")
    profile = (odd.path / "profiles.yml").read_text(encoding="utf-8")
    folder = odd.path / "other profile"
    folder.mkdir()
    (folder / "profiles.yml").write_text(profile.replace("set timezone = 'UTC';", ""))
    done = odd.dbt(
        "run", "--select", "dim_dates", "--target-path", "target/other", expect=1, DBT_PROFILES_DIR=str(folder)
    )
    assert "America/New_York; ISO, MDY; postgres; public; UTF8" in done.out
    target = ("--select", "dim_dates", "--target-path", "target/other")
    done = odd.dbt("run", *target, expect=1, PGCLIENTENCODING="LATIN1")
    assert "public; LATIN1" in done.out
    assert "unset PGCLIENTENCODING" in done.out


def profile_settings(path: Path) -> list[str]:
    """Return the `set` statements of the profile."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line.startswith("set ")]


def test_h6_no_model_uses_what_depends_on_the_session(odd: Project) -> None:
    """Views are read in sessions of others. PostgreSQL marks what depends on their settings as not immutable."""
    compiled = odd.path / "target" / "compiled" / "haven" / "models"
    files = [
        path
        for path in compiled.rglob("*.sql")
        if not {"quality", "vendor"} & set(path.parts) and not any(part.endswith(".yml") for part in path.parts)
    ]
    assert len(files) > 40
    found = {}
    with closing(connect(odd.warehouse)) as session:
        for path in files:
            with session.cursor() as cursor:
                cursor.execute(f"create temporary view checked as {path.read_text(encoding='utf-8')}")
                cursor.execute(
                    "select proc.oid::regprocedure::text from pg_rewrite, "
                    r"regexp_matches(ev_action::text, ':(?:op)?funcid (\d+)', 'g') as used "
                    "join pg_proc as proc on proc.oid = used[1]::oid "
                    "where ev_class = 'pg_temp.checked'::regclass and provolatile <> 'i' "
                    "union select 'a time as text' from pg_rewrite where ev_class = 'pg_temp.checked'::regclass "
                    r"and ev_action::text ~ 'COERCEVIAIO :arg \{VAR [^}]*:vartype (1082|1114|1184|1186) ' "
                    "union select 'the clock' from pg_rewrite where ev_class = 'pg_temp.checked'::regclass "
                    "and ev_action::text ~ 'SQLVALUEFUNCTION'"
                )
                uses = {row[0] for row in cursor.fetchall()} - set(SAME_EVERYWHERE)
            if path.stem.startswith("dim_"):
                uses -= set(IN_DIMENSIONS)
            session.rollback()
            if uses:
                found[path.stem] = uses
    assert found == {}


@pytest.fixture(scope="module")
def changed(odd: Project) -> dict[str, Any]:
    """What the marts said before rows turned odd; they are built again with those rows."""
    known = "as_of_date <= '2026-06-01'"
    before = {
        "features": ask(
            odd,
            "select (select md5(string_agg(f::text, '|' order by f::text)) from ml.customer_features as f "
            f"where {known}), (select md5(string_agg(f::text, '|' order by f::text)) from ml.product_features as f "
            f"where {known})",
        ),
        "predictions": ask(odd, PREDICTIONS),
        "as_of": ask(odd, "select min(as_of_date), max(as_of_date) from analytics.inventory_ageing"),
        "order": ask(
            odd,
            "select order_id, paid_amount, currency_code from analytics.fct_orders "
            "where paid_amount > 0 and currency_code = 'USD' order by order_id limit 1",
        )[0],
    }
    paid_order = before["order"][0]
    copy_order = (
        "insert into raw.orders select {}, customer_id, 'pending', currency_code, shipping_amount, discount_amount, "
        f"shipping_address, '{{}}', {{}}, now(), now(), {LOAD_ID}, null from raw.orders where order_id = {paid_order}"
    )
    copy_payment = (
        "insert into raw.payments select {}, {}, customer_id, payment_method, '{}', {}, '{}', paid_at, "
        f"created_at, now(), now(), {LOAD_ID}, null from raw.payments where payment_id = (select min(payment_id) "
        f"from raw.payments where order_id = {paid_order})"
    )
    for statement in (
        # H8: listed again; H9: ids given to other persons, one of them after a deletion.
        f"update raw.products set listed_at = '2026-09-01+00', updated_at = '2026-09-01+00', {CHANGED} "
        "where product_id % 2 = 0",
        f"update raw.customers set created_at = '2026-08-01+00', updated_at = '2026-08-01+00', _deleted_at = null, "
        f"{CHANGED} where customer_id in (7, 8)",
        # H11: clocks that are wrong, in the order and in its row.
        copy_order.format(-1, "2029-03-01+00", "'2026-06-15+00'"),
        copy_order.format(-2, "2029-03-01+00", "'2029-03-01+00'"),
        copy_order.format(-3, "1900-01-01+00", "'2026-06-15+00'"),
        copy_order.format(-4, "9999-12-31+00", "'9999-12-31+00'"),
        copy_order.format(-5, "0044-03-15+00 BC", "'2026-06-15+00'"),
        # H7: money for no order that went back, of another customer, in another currency.
        copy_payment.format(-1, -999, "refunded", 50.96, "USD"),
        copy_payment.format(-2, paid_order, "captured", 7, "EUR"),
        f"update raw.payments set customer_id = customer_id % 100 + 1, {CHANGED} "
        "where payment_id % 3 = 0 and payment_status = 'captured'",
    ):
        ask(odd, statement)
    odd.dbt("build", "--exclude-resource-type", "test", "unit_test", "seed")
    return before


PREDICTIONS = (
    "select count(*), sum(expected_net_amount), sum(predicted_lifetime_amount), min(as_of_date), max(as_of_date) "
    "from analytics.predicted_customer_value"
)


def test_h7_a_payment_is_counted_once_whatever_is_wrong_with_it(odd: Project, changed: dict[str, Any]) -> None:
    received = "case when payment_status in ('captured', 'refunded') then amount else 0 end"
    returned = "case when payment_status = 'refunded' then amount else 0 end"
    totals = ask(
        odd,
        f"select upper(trim(currency_code)), sum({received}), sum({returned}) from raw.payments "
        "where _deleted_at is null group by 1 order by 1",
    )
    assert totals == ask(
        odd,
        "select currency_code, sum(paid_amount), sum(refunded_amount) from analytics.payment_reconciliation "
        "group by 1 order by 1",
    )
    assert ask(odd, "select sum(payment_count) from analytics.payment_delays_by_hour") == ask(
        odd,
        f"select count(*) from raw.payments join raw.orders using (order_id) where {received} > 0 "
        "and payments._deleted_at is null and orders._deleted_at is null",
    )
    order, paid, _ = changed["order"]
    items = "select item_kind, paid_amount from analytics.payment_open_items where order_id = {}"
    assert ("other_currency", 7) in ask(odd, items.format(order))
    assert ask(odd, items.format(-999)) == []
    assert ask(odd, f"select paid_amount from analytics.fct_orders where order_id = {order}") == [(paid,)]
    odd.dbt(
        "test", "--select", "payment_reconciliation_matches_orders_and_payments", "summaries_match_their_facts",
        "fct_orders_match_their_items_and_payments", "daily_revenue_matches_fct_orders",
    )  # fmt: skip


def test_h8_h9_the_future_leaves_past_features_as_they_were(odd: Project, changed: dict[str, Any]) -> None:
    found = ask(
        odd,
        "select (select md5(string_agg(f::text, '|' order by f::text)) from ml.customer_features as f "
        "where as_of_date <= '2026-06-01'), (select md5(string_agg(f::text, '|' order by f::text)) "
        "from ml.product_features as f where as_of_date <= '2026-06-01')",
    )
    assert found == changed["features"]
    assert ask(
        odd,
        "select count(distinct registered_at), count(*) > 0 from analytics.dim_customers where customer_id in (7, 8)",
    ) == [(3, True)]


def test_h11_a_wrong_clock_does_not_move_the_as_of_day(odd: Project, changed: dict[str, Any]) -> None:
    assert ask(odd, PREDICTIONS) == changed["predictions"]
    assert changed["predictions"][0][1] > 0
    as_of = ask(odd, "select min(as_of_date), max(as_of_date) from analytics.inventory_ageing")
    assert as_of == changed["as_of"]
    assert ask(odd, "select max(as_of_date) < '2026-07-01' from ml.customer_features") == [(True,)]


def test_b4_b5_what_is_no_value_stops_at_staging_and_is_named(odd: Project, changed: dict[str, Any]) -> None:
    """NaN, infinity and null: the row is kept by the test, and no mart is built from it."""
    order = changed["order"][0]
    for statement in (
        f"update raw.orders set shipping_amount = 'NaN', ordered_at = 'infinity', {CHANGED} where order_id = {order}",
        f"update raw.vendors set commission_rate = 'NaN', {CHANGED} where vendor_id = 1",
        "alter table raw.orders alter created_at drop not null",
        f"update raw.orders set created_at = null, {CHANGED} where order_id = -3",
        f"update raw.orders set created_at = '-infinity', {CHANGED} where order_id = -4",
    ):
        ask(odd, statement)
    staging = odd.path / "models" / "staging"
    (staging / "kinds.sql").write_text(KINDS)
    (staging / "kinds.yml").write_text(
        "models: [{name: kinds, data_tests: [{values_are_finite: {arguments: {row_id: id}}}]}]"
    )
    before = ask(odd, "select count(*), max(_load_id) from analytics.dim_vendors")
    done = odd.dbt(
        "build", "--select", "stg_clutter_haven__orders", "stg_clutter_haven__vendors", "vendors_snapshot",
        "dim_vendors", "fct_orders", "kinds", "--exclude-resource-type", "unit_test", expect=1,
    )  # fmt: skip
    results = run_results(odd)
    assert results["test.haven.orders_values_are_finite"] == ("fail", 3)
    assert results["test.haven.vendors_values_are_finite"] == ("fail", 1)
    assert results["test.haven.values_are_finite_kinds_id"] == ("fail", 12)
    assert results["test.haven.orders_values_are_present"] == ("fail", 1)
    # -3 has no created_at; -1 and the copies of other years were placed after they were written, as was infinity.
    assert results["test.haven.orders_are_written_after_they_are_placed"] == ("fail", 4)
    assert results["model.haven.fct_orders"][0] == "skipped", done.out
    assert results["snapshot.haven.vendors_snapshot"][0] == "skipped"
    assert set(ask(odd, "select * from quality.orders_values_are_finite")) == {
        (order, "shipping_amount", "NaN"), (order, "ordered_at", "infinity"), (-4, "created_at", "-infinity"),
    }  # fmt: skip
    assert ask(odd, "select count(*), max(_load_id) from analytics.dim_vendors") == before
    ranges = [found for test, found in results.items() if "accepted_range_stg_clutter_haven__orders_shipping" in test]
    assert ranges == [("fail", 1)]


# Every type that has such values, and what looks like one of them and is none.
KINDS = """
select
    1 as id, 'NaN'::numeric as a, 'infinity'::numeric as b, '-infinity'::real as c, 'NaN'::double precision as d,
    'infinity'::date as e, '-infinity'::timestamp as f, 'infinity'::timestamptz as g, 'infinity'::interval as h,
    array[1, 'NaN'::numeric] as i, array['2026-01-01', 'infinity']::date[] as j, '[1,infinity)'::numrange as k,
    '{[1,2), [3,NaN)}'::nummultirange as l,
    'NaN' as m, '"NaN"'::jsonb as n, null::numeric as o, array[null, 1::numeric] as p, '[1,)'::numrange as q,
    '5874897-12-31'::date as r, 1 as s, null::date as t, '{}'::timestamptz[] as u
"""


def run_results(project: Project) -> dict[str, tuple[str, int | None]]:
    """Return status and failures of each node of the last run, by its id without the hash of a generic test."""
    text = (project.path / "target" / "run_results.json").read_text(encoding="utf-8")
    return {
        ".".join(result["unique_id"].split(".")[:3]): (result["status"], result["failures"])
        for result in json.loads(text)["results"]
    }


# These fail on null themselves, unless config.meta.allow_null lets it pass: macros/tests/strict_package_tests.sql.
STRICT = ("not_null", "accepted_range", "expression_is_true")


def test_b5_no_test_passes_over_a_null_without_saying_so(odd: Project) -> None:
    """A test of a column whose nulls it does not see stands beside one that does, or says allow_null."""
    manifest = json.loads((odd.path / "target" / "manifest.json").read_text(encoding="utf-8"))
    present, tests, checked = set(), [], set()
    for node in manifest["nodes"].values():
        for name, column in node.get("columns", {}).items():
            if any(one["type"] == "not_null" for one in column.get("constraints", [])):
                present.add((node["unique_id"], name))
        if node["resource_type"] != "test" or not node.get("test_metadata"):
            continue
        if node["package_name"] != "haven":
            continue
        on = node["attached_node"] or node["depends_on"]["nodes"][0]
        arguments = node["test_metadata"]["kwargs"]
        if node["test_metadata"]["name"] == "not_null":
            present.add((on, node["column_name"]))
        elif node["test_metadata"]["name"] == "values_are_present":
            present |= {(on, name) for name in arguments["columns"]}
        elif node["test_metadata"]["name"] == "values_are_finite":
            checked.add(on)
        elif node["column_name"]:
            tests.append((on, node))
    passing_over = [
        node["name"]
        for on, node in tests
        if node["test_metadata"]["name"] not in STRICT
        and node["test_metadata"]["namespace"] != "dbt_expectations"
        and (on, node["column_name"]) not in present
        and not node["config"]["meta"].get("allow_null")
    ]
    assert len(tests) > 100
    assert passing_over == []
    staging = {key for key in manifest["nodes"] if key.startswith("model.haven.stg_")}
    assert len(staging) == 10
    assert staging - checked == set()
