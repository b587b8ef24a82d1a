"""Reconciliation against real databases: every planted difference is found, named and repaired, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import Databases, Project, rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2 import sql
from test_load import Shop

from runner import checksums
from runner.connect import connect
from runner.contract import Contract, Problem, TableSpec
from runner.ops import recorded_run
from runner.reconcile.reconciliation import Reconciliation
from runner.reconcile.repair import repair_table
from runner.reconcile.tables import ReconcileRequest, reconcile_table, reconcile_tables
from runner.settings import Connection

ITEM = TableSpec(
    source_name="shop",
    name="item",
    raw_schema="raw",
    raw_table="item",
    source_schema="public",
    source_table="item",
    strategy="incremental",
    watermark="updated_at",
    file="models/sources.yml",
)
FULL = replace(ITEM, strategy="full", watermark=None)


@pytest.fixture
def shop(databases: Databases) -> Iterator[Shop]:
    """An empty shop."""
    shop = Shop(databases.create("source"), databases.create("warehouse"))
    yield shop
    shop.source.close()
    shop.warehouse.close()


@pytest.fixture
def filled(shop: Shop) -> Shop:
    """A shop with a thousand rows, one a day, loaded once."""
    shop.execute("create table item (id bigint primary key, name text, updated_at timestamptz)")
    shop.execute(
        "insert into item select n, 'name ' || n, '2020-01-01 00:00+00'::timestamptz + n * "
        "interval '1 day' from generate_series(1, 1000) as n"
    )
    shop.load_one(ITEM)
    return shop


def look(shop: Shop, spec: TableSpec = ITEM, **wishes: Any) -> Reconciliation:
    """Reconcile one table that can be compared."""
    result = reconcile_table(
        spec, shop.source_settings, shop.warehouse_settings, ReconcileRequest(**wishes), run_id="look"
    )
    assert result.error is None, result.error
    return result


def repair(shop: Shop, found: Reconciliation, spec: TableSpec = ITEM) -> tuple[int, int, int]:
    """Repair one table; return inserted, updated, deleted."""
    shop.runs += 1
    run_id = f"repair-{shop.runs}"
    databases = (shop.source_settings, shop.warehouse_settings)
    with recorded_run(*databases, run_id=run_id, command="reconcile"):
        outcome = repair_table(spec, found, *databases, run_id=run_id)
    return outcome.rows_inserted, outcome.rows_updated, outcome.rows_deleted


def spoil(shop: Shop, statement: str, *args: object) -> None:
    """Run one statement in the warehouse, behind the loader's back."""
    rows(shop.warehouse, statement, *args)


def kinds(result: Reconciliation) -> tuple[int, int, int, int]:
    """Return missing, extra, different, pending."""
    return result.missing, result.extra, result.different, result.pending


def names(result: Reconciliation) -> set[tuple[str, Any, tuple[str, ...]]]:
    """Return kind, key and columns of all named differences."""
    return {(d.kind, d.key, d.columns) for d in result.named}


def test_equal_tables_match(filled: Shop) -> None:
    result = look(filled)
    assert result.status == "ok"
    assert (result.source_rows, result.raw_rows) == (1000, 1000)
    assert kinds(result) == (0, 0, 0, 0)
    assert result.match_pct == Decimal(100)
    assert result.named == ()


def test_every_kind_of_difference_is_named_with_its_key_and_columns(filled: Shop) -> None:
    spoil(filled, "delete from raw.item where id = 7")
    spoil(filled, "insert into raw.item values (5000, 'x', null, now(), 1, null)")
    spoil(filled, "update raw.item set name = null where id = 500")
    spoil(filled, "update raw.item set name = '', updated_at = 'infinity' where id = 501")
    result = look(filled)
    assert kinds(result) == (1, 1, 2, 0)
    assert names(result) == {
        ("missing", ("7",), ()),
        ("extra", ("5000",), ()),
        ("different", ("500",), ("name",)),
        ("different", ("501",), ("name", "updated_at")),
    }
    assert result.columns == {"name": 2, "updated_at": 1}
    assert result.status == "different"
    assert result.exit_code == 1
    # 1,001 keys in all, 4 of them wrong: 99.6003…, rounded down.
    assert result.match_pct == Decimal("99.600399")


def test_values_are_read_only_when_asked_for(filled: Shop) -> None:
    spoil(filled, "update raw.item set name = 'secret' where id = 500")
    assert "secret" not in json.dumps(look(filled).as_dict())
    (difference,) = look(filled, with_values=True).named
    assert difference.values == {"name": ("name 500", "secret")}


def test_a_tombstone_of_a_living_row_is_missing_and_one_of_a_dead_row_is_right(filled: Shop) -> None:
    filled.execute("delete from item where id = 3")
    filled.load_one(ITEM)
    assert look(filled).status == "ok"
    spoil(filled, "update raw.item set _deleted_at = now() where id = 4")
    assert names(look(filled)) == {("missing", ("4",), ())}
    spoil(filled, "update raw.item set _deleted_at = null where id in (3, 4)")
    assert names(look(filled)) == {("extra", ("3",), ())}


def test_equal_changes_in_many_rows_do_not_cancel(shop: Shop) -> None:
    """Two rows with the same change, or with swapped values, leave an xor as it was."""
    shop.execute("create table item (id int primary key, a text, b text, updated_at timestamptz)")
    shop.execute("insert into item select n, 'one', 'two' from generate_series(1, 9000) as n")
    shop.load_one(FULL)
    spoil(shop, "update raw.item set a = b, b = a where id in (10, 11, 12, 13)")
    spoil(shop, "update raw.item set a = 'three' where id in (20, 21)")
    result = look(shop, FULL)
    assert kinds(result) == (0, 0, 6, 0)
    assert result.columns == {"a": 6, "b": 4}


def test_rows_that_changed_after_the_load_are_pending(filled: Shop) -> None:
    filled.execute("update item set name = 'newer', updated_at = now() where id = 5")
    filled.execute("insert into item values (2000, 'new', now())")
    result = look(filled)
    assert kinds(result) == (0, 0, 0, 2)
    assert result.status == "ok"
    assert result.match_pct == Decimal(100)
    assert names(result) == {("pending", ("5",), ("name", "updated_at")), ("pending", ("2000",), ())}
    filled.load_one(ITEM)
    assert kinds(look(filled)) == (0, 0, 0, 0)


def test_a_difference_in_the_newest_row_is_not_taken_for_pending(filled: Shop) -> None:
    """The lookback covers it, but the source's row has not moved since the load."""
    spoil(filled, "update raw.item set name = 'wrong' where id = 1000")
    assert kinds(look(filled)) == (0, 0, 1, 0)
    spoil(filled, "delete from raw.item where id = 999")
    assert kinds(look(filled)) == (1, 0, 1, 0)


def test_a_change_that_the_watermark_does_not_tell_is_a_difference(filled: Shop) -> None:
    filled.execute("update item set name = 'silent' where id = 5")
    filled.execute("insert into item values (2000, 'no time', null)")
    filled.execute("insert into item values (2001, 'old', '2020-01-01')")
    assert kinds(look(filled)) == (2, 0, 1, 0)


def test_rows_of_a_transaction_open_during_the_load_are_pending(filled: Shop) -> None:
    late = connect(filled.source_settings)
    with late.cursor() as cursor:
        cursor.execute("update item set name = 'late', updated_at = now() where id = 1")
        cursor.execute("insert into item values (3000, 'late', now())")
    filled.execute("insert into item values (3001, 'on time', now() + interval '1 minute')")
    filled.load_one(ITEM)
    late.commit()
    late.close()
    # Both carry the very start of the transaction, which is the stored watermark.
    assert kinds(look(filled)) == (0, 0, 0, 2)


def test_where_deletes_are_ignored_extra_rows_are_right(filled: Shop) -> None:
    keeping = replace(ITEM, deletes="ignore")
    filled.execute("delete from item where id = 7")
    filled.load_one(keeping)
    result = look(filled, keeping)
    assert (kinds(result), result.status, result.match_pct) == ((0, 1, 0, 0), "not_followed", 100)
    spoil(filled, "update raw.item set name = 'wrong' where id = 8")
    result = look(filled, keeping)
    assert names(result) == {("different", ("8",), ("name",))}
    assert repair(filled, result, keeping) == (0, 1, 0)
    assert rows(filled.warehouse, "select 1 from raw.item where id = 7 and _deleted_at is null")


def test_many_differences_are_counted_exactly_and_named_up_to_the_limit(filled: Shop) -> None:
    spoil(filled, "update raw.item set name = name || '!' where id <= 600")
    spoil(filled, "delete from raw.item where id > 900")
    result = look(filled, limit=50)
    assert kinds(result) == (100, 0, 600, 0)
    assert len(result.named) == 50


def test_all_buckets_may_differ(shop: Shop) -> None:
    shop.execute("create table item (id int primary key, a text)")
    shop.execute("insert into item select n, 'a' from generate_series(1, 60000) as n")
    shop.load_one(FULL)
    spoil(shop, "update raw.item set a = 'b'")
    result = look(shop, FULL)
    assert kinds(result) == (0, 0, 60000, 0)
    assert result.match_pct == 0


AWKWARD = {
    "numeric": ["1.0", "1.00", "NaN", "Infinity", "-Infinity", "0", None],
    "float8": ["0", "-0", "NaN", "1e-320", "0.1", "0.30000000000000004", None],
    "text": ["", " ", "a", "é", "\\x", "null", "(,)", None],
    "jsonb": ['{"a": 1.0}', '{"a": 1.00}', "null", "{}", None],
    "json": ['{"a":1}', '{"a": 1}', "null", None],
    "int[]": ["{}", "{null}", "{1,2}", "{{1,2}}", "[0:1]={1,2}", None],
    "bytea": ["", "\\x00", "\\x0000", None],
    "interval": ["1 month", "30 days", "720 hours", None],
    "timetz": ["12:00+00", "13:00+01", None],
    "timestamptz": ["infinity", "-infinity", "0001-01-01 00:00+00 BC", "2026-01-01 00:00:00.000001+00"],
    "int4range": ["empty", "[1,3)", "(,)", None],
    "bit varying": ["", "0", "00", None],
    "char(3)": ["a", "ab", None],
    "point": ["(0,0)", "(0,-0)", None],
    "bigint": ["1", "4294967296", "-1", "-4294967296", None],
    "money": ["1.00", "-1.00", None],
    "tsvector": ["a:1", "a:1A", "", None],
    "mood": ["sad", "glad", None],
    "positive": ["1.0", "1.00", None],
}


@pytest.mark.parametrize("kind", AWKWARD)
def test_values_that_only_look_alike_are_told_apart(shop: Shop, kind: str) -> None:
    """Each row of raw gets the next row's value: all must be found. Loaded as they are, all must match."""
    values = AWKWARD[kind]
    shop.execute("create type mood as enum ('sad', 'glad')")
    shop.execute("create domain positive as numeric check (value > 0)")
    shop.execute(f"create table item (id int primary key, v {kind})")
    for number, value in enumerate(values):
        shop.execute(f"insert into item values (%s, %s::{kind})", number, value)
    shop.load_one(FULL)
    assert kinds(look(shop, FULL)) == (0, 0, 0, 0)
    spoil(
        shop,
        "update raw.item set v = nearby.v from (select id, v from raw.item) as nearby "
        "where nearby.id = (item.id + 1) %% %s",
        len(values),
    )
    result = look(shop, FULL)
    assert kinds(result) == (0, 0, len(values), 0)
    assert result.columns == {"v": len(values)}
    assert repair(shop, result, FULL) == (0, len(values), 0)
    assert kinds(look(shop, FULL)) == (0, 0, 0, 0)


KEYS = {
    "uuid": ["00000000-0000-0000-0000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "text": ["", "a'b\"c", "é{},\\", "NULL", "100%s"],
    "numeric": ["1.00", "2.5", "NaN", "Infinity", "1e30"],
    "timestamptz": ["2026-03-29 01:00+00", "infinity", "0001-01-01 00:00+00 BC"],
    "bytea": ["\\x00ff", "\\x"],
    "float8": ["0.1", "1e-320", "NaN"],
    "date": ["2026-01-01", "-infinity"],
    "interval": ["1 day 02:03:04.5", "-1 mon"],
    "inet": ["10.0.0.1/8", "::1"],
    "char(4)": ["ab", "abcd"],
    "int[]": ["{1,2}", "{null}"],
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_any_type_are_named_and_repaired(shop: Shop, kind: str) -> None:
    shop.execute(f'create table item ("Key {{}}" {kind} primary key, "select" text)')
    for value in KEYS[kind]:
        shop.execute(f"insert into item values (%s::{kind}, 'x')", value)
    shop.load_one(FULL)
    spoil(shop, "update raw.item set \"select\" = 'y'")
    result = look(shop, FULL, with_values=True)
    assert kinds(result) == (0, 0, len(KEYS[kind]), 0)
    assert {d.columns for d in result.named} == {("select",)}
    spoil(shop, 'delete from raw.item where "Key {}" = %s', KEYS[kind][0])
    result = look(shop, FULL)
    assert kinds(result) == (1, 0, len(KEYS[kind]) - 1, 0)
    assert repair(shop, result, FULL) == (1, len(KEYS[kind]) - 1, 0)
    assert look(shop, FULL).status == "ok"


def test_a_numeric_key_with_other_zeros_is_the_same_key(shop: Shop) -> None:
    shop.execute("create table item (id numeric primary key, a text)")
    shop.execute("insert into item values (1.0, 'a'), (2, 'b')")
    shop.load_one(FULL)
    spoil(shop, "update raw.item set id = 1.00 where id = 1")
    result = look(shop, FULL)
    assert names(result) == {("different", ("1",), ("id",))}
    assert repair(shop, result, FULL) == (0, 1, 0)
    assert look(shop, FULL).status == "ok"


def test_composite_keys_and_odd_identifiers(shop: Shop) -> None:
    spec = replace(FULL, source_table='Odd "%s" tablé', raw_table='Odd "%s" tablé')
    table = sql.Identifier(spec.source_table)
    shop.execute(
        sql.SQL(
            'create table {} ("order" text, "Größe %s" int, compared int, "{{}}" text, bucket int, number int, '
            'primary key ("order", "Größe %s"))'
        ).format(table)
    )
    shop.execute(sql.SQL("insert into {} select 'a', n, n, 'b' from generate_series(1, 9) as n").format(table))
    shop.load_one(spec)
    spoil(
        shop,
        sql.SQL('update {} set "{{}}" = null, compared = 0 where compared = 4').format(
            sql.Identifier("raw", spec.raw_table)
        ),
    )
    result = look(shop, spec)
    assert names(result) == {("different", ("a", "4"), ("compared", "{}"))}
    assert result.key_columns == ("order", "Größe %s")
    assert repair(shop, result, spec) == (0, 1, 0)
    assert look(shop, spec).status == "ok"


def test_a_table_without_a_key_is_compared_as_a_bag(shop: Shop) -> None:
    shop.execute("create table item (a text)")
    shop.execute("insert into item select 'same' from generate_series(1, 50)")
    shop.execute("insert into item values ('once'), (null), (null)")
    shop.load_one(FULL)
    assert look(shop, FULL).status == "ok"
    spoil(shop, "delete from raw.item where ctid in (select ctid from raw.item where a = 'same' limit 3)")
    spoil(shop, "insert into raw.item values ('once', now(), 1), ('new', now(), 1)")
    result = look(shop, FULL)
    assert kinds(result) == (3, 2, 0, 0)
    assert {(d.kind, d.key, d.copies) for d in result.named} == {("missing", None, 3), ("extra", None, 1)}
    with pytest.raises(Exception, match="haven load item --full"):
        repair(shop, result, FULL)


def test_a_repair_mends_exactly_what_differs_and_a_second_moves_nothing(filled: Shop) -> None:
    spoil(filled, "delete from raw.item where id = 7")
    spoil(filled, "insert into raw.item values (5000, 'x', null, now(), 1, null)")
    spoil(filled, "update raw.item set name = 'wrong' where id = 500")
    filled.execute("update item set name = 'newer', updated_at = now() where id = 5")
    watermark = rows(filled.warehouse, "select watermark, load_id from ops.watermarks")
    untouched = "select ctid::text, item.* from raw.item where id not in (5, 7, 500, 5000) order by 2"
    before = rows(filled.warehouse, untouched)
    found = look(filled)
    assert kinds(found) == (1, 1, 1, 1)
    assert repair(filled, found) == (1, 2, 1)
    assert kinds(look(filled)) == (0, 0, 0, 0)
    assert filled.live() == filled.truth()
    assert rows(filled.warehouse, untouched) == before
    assert rows(filled.warehouse, "select watermark, load_id from ops.watermarks") == watermark
    assert rows(
        filled.warehouse,
        "select mode, rows_inserted, rows_updated, rows_deleted, watermark_to is not null "
        "from ops.table_loads order by load_id desc limit 1",
    ) == [("repair", 1, 2, 1, True)]
    assert repair(filled, found) == (0, 0, 0)
    # The next load goes on from the old watermark and finds nothing to change.
    assert filled.load_one(ITEM).rows_moved == 0


def test_a_repair_takes_what_the_source_holds_now(filled: Shop) -> None:
    spoil(filled, "update raw.item set name = 'wrong' where id in (500, 501)")
    spoil(filled, "insert into raw.item values (5000, 'x', null, now(), 1, null)")
    found = look(filled)
    filled.execute("delete from item where id = 500")
    filled.execute("insert into item values (5000, 'born since', now())")
    assert repair(filled, found) == (0, 2, 1)
    assert filled.live() == filled.truth()


def test_too_many_keys_are_refused_with_what_to_do(filled: Shop) -> None:
    spoil(filled, "update raw.item set name = 'wrong'")
    with pytest.raises(Exception, match=r"too many keys differ \(1,000\).*haven load item --full"):
        repair(filled, look(filled, limit=999))


def test_schema_differences(filled: Shop) -> None:
    filled.execute("alter table item add column colour text")
    spoil(filled, "update raw.item set name = 'wrong' where id = 5")
    result = look(filled)
    assert result.lacking == ("colour",)
    assert kinds(result) == (0, 0, 1, 0)
    assert repair(filled, result) == (0, 1, 0)
    result = look(filled)
    assert (result.total, result.status, result.exit_code) == (0, "different", 1)
    filled.load_one(ITEM)
    assert look(filled).status == "ok"
    # A column that the source dropped stays in raw and is not compared.
    filled.execute("alter table item drop column name")
    assert look(filled).status == "ok"


def test_tables_that_cannot_be_compared_say_why_and_do_not_stop_the_others(filled: Shop) -> None:
    never = replace(ITEM, name="never", source_table="never", raw_table="never")
    gone = replace(ITEM, name="gone", source_table="gone", raw_table="gone")
    filled.execute("create table never (id int primary key, updated_at timestamptz)")
    results = reconcile_tables(
        Contract((never, gone, ITEM), (Problem("shop.broken", "sources.yml: bad"),)),
        filled.source_settings,
        filled.warehouse_settings,
        ReconcileRequest(),
        run_id="many",
    )
    assert [(r.table, r.status, r.exit_code) for r in results] == [
        ("shop.broken", "failed", 2),
        ("shop.never", "failed", 1),
        ("shop.gone", "failed", 1),
        ("shop.item", "ok", 0),
    ]
    assert "never loaded: run `haven load never`" in str(results[1].error)
    stored = rows(
        filled.warehouse,
        "select table_name, status, match_pct, source_rows, error is null from ops.reconciliations "
        "order by reconciliation_id",
    )
    assert stored == [
        ("never", "failed", None, 0, False),
        ("gone", "failed", None, 0, False),
        ("item", "ok", Decimal(100), 1000, True),
    ]


def test_the_portable_hash_finds_the_same(filled: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that answer the probe differently are compared by md5."""
    monkeypatch.setattr(checksums, "PROBE", "select pg_backend_pid()")
    assert look(filled).status == "ok"
    spoil(filled, "update raw.item set name = null where id = 500")
    assert names(look(filled)) == {("different", ("500",), ("name",))}


def test_one_in_many_never_rounds_up_to_a_full_match() -> None:
    result = Reconciliation("t", source_rows=10**12, raw_rows=10**12, different=1)
    assert result.match_pct == Decimal("99.999999")
    assert Reconciliation("t").match_pct == 100
    assert Reconciliation("t", raw_rows=3, extra=3).match_pct == 0


def test_another_server_encoding_gives_the_same_bytes(filled: Shop, databases: Databases) -> None:
    """A source in LATIN1 and a warehouse in UTF8 hold the same text in different bytes."""
    admin = connect(filled.source_settings)
    admin.autocommit = True
    name = f"{filled.source_settings.dbname}_latin1"
    with admin.cursor() as cursor:
        cursor.execute(f"create database {name} encoding 'LATIN1' locale 'C' template template0")
    try:
        latin = Shop(replace(filled.source_settings, dbname=name), databases.create("warehouse"))
        latin.execute("create table item (id text primary key, name text)")
        latin.execute("insert into item values ('é', 'Größe'), ('ü', 'ß')")
        latin.load_one(FULL)
        assert rows(latin.warehouse, "select name from raw.item order by id") == [("Größe",), ("ß",)]
        assert look(latin, FULL).status == "ok"
        spoil(latin, "update raw.item set name = 'ss' where id = 'ü'")
        result = look(latin, FULL)
        assert names(result) == {("different", ("ü",), ("name",))}
        assert repair(latin, result, FULL) == (0, 1, 0)
        latin.source.close()
        latin.warehouse.close()
    finally:
        with admin.cursor() as cursor:
            cursor.execute(f"drop database {name} with (force)")
        admin.close()


def test_an_older_server_as_source_hashes_alike(debian_source: Connection, databases: Databases) -> None:
    old = Shop(debian_source, databases.create("warehouse"))
    old.execute(
        "create table item (id int primary key, a text, b numeric, c jsonb, d timestamptz, e int[], "
        "f float8, g bytea, h int4range, i uuid, j inet)"
    )
    old.execute(
        "insert into item select n, repeat('é', n), n / 7.0, jsonb_build_object('n', n), "
        "now() + n * interval '1 hour', array[n, null], sqrt(n), decode(md5(n::text), 'hex'), "
        "int4range(n, n + 5), md5(n::text)::uuid, ('10.0.0.' || n % 256)::inet "
        "from generate_series(1, 500) as n"
    )
    old.load_one(FULL)
    assert look(old, FULL).status == "ok"
    assert rows(old.source, checksums.PROBE) == rows(old.warehouse, checksums.PROBE)
    spoil(old, "update raw.item set f = f + 1e-9 where id = 400")
    result = look(old, FULL)
    assert names(result) == {("different", ("400",), ("f",))}
    assert repair(old, result, FULL) == (0, 1, 0)
    assert look(old, FULL).status == "ok"
    old.source.close()
    old.warehouse.close()


CHANGES = st.lists(
    st.tuples(st.sampled_from(["missing", "extra", "different"]), st.integers(1, 300)),
    max_size=30,
    unique_by=lambda change: change[1],
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES)
def test_any_set_of_changes_is_found_and_repaired(filled: Shop, changes: list[tuple[str, int]]) -> None:
    expected = set()
    for kind, number in changes:
        if kind == "missing":
            spoil(filled, "delete from raw.item where id = %s", number)
        elif kind == "extra":
            number += 10_000  # noqa: PLW2901
            spoil(filled, "insert into raw.item values (%s, '', null, now(), 1, null)", number)
        else:
            spoil(filled, "update raw.item set name = '' where id = %s", number)
        expected.add((kind, (str(number),)))
    found = look(filled)
    assert {(d.kind, d.key) for d in found.named} == expected
    assert found.total == len(expected)
    if expected:
        repair(filled, found)
    assert look(filled).status == "ok"
    assert filled.live() == filled.truth()
    spoil(filled, "delete from raw.item where id > 10000")


# --- the command line


SOURCES = """
sources:
  - name: shop
    schema: raw
    config: {meta: {load: {strategy: full}}}
    tables:
      - name: item
      - name: other
"""


@pytest.fixture
def project(filled: Shop, tmp_path: Path) -> Project:
    """A dbt project with two loaded tables."""
    (tmp_path / "models").mkdir()
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: haven\n", encoding="utf-8")
    (tmp_path / "models" / "sources.yml").write_text(SOURCES, encoding="utf-8")
    root = Path(__file__).parents[2]
    (tmp_path / "profiles.yml").write_text((root / "profiles.yml").read_text(encoding="utf-8"), encoding="utf-8")
    filled.execute("create table other (a int)")
    filled.execute("insert into other values (1)")
    project = Project(tmp_path, filled.source_settings, filled.warehouse_settings)
    project.haven("load")
    return project


def test_the_command_finds_repairs_and_ends_with_the_right_code(project: Project, filled: Shop) -> None:
    done = project.haven("reconcile")
    assert "shop.item" in done.out
    assert "100" in done.out
    loads = rows(filled.warehouse, "select count(*) from ops.table_loads")
    spoil(filled, "update raw.item set name = 'private' where id = 5")

    done = project.haven("reconcile", "item", expect=1)
    line = "error: shop.item: 1 different (id 5) in name; run `haven reconcile shop.item --repair`"
    assert line in done.err
    assert "private" not in done.out + done.err
    assert rows(filled.warehouse, "select count(*) from ops.table_loads") == loads
    assert "raw 'private'" in project.haven("reconcile", "item", "--show-values", expect=1).err

    found = project.haven("reconcile", "--json", expect=1).json
    assert found["status"] == "failed"
    item = next(table for table in found["tables"] if table["table"] == "shop.item")
    assert item["different"] == 1
    assert item["match_pct"] == "99.900000"
    assert item["named"] == [{"kind": "different", "key": ["5"], "columns": ["name"]}]

    done = project.haven("reconcile", "item", "--repair")
    assert "1 rows repaired" in done.out
    assert filled.live() == filled.truth()
    assert rows(filled.warehouse, "select command, status from ops.runs order by started_at desc limit 1") == [
        ("reconcile", "ok")
    ]
    stored = rows(
        filled.warehouse,
        "select status, different_rows, sample_keys, column_differences from ops.reconciliations "
        "where table_name = 'item' order by reconciliation_id desc limit 2",
    )
    assert stored == [
        ("ok", 0, [], {}),
        ("different", 1, [{"kind": "different", "key": ["5"], "columns": ["name"]}], {"name": 1}),
    ]
    project.haven("reconcile", "item", "--repair")
    count = rows(filled.warehouse, "select count(*) from ops.table_loads where mode = 'repair'")
    assert count == [(1,)]


def test_the_command_line_maps_failures_to_exit_codes(project: Project, filled: Shop) -> None:
    spoil(filled, "insert into raw.other values (2, now(), 1)")
    done = project.haven("reconcile", expect=1)
    assert "error: shop.other: 1 extra; no key to repair by: run `haven load shop.other --full`" in (done.err)
    assert "no table 'itme' in the sources YAML: did you mean item?" in (
        project.haven("reconcile", "itme", expect=2).err
    )
    done = project.haven("reconcile", expect=3, HAVEN_SOURCE_PORT="1")
    assert "cannot connect to source" in done.err
    project.haven("reconcile", expect=3, HAVEN_WAREHOUSE_PORT="1")
    with_lock = filled.warehouse.cursor()
    with_lock.execute("select pg_advisory_lock(%s, hashtext(%s))", (0x4841564E, project.source.place))
    assert "is being loaded by" in project.haven("reconcile", "--repair", expect=75).err
    # Looking needs no lock.
    project.haven("reconcile", "item")
    filled.warehouse.rollback()


def test_h10_deletes_that_are_not_followed_are_a_state_of_their_own(project: Project, filled: Shop) -> None:
    path = project.path / "models" / "sources.yml"
    text = path.read_text(encoding="utf-8")
    filled.execute("delete from item where id <= 13")
    ignoring = "name: item\n        config: {meta: {load: {deletes: ignore}}}"
    path.write_text(text.replace("name: item", ignoring), encoding="utf-8")
    project.haven("load")
    done = project.haven("reconcile")
    assert "shop.item: deletes not followed: 13 (`deletes: ignore`)" in done.out
    assert "error" not in done.err
    (item,) = project.haven("reconcile", "item", "--json").json["tables"]
    assert (item["status"], item["deletes_not_followed"], item["named"]) == ("not_followed", 13, [])
    stored = "select status, extra_rows, match_pct from ops.reconciliations where table_name = 'item'"
    assert set(rows(filled.warehouse, stored)) == {("not_followed", 13, Decimal(100))}


UNSTABLE = {
    # The order of what is put together depends on the plan.
    "by_plan": "select n % 10 as id, string_agg(name, ',') as names from "
    "(select id as n, name from item) as rows group by n % 10",
    "by_chance": "select id, random() as v from item",
    "by_clock": "select id, clock_timestamp() as seen_at from item where id < 5",
}


def test_l16_a_view_without_a_stable_result_is_no_difference(filled: Shop) -> None:
    specs = []
    for name, query in UNSTABLE.items():
        filled.execute(f"create view {name} as {query}")
        specs.append(
            replace(
                ITEM, name=name, source_table=name, raw_table=name, strategy="full", watermark=None, primary_key=("id",)
            )
        )
    filled.execute("create view steady as select id, name, length(name) as size from item")
    steady = replace(specs[0], name="steady", source_table="steady", raw_table="steady")
    filled.load(*specs, steady)
    by_plan, by_chance, by_clock, well = (look(filled, spec) for spec in (*specs, steady))
    # Under its own plan it gives what was loaded.
    assert by_plan.status in ("ok", "unstable")
    assert (by_chance.status, by_clock.status, well.status) == ("unstable", "unstable", "ok")
    assert (by_chance.exit_code, by_chance.match_pct) == (0, None)
    spoil(filled, "update raw.by_plan set names = names || ',more'")
    assert look(filled, specs[0]).status in ("different", "unstable")
    spoil(filled, "update raw.steady set size = 0 where id = 7")
    assert look(filled, steady).status == "different"


def test_l17_tables_are_compared_several_at_a_time_as_of_one_moment(filled: Shop) -> None:
    specs = []
    for number in range(6):
        filled.execute(f"create table t{number} as table item")
        filled.execute(f"alter table t{number} add primary key (id)")
        specs.append(replace(ITEM, name=f"t{number}", source_table=f"t{number}", raw_table=f"t{number}"))
    filled.load(*specs)
    seen: list[str] = []

    def change(result: Reconciliation) -> None:
        # What is written meanwhile is not seen: neither as a difference nor as pending.
        seen.append(result.table)
        filled.execute("update t5 set name = 'later', updated_at = now() where id = 1")

    results = reconcile_tables(
        Contract(tuple(specs), ()),
        filled.source_settings,
        filled.warehouse_settings,
        ReconcileRequest(workers=3),
        run_id="many",
        on_done=change,
    )
    assert seen == [result.table for result in results] == [spec.label for spec in specs]
    assert {kinds(result) for result in results} == {(0, 0, 0, 0)}
    assert kinds(look(filled, specs[5])) == (0, 0, 0, 1)
