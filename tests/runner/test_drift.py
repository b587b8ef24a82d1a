"""Schema drift: the source's tables change under a running pipeline; raw follows where nothing is lost, or says no."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg2
import pytest
from conftest import Databases, rows
from psycopg2 import sql
from test_load import DAY, SPEC, Shop
from test_reconcile import look, repair
from test_types import FULL, full, open_shop, refusal, shape

from runner.connect import connect
from runner.contract import TableSpec
from runner.errors import DataError
from runner.load import merge
from runner.load.widening import is_widening

LATER = DAY.format(20)


@pytest.fixture
def shop(databases: Databases) -> Iterator[Shop]:
    """An empty shop."""
    yield from open_shop(databases.create("source"), databases.create("warehouse"))


@pytest.fixture
def filled(shop: Shop) -> Shop:
    """A shop with three rows, loaded once."""
    shop.execute("create table item (id integer primary key, name text not null, v integer, updated_at timestamptz)")
    shop.execute(
        "insert into item select n, 'name ' || n, n * 10, '2026-01-01 00:00+00'::timestamptz "
        "+ n * interval '1 day' from generate_series(1, 3) as n"
    )
    shop.load_one()
    return shop


def changes(shop: Shop, table: str = "item") -> list[tuple[Any, ...]]:
    """Return all changes noted for a table, in order: column, change, type before, type after."""
    return rows(
        shop.warehouse,
        "select column_name, change, old_type, raw_type from ops.schema_changes "
        "where table_name = %s order by schema_change_id",
        table,
    )


def check(shop: Shop, columns: str, *noted: tuple[str, str, str | None, str | None]) -> None:
    """Check that raw's live rows are the source's, and that just these changes are noted, also after one more load."""
    assert shop.live(columns) == shop.truth(columns)
    assert changes(shop) == list(noted)
    assert shop.load_one().rows_moved == 0
    assert changes(shop) == list(noted)


# --- columns come, go, come back


@pytest.mark.parametrize("definition", ["text", 'text collate "C"'])
def test_an_added_column_is_loaded_from_then_on_and_backfilled_on_request(
    filled: Shop, definition: str, caplog: pytest.LogCaptureFixture
) -> None:
    filled.execute(f"alter table item add column colour {definition}")
    filled.execute("update item set colour = 'blue', updated_at = %s where id = 3", LATER)
    with caplog.at_level("INFO", "haven"):
        assert filled.load_one().rows_updated == 1
    assert [r.message for r in caplog.records if "colour" in r.message] == [
        "  shop.item: column colour added (text); rows loaded before lack its values until "
        "`haven load shop.item --full`"
    ]
    assert changes(filled) == [("colour", "added", None, "text")]
    assert rows(filled.warehouse, "select id, colour from raw.item order by 1") == [(1, None), (2, None), (3, "blue")]
    advice = (
        "select is_backfill_advised, backfilled_at = "
        "(select max(_loaded_at) from raw.item where colour is not null) from ops.schema_changes"
    )
    assert rows(filled.warehouse, advice) == [(True, None)]
    filled.execute("update item set colour = 'red' where id <> 3")
    filled.load_one(since="2026-01-03", until="2026-01-04")
    assert rows(filled.warehouse, advice) == [(True, None)]
    filled.load_one(full=True)
    assert rows(filled.warehouse, advice) == [(True, True)]
    check(filled, "id, name, v, colour", ("colour", "added", None, "text"))
    filled.load_one(full=True)
    assert rows(filled.warehouse, "select count(*) from raw.item where colour is null") == [(0,)]


def test_a_table_that_is_read_whole_needs_no_backfill(filled: Shop) -> None:
    filled.load_one(FULL)
    filled.execute("alter table item add column colour text not null default 'red'")
    assert filled.load_one(FULL).rows_updated == 3
    assert filled.live("id, colour") == filled.truth("id, colour")
    assert rows(filled.warehouse, "select is_backfill_advised from ops.schema_changes") == [(False,)]


def test_a_generated_column_is_one_like_others(filled: Shop) -> None:
    filled.execute("alter table item add column twice integer generated always as (v * 2) stored")
    filled.execute("alter table item add column thrice integer generated always as (v * 3) virtual")
    filled.load_one(full=True)
    filled.execute("alter table item alter column twice set expression as (v * 20)")
    filled.load_one(full=True)
    filled.execute("alter table item alter column twice drop expression")
    check(filled, "id, twice, thrice", ("twice", "added", None, "integer"), ("thrice", "added", None, "integer"))


def test_a_dropped_column_stays_in_raw_and_takes_nulls(filled: Shop) -> None:
    assert shape(filled.warehouse, "raw.item")["name"] == ("text", True)
    filled.execute("alter table item drop column name")
    filled.execute("insert into item values (4, 40, %s)", LATER)
    filled.load_one()
    assert rows(filled.warehouse, "select id, name from raw.item order by id") == [
        (1, "name 1"), (2, "name 2"), (3, "name 3"), (4, None),
    ]  # fmt: skip
    check(filled, "id, v, updated_at", ("name", "dropped", "text", None))


def test_an_excluded_column_is_dropped_and_restored_like_any_other(filled: Shop) -> None:
    without = replace(SPEC, exclude=("name",))
    filled.load_one(without)
    filled.load_one(without)
    assert changes(filled) == [("name", "dropped", "text", None)]
    filled.load_one()
    assert changes(filled)[1:] == [("name", "restored", "text", "text")]


def test_a_column_that_comes_back_is_filled_again(filled: Shop) -> None:
    filled.execute("alter table item drop column name")
    filled.load_one()
    filled.execute("alter table item add column name text")
    filled.load_one()
    noted = (("name", "dropped", "text", None), ("name", "restored", "text", "text"))
    assert changes(filled) == list(noted)
    advice = "select is_backfill_advised from ops.schema_changes order by schema_change_id"
    assert rows(filled.warehouse, advice) == [(False,), (False,)]
    check(filled, "id, name", *noted)


def test_a_column_that_comes_back_with_a_wider_type_is_widened(filled: Shop) -> None:
    filled.execute("alter table item drop column v")
    filled.load_one()
    filled.execute("alter table item add column v bigint default 5000000000")
    filled.load_one(full=True)
    check(
        filled,
        "id, v",
        ("v", "dropped", "integer", None),
        ("v", "restored", "integer", "integer"),
        ("v", "widened", "integer", "bigint"),
    )


def test_a_column_that_comes_back_with_another_type_is_refused(filled: Shop) -> None:
    filled.execute("alter table item drop column v")
    filled.load_one()
    filled.execute("alter table item add column v date")
    code, error = refusal(filled, SPEC)
    assert (code, error.split(",")[0]) == (1, "column v of shop.item is now date but integer in raw.item")
    assert changes(filled) == [("v", "dropped", "integer", None)]


def test_not_null_is_relaxed_in_raw_but_not_tightened(filled: Shop) -> None:
    filled.execute("alter table item alter column name drop not null, alter column v set not null")
    filled.execute("insert into item values (4, null, 40, %s)", LATER)
    filled.load_one()
    found = shape(filled.warehouse, "raw.item")
    assert (found["name"], found["v"]) == (("text", False), ("integer", False))
    check(filled, "id, name, v", ("name", "nullable", None, None))


def test_the_order_of_columns_does_not_matter(filled: Shop) -> None:
    filled.execute("alter table item rename to old")
    filled.execute("create table item (updated_at timestamptz, v integer, name text not null, id integer primary key)")
    filled.execute("insert into item select updated_at, v, name, id from old")
    filled.execute("insert into item values (%s, 40, 'name 4', 4)", LATER)
    assert filled.load_one().rows_moved == 1
    check(filled, "id, name, v")


def test_a_raw_table_that_is_loaded_anew_knows_nothing_of_older_changes(filled: Shop) -> None:
    filled.execute("alter table item drop column v")
    filled.load_one()
    filled.execute("alter table item add column v integer default 7")
    rows(filled.warehouse, "drop table raw.item")
    assert filled.load_one().mode == "first"
    check(filled, "id, v", ("v", "dropped", "integer", None))


# --- types

# From, to, and values of the old type.
LOSSLESS = (
    ("smallint", "integer", ("-32768", "null")),
    ("smallint", "numeric(5,0)", ("32767",)),
    ("smallint", "real", ("-32768",)),
    ("integer", "bigint", ("2147483647",)),
    ("integer", "numeric", ("-2147483648",)),
    ("integer", "numeric(12,2)", ("2147483647",)),
    ("integer", "double precision", ("2147483647",)),
    ("bigint", "numeric", ("-9223372036854775808",)),
    ("integer[]", "bigint[]", ("'[0:1][5:5]={{1},{null}}'",)),
    ("oid", "bigint", ("4294967295",)),
    ("real", "double precision", ("'0.1'", "'-0'", "'NaN'", "'1e-45'", "'-Infinity'")),
    ("numeric(5,2)", "numeric(6,3)", ("123.45", "'NaN'")),
    ("numeric(5,2)", "numeric", ("1.50",)),
    ("numeric(5,-2)", "numeric(7,0)", ("1234500",)),
    ("varchar(3)", "varchar(4)", ("'a  '", "'☃☃☃'")),
    ("varchar(3)", "varchar", ("''",)),
    ("varchar(3)", "text", ("'a  '",)),
    ("varchar(3)[]", "text[]", ("'{a,null}'",)),
    ("text", "varchar", ("'long'",)),
    ("char(3)", "char(5)", ("'a'",)),
    ("char(3)", "varchar(3)", ("'a'",)),
    ("char(3)", "text", ("' a'",)),
    ("name", "text", ("'n'",)),
    ("name", "varchar(63)", ("repeat('é', 31)",)),
    ("date", "timestamp", ("'infinity'", "'0001-01-01 BC'", "'2020-02-29'")),
    ("date", "timestamp(0)", ("'2020-02-29'",)),
    ("timestamp(0)", "timestamp(3)", ("'2020-01-01 00:00:01'",)),
    ("timestamp(3)", "timestamp", ("'2020-01-01 00:00:01.123'",)),
    ("timestamptz(3)", "timestamptz", ("'infinity'",)),
    ("time(0)", "time", ("'24:00'",)),
    ("timetz(0)", "timetz(2)", ("'24:00-15:59'",)),
    ("interval(0)", "interval", ("'1 mon -1 day 00:00:01'",)),
    ("bit(3)", "varbit(3)", ("b'010'",)),
    ("bit(3)", "varbit", ("b'010'",)),
    ("varbit(3)", "varbit(5)", ("b'01'",)),
    ("cidr", "inet", ("'10.0.0.0/8'", "'10.0.0.1/32'")),
    ("small_score", "big_score", ("1.5",)),
    ("small_score[]", "numeric(6,3)[]", ("'{1.5,null}'",)),
)
# From, to, and how the source gets there.
# From, to, how the source gets there, and a value of both.
NARROWER = (
    ("bigint", "integer", "v::integer", "'2147483647'"),
    ("integer", "smallint", "v::smallint", "'-32768'"),
    ("double precision", "real", "v::real", "'1.5'"),
    ("numeric", "numeric(10,2)", "v", "'12.50'"),
    ("text", "varchar(5)", "v", "'abc'"),
    ("varchar(5)", "varchar(4)", "v", "'abc'"),
    ("varchar(5)", "char(5)", "v", "'abc'"),
    ("timestamp", "timestamp(0)", "v", "'2020-02-29'"),
    ("timestamp", "date", "v::date", "'2020-02-29'"),
    ("interval", "interval(3)", "v", "'1 mon 2 days'"),
    ("varbit", "varbit(3)", "v::varbit(3)", "b'010'"),
    ("inet", "cidr", "v::cidr", "'10.0.0.0/8'"),
    ("bigint[]", "smallint[]", "v::smallint[]", "'{1,null}'"),
    ("timestamp", "date", "v::date", "'infinity'"),
    ("varchar(5)", "short_code", "v::short_code", "'abc'"),
)
# From, to, how the source gets there, a value of both, and the type that holds all values of both.
COMMON = (
    ("numeric(10,2)", "numeric(10,1)", "v", "'12.5'", "numeric(11,2)"),
    ("integer", "numeric(11,2)", "v", "'5'", "numeric(12,2)"),
    ("numeric(10,2)", "numeric(10,3)", "v", "'1.25'", "numeric(11,3)"),
    ("numeric(10,2)", "integer", "v", "'7'", "numeric(12,2)"),
    ("smallint", "numeric(3,1)", "v / 10.0", "'12'", "numeric(6,1)"),
    ("bigint[]", "numeric(3,1)[]", "v::numeric(3,1)[]", "'{1,null}'", "numeric(20,1)[]"),
)
# From, to, how the source gets there, a value of the old type.
LOSSY = (
    ("integer", "real", "v::real", "'5'"),
    ("integer", "text", "v::text", "'5'"),
    ("bigint", "double precision", "v::double precision", "'9007199254740993'"),
    ("double precision", "numeric", "v::numeric", "'0.1'"),
    ("numeric", "double precision", "v::double precision", "'1.25'"),
    ("text", "integer", "v::integer", "'12'"),
    ("char(5)", "varchar(4)", "v", "'ab'"),
    ("timestamptz", "timestamp", "v::timestamp", "'2020-01-01 10:00+02'"),
    ("timestamp", "timestamptz", "v::timestamptz", "'2020-01-01 10:00'"),
    ("date", "timestamptz", "v::timestamptz", "'2020-01-01'"),
    ("time", "timetz", "v::timetz", "'10:00'"),
    ("bit(3)", "bit(5)", "v::bit(5)", "b'010'"),
    ("json", "jsonb", "v::jsonb", '\'{"a": 1,  "a": 2}\''),
    ("jsonb", "json", "v::json", "'{\"a\": 1}'"),
    ("boolean", "integer", "v::integer", "'true'"),
    ("integer", "integer[]", "array[v]", "'5'"),
    ("text", "bytea", "convert_to(v, 'UTF8')", "'12'"),
    ("uuid", "text", "v::text", "'00112233-4455-6677-8899-aabbccddeeff'"),
    ("money", "numeric", "v::numeric", "'1.50'"),
    ("date", "integer", "extract(epoch from v)::integer", "'2020-01-01'"),
    ("integer[]", "integer", "v[1]", "'{7,8}'"),
    ("mood", "integer", "length(v::text)", "'sad'"),
    ("integer", "mood", "'sad'::mood", "'1'"),
)


def typed(shop: Shop, number: int, kind: str, values: tuple[str, ...]) -> TableSpec:
    """Create and fill a table with a column of that type; return its spec."""
    name = f"t{number}"
    shop.execute(f"create table {name} (id serial primary key, v {kind}, updated_at timestamptz default now())")
    for value in values:
        shop.execute(f"insert into {name} (v) values ({value})")
    return replace(SPEC, name=name, raw_table=name, source_table=name)


def test_raw_follows_every_change_of_type_that_loses_nothing(shop: Shop) -> None:
    shop.execute("create domain small_score as numeric(4, 2)")
    shop.execute("create domain big_score as numeric(6, 3)")
    specs = [typed(shop, n, old, values) for n, (old, _, values) in enumerate(LOSSLESS)]
    assert [o.error for o in shop.load(*specs)] == [None] * len(specs)
    for spec, (_, new, _) in zip(specs, LOSSLESS, strict=True):
        # Watermarks stay as they are: raw's own cast must give what the source has now.
        shop.execute(f"alter table {spec.name} alter column v type {new} using v::{new}")
    assert {o.table: o.error for o in shop.load(*specs) if o.error} == {}
    # A full load compares every value and finds nothing to update.
    assert {o.table: o.rows_moved for o in shop.load(*specs, full=True) if o.rows_moved} == {}
    for spec, (old, new, _) in zip(specs, LOSSLESS, strict=True):
        query = "select id, v::text, {} from {}.{} order by id"
        send = "encode(record_send(row(v)), 'hex')" if "score" not in new else "1"
        assert rows(shop.warehouse, query.format(send, "raw", spec.name)) == rows(
            shop.source, query.format(send, "public", spec.name)
        ), (old, new)
        ((column, kind, before, after),) = changes(shop, spec.name)
        assert (column, kind) == ("v", "widened")
        assert after == shape(shop.warehouse, f"raw.{spec.name}")["v"][0]
        assert before != after


def test_l14_raw_keeps_a_type_that_holds_all_values_of_the_sources(shop: Shop) -> None:
    shop.execute("create domain short_code as varchar(4)")
    specs = [typed(shop, n, old, ("null", value)) for n, (old, _, _, value) in enumerate(NARROWER)]
    assert [o.error for o in shop.load(*specs)] == [None] * len(specs)
    before = {spec.name: shape(shop.warehouse, f"raw.{spec.name}") for spec in specs}
    for spec, (_, new, using, value) in zip(specs, NARROWER, strict=True):
        shop.execute(f"alter table {spec.name} alter column v type {new} using {using}")
        shop.execute(f"insert into {spec.name} (v) values ({value}), (null)")
    done = shop.load(*specs)
    assert [(o.error, o.rows_inserted) for o in done] == [(None, 2)] * len(specs)
    # A change of type that rewrites the table, or may have changed values with `using`, is compared whole.
    assert {o.table: o.rows_moved for o in shop.load(*specs, full=True) if o.rows_moved} == {}
    for spec, (old, new, _, _) in zip(specs, NARROWER, strict=True):
        assert shape(shop.warehouse, f"raw.{spec.name}") == before[spec.name]
        query = "select id, v::{} from {}.{} order by id"
        assert rows(shop.warehouse, query.format(before[spec.name]["v"][0], "raw", spec.name)) == rows(
            shop.source, query.format(before[spec.name]["v"][0], "public", spec.name)
        ), (old, new)
        assert look(shop, spec).status == "ok"
    assert rows(shop.warehouse, "select count(*) from ops.schema_changes") == [(0,)]


def test_l5_raw_takes_a_type_that_holds_the_values_of_both(shop: Shop) -> None:
    specs = [typed(shop, n, old, ("null", value)) for n, (old, _, _, value, _) in enumerate(COMMON)]
    shop.load(*specs)
    for spec, (_, new, using, value, _) in zip(specs, COMMON, strict=True):
        rows(shop.warehouse, f"create view seen_{spec.name} as select v from raw.{spec.name}")
        shop.execute(f"alter table {spec.name} alter column v type {new} using {using}")
        shop.execute(f"insert into {spec.name} (v) values ({value if new != 'numeric(3,1)' else 9.9})")
    assert {o.table: o.error for o in shop.load(*specs) if o.error} == {}
    for spec, (old, _, _, _, both) in zip(specs, COMMON, strict=True):
        assert shape(shop.warehouse, f"raw.{spec.name}")["v"][0] == both
        assert changes(shop, spec.name) == [("v", "widened", shape_of(shop, old), both)]
        assert look(shop, spec).status == "ok"
    assert {o.table: o.rows_moved for o in shop.load(*specs, full=True) if o.rows_moved} == {}


def shape_of(shop: Shop, kind: str) -> str:
    """Return how PostgreSQL spells a type."""
    ((name,),) = rows(shop.source, f"select pg_typeof(null::{kind})::text")
    return kind if "(" in kind else str(name)


def test_l5_l14_every_other_change_of_type_fails_its_table_alone_until_it_is_rebuilt(shop: Shop) -> None:
    shop.execute("create type mood as enum ('sad')")
    specs = [typed(shop, n, old, (value, "null")) for n, (old, _, _, value) in enumerate(LOSSY)]
    well = typed(shop, 1000, "integer", ("1",))
    shop.load(*specs, well)
    rows(shop.warehouse, "create schema staging")
    for spec in specs:
        view = "create view staging.{0} as select id, v as value from raw.{0} where v is not null"
        rows(shop.warehouse, view.format(spec.name))
        shop.execute(f"delete from {spec.name} where v is null")
    shop.load(*specs)
    before = {spec.name: shape(shop.warehouse, f"raw.{spec.name}") for spec in specs}
    for spec, (_, new, using, _) in zip(specs, LOSSY, strict=True):
        shop.execute(f"alter table {spec.name} alter column v type {new} using {using}")
    shop.execute("insert into t1000 (v) values (2)")
    *failed, loaded = shop.load(*specs, well)
    assert (loaded.error, loaded.rows_inserted) == (None, 1)
    for spec, outcome in zip(specs, failed, strict=True):
        assert outcome.exit_code == 1, outcome
        assert f"column v of {outcome.table} is now " in str(outcome.error)
        assert f"run `haven load {outcome.table} --rebuild`" in str(outcome.error)
        assert shape(shop.warehouse, f"raw.{spec.name}") == before[spec.name]
    assert rows(shop.warehouse, "select count(*) from ops.schema_changes") == [(0,)]
    done = shop.load(*specs, rebuild=True)
    assert {o.table: o.error for o in done if o.error} == {}
    for spec, (old, new, _, _) in zip(specs, LOSSY, strict=True):
        assert look(shop, spec).status == "ok", (old, new)
        live = "select id, v::text from {} order by id"
        assert rows(shop.warehouse, f"select id, value::text from staging.{spec.name}") == rows(
            shop.source, live.format(spec.name)
        ), (old, new)
        # The deleted row is still known.
        dead = f"select id from raw.{spec.name} where _deleted_at is not null"
        assert rows(shop.warehouse, dead) == [(2,)]
        ((column, kind, was, now),) = changes(shop, spec.name)
        assert (column, kind, was) == ("v", "rebuilt", before[spec.name]["v"][0])
        assert now == shape(shop.warehouse, f"raw.{spec.name}")["v"][0]
    assert {o.table: o.rows_moved for o in shop.load(*specs) if o.rows_moved} == {}


def test_a_types_spelling_is_read_right() -> None:
    assert is_widening("character varying(5)[]", "text[]")
    assert not is_widening("text[]", "text")
    assert not is_widening("character varying", "character varying(5)")
    assert is_widening("numeric(3,5)", "numeric(4,6)")
    assert not is_widening("numeric(3,5)", "numeric(3,4)")
    assert not is_widening("interval day to second(3)", "interval(2)")
    assert not is_widening('"char"', "text")
    assert not is_widening("bpchar", "character(5)")


def test_what_raw_keeps_as_text_may_change_freely(shop: Shop) -> None:
    shop.execute("create type mood as enum ('sad')")
    shop.execute("create domain code as varchar(3)")
    shop.execute("create table item (id integer primary key, feel mood, code code, name text, updated_at timestamptz)")
    shop.execute("insert into item values (1, 'sad', 'abc', 'sad', now())")
    shop.load_one()
    shop.execute("alter type mood add value 'glad'")
    shop.execute("alter type mood rename value 'sad' to 'blue'")
    shop.execute("alter table item alter column name type mood using 'glad'::mood")
    shop.execute("alter table item alter column code type varchar(3)")
    shop.load_one(full=True)
    check(shop, "id, feel, code, name")
    shop.execute("alter table item alter column feel type text")
    check(shop, "id, feel, code, name")


# --- keys, watermarks, whole tables


def test_a_key_may_grow(filled: Shop) -> None:
    rows(filled.warehouse, "create view seen as select id + 1 as next from raw.item")
    filled.execute("alter table item alter column id type bigint")
    filled.execute("insert into item values (5000000000, 'big', 1, '2000-01-01')")
    assert filled.load_one().rows_inserted == 1
    assert rows(filled.warehouse, "select max(next) from seen") == [(5000000001,)]
    check(filled, "id, name", ("id", "widened", "integer", "bigint"))
    key = "select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'raw.item'::regclass and contype = 'p'"
    assert rows(filled.warehouse, key) == [("PRIMARY KEY (id)",)]


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ("alter table item drop column id", 2, "the source's table declares none; name one with"),
        (
            "alter table item drop column updated_at",
            2,
            "watermark names column 'updated_at', which public.item does not have",
        ),
        (
            "alter table item alter column updated_at type text",
            2,
            "watermark 'updated_at' has type text; it must be a timestamp, a date or a number",
        ),
        (
            "alter table item alter column updated_at type timestamp",
            1,
            "column updated_at of shop.item is now timestamp without time zone but",
        ),
        ("drop table item", 1, "the source has no table public.item: was it dropped or renamed?"),
        (
            "create schema app; alter table item set schema app",
            1,
            "but there is one in app: if it was moved, set `source_schema` in models/sources.yml",
        ),
        (
            "alter table item rename to old; create view item as table old",
            2,
            "the source's view declares none; name one with `primary_key`",
        ),
    ],
)
def test_what_raw_cannot_follow_is_said_in_one_line(filled: Shop, change: str, code: int, message: str) -> None:
    before = rows(filled.warehouse, "select * from raw.item order by id")
    filled.execute(change)
    found, error = refusal(filled, SPEC)
    assert found == code
    assert message in error
    assert rows(filled.warehouse, "select * from raw.item order by id") == before
    assert changes(filled) == []


def test_a_full_table_that_lost_its_key_is_refused(filled: Shop) -> None:
    filled.execute("alter table item drop constraint item_pkey")
    code, error = refusal(filled, FULL)
    assert code == 2
    assert "the source's table has no key but raw.item was loaded with (id)" in error
    assert filled.load_one(replace(FULL, primary_key=("id",))).rows_moved == 0


def test_a_view_in_place_of_a_table_is_loaded_once_its_key_is_named(filled: Shop) -> None:
    filled.execute("alter table item rename to old")
    filled.execute("create view item as table old")
    filled.execute("insert into old values (4, 'new', 40, %s)", LATER)
    named = replace(SPEC, primary_key=("id",))
    assert filled.load_one(named).rows_inserted == 1
    assert filled.live("id, name") == filled.truth("id, name")
    # A view vouches for nothing.
    assert changes(filled) == [("name", "nullable", None, None)]


def test_a_watermark_may_grow(shop: Shop) -> None:
    shop.execute("create table item (id integer primary key, updated_at date)")
    shop.execute("insert into item values (1, '2026-01-01')")
    shop.load_one()
    shop.execute("alter table item alter column updated_at type timestamp")
    shop.execute("insert into item values (2, '2026-01-01 12:00')")
    assert shop.load_one().rows_inserted == 1
    check(shop, "id, updated_at", ("updated_at", "widened", "date", "timestamp without time zone"))


# --- views on what is widened

VIEWS = """
create schema staging;
create role {owner};
create role {reader};
grant create, usage on schema staging to {owner};
grant select on raw.item to {owner};
create view staging.inner_view with (security_barrier=true) as
    select id, v as "Value %", name, v * 2 as twice from raw.item;
create view staging."Outer view" (a, b) as
    select one.id, sum(two."Value %") from staging.inner_view as one
    inner join staging.inner_view as two using (id) where one.name <> 'it''s %s' group by 1;
create view staging.both as
    select o.a, i.v, count(*) as n from staging."Outer view" as o
    inner join raw.item as i on i.id = o.a group by 1, 2;
create view staging.apart as select id, name from raw.item;
alter view staging.inner_view owner to {owner};
grant select on staging.inner_view to {reader} with grant option;
grant select ("Value %"), update (name) on staging.inner_view to public;
grant select on staging."Outer view" to public;
comment on view staging.inner_view is 'it''s a "view" 100%';
comment on column staging.inner_view."Value %" is 'a column';
alter default privileges in schema staging grant insert on tables to {reader};
"""
STATE = """
select
    pg_class.relname, pg_class.relowner::regrole::text, pg_class.reloptions,
    pg_get_viewdef(pg_class.oid), obj_description(pg_class.oid, 'pg_class'),
    array(
        select acl.grantee::regrole::text || ' ' || acl.privilege_type || ' ' || acl.is_grantable
        from aclexplode(pg_class.relacl) as acl where acl.grantee <> pg_class.relowner order by 1
    ),
    array(
        select row(attname, col_description(pg_class.oid, attnum), (
            select string_agg(acl.grantee || acl.privilege_type, ' ' order by acl.privilege_type)
            from aclexplode(attacl) as acl
        ))::text from pg_attribute where attrelid = pg_class.oid order by attnum
    )
from pg_class where relkind = 'v' and relnamespace = 'staging'::regnamespace order by relname
"""


@pytest.fixture
def viewed(filled: Shop) -> Iterator[Shop]:
    """A shop with views on raw, views on those, and all that can be said of views."""
    name = filled.warehouse_settings.dbname
    roles = {"owner": f"owner_{name}", "reader": f"reader_{name}"}
    script = VIEWS
    for role, found in roles.items():
        script = script.replace(f"{{{role}}}", found)
    rows(filled.warehouse, script)
    yield filled
    for role in roles.values():
        rows(filled.warehouse, f"drop owned by {role} cascade")
        rows(filled.warehouse, f"drop role {role}")


def test_views_are_made_again_as_they_were(viewed: Shop) -> None:
    before = rows(viewed.warehouse, STATE)
    content = rows(viewed.warehouse, "select * from staging.both order by 1")
    apart = rows(viewed.warehouse, "select 'staging.apart'::regclass::oid")
    viewed.execute("alter table item alter column v type bigint")
    viewed.execute("alter table item add column colour text")
    viewed.load_one()
    assert rows(viewed.warehouse, STATE) == before
    assert rows(viewed.warehouse, "select * from staging.both order by 1") == content
    assert shape(viewed.warehouse, "staging.inner_view")["twice"] == ("bigint", False)
    assert shape(viewed.warehouse, 'staging."Outer view"')["b"] == ("numeric", False)
    # A view that does not read the column is left alone.
    assert rows(viewed.warehouse, "select 'staging.apart'::regclass::oid") == apart
    check(viewed, "id, v", ("colour", "added", None, "text"), ("v", "widened", "integer", "bigint"))


@pytest.mark.parametrize(
    ("obstacle", "message"),
    [
        (
            "create materialized view staging.kept as select * from staging.both",
            "v of raw.item changed its type, and staging.kept, a materialized view, reads it: drop that",
        ),
        (
            "create function twice(integer) returns integer language sql immutable return $1 * 2;"
            "create view staging.last as select twice(v) from raw.item",
            "a view that reads it cannot be made again: function public.twice(bigint) does not exist",
        ),
        (
            "create function note() returns trigger language plpgsql as 'begin return null; end';"
            "create trigger note instead of insert on staging.both for each row execute function note()",
            'staging."both", a view with triggers, rules or defaults, reads it',
        ),
        (
            "create function seen() returns setof staging.both language sql as 'table staging.both'",
            'view staging."both" that reads it cannot be made again: function public.seen() depends on',
        ),
        (
            "create rule note as on update to raw.item where old.v > 1 do also select 1",
            "cannot alter type of a column used by a view or rule (rule note on table raw.item",
        ),
        (
            "alter table raw.item add column more integer generated always as (v * 2) stored",
            "cannot alter type of a column used by a generated column",
        ),
    ],
    ids=["materialized", "impossible", "trigger", "function", "rule", "generated"],
)
def test_what_cannot_be_made_again_fails_the_table_and_changes_nothing(
    viewed: Shop, obstacle: str, message: str
) -> None:
    rows(viewed.warehouse, obstacle)
    state = rows(viewed.warehouse, STATE)
    oids = rows(viewed.warehouse, "select array_agg(oid order by oid) from pg_class where relkind = 'v'")
    viewed.execute("alter table item alter column v type bigint")
    viewed.execute("alter table item add column colour text")
    code, error = refusal(viewed, SPEC)
    assert code == 1
    assert message in error
    assert rows(viewed.warehouse, STATE) == state
    assert rows(viewed.warehouse, "select array_agg(oid order by oid) from pg_class where relkind = 'v'") == oids
    assert shape(viewed.warehouse, "raw.item")["v"] == ("integer", False)
    assert changes(viewed) == []


def test_readers_wait_and_go_on_with_the_new_views(viewed: Shop) -> None:
    seen: list[tuple[Any, ...]] = []
    errors: list[Exception] = []
    over = threading.Event()

    def read() -> None:
        with closing(connect(viewed.warehouse_settings)) as session:
            while not over.is_set():
                try:
                    seen.extend(rows(session, "select count(*), sum(n) from staging.both"))
                except psycopg2.Error as error:
                    errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for kind in ("bigint", "numeric(20, 1)", "numeric"):
        viewed.execute(f"alter table item alter column v type {kind}")
        viewed.load_one()
    over.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert set(seen) == {(3, 3)}


def test_a_reader_that_holds_the_table_is_waited_for_so_long_and_no_longer(viewed: Shop) -> None:
    viewed.execute("alter table item alter column v type bigint")
    with closing(connect(viewed.warehouse_settings)) as session, session.cursor() as cursor:
        cursor.execute("select from staging.both")
        (outcome,) = viewed.load(lock_timeout_s=0.3)
    assert outcome.exit_code == 1
    assert "another session held the table for longer than HAVEN_LOCK_TIMEOUT allows" in str(outcome.error)
    assert changes(viewed) == []
    viewed.load_one()
    check(viewed, "id, v", ("v", "widened", "integer", "bigint"))


def test_a_load_that_fails_later_takes_everything_back(viewed: Shop) -> None:
    rows(viewed.warehouse, "alter table raw.item add constraint small check (v < 1000)")
    state = rows(viewed.warehouse, STATE)
    viewed.execute("alter table item alter column v type bigint, add column colour text")
    viewed.execute("insert into item values (4, 'big', 5000, %s)", LATER)
    code, error = refusal(viewed, SPEC)
    assert (code, "small" in error) == (1, True)
    assert rows(viewed.warehouse, STATE) == state
    assert list(shape(viewed.warehouse, "raw.item"))[:4] == ["id", "name", "v", "updated_at"]
    assert changes(viewed) == []


def test_a_loader_that_does_not_own_the_views_is_told(filled: Shop) -> None:
    session, database = filled.warehouse, filled.warehouse_settings.dbname
    loader, owner = f"loader_{database}", f"builder_{database}"
    rows(session, f"create role {loader} login password 'x'; create role {owner}")
    rows(session, f"grant create on database {database} to {loader}")
    rows(session, "drop schema raw cascade; drop schema ops cascade")
    settings = filled.warehouse_settings
    filled.warehouse_settings = replace(settings, user=loader, password="x")
    filled.load_one()
    rows(session, f"create schema staging authorization {owner}")
    rows(session, f"grant usage on schema staging to {loader}")
    rows(session, f"grant usage on schema raw to {owner}; grant select on raw.item to {owner}")
    rows(session, f"set role {owner}; create view staging.seen as select v from raw.item; reset role")
    filled.execute("alter table item alter column v type bigint")
    code, error = refusal(filled, SPEC)
    assert (code, "view staging.seen that reads it cannot be made again: must be owner" in error) == (2, True), error
    rows(session, f"grant {owner} to {loader}")
    filled.load_one()
    assert rows(session, "select relowner::regrole::text from pg_class where relname = 'seen'") == [(owner,)]
    assert shape(session, "staging.seen") == {"v": ("bigint", False)}
    rows(session, f"drop owned by {owner} cascade; drop owned by {loader} cascade")
    rows(session, f"drop role {owner}; drop role {loader}")


def test_an_older_warehouse_is_brought_up_to_date(filled: Shop) -> None:
    rows(
        filled.warehouse,
        "alter table ops.schema_changes drop constraint schema_changes_change_check, "
        "drop column old_type, drop column is_backfill_advised, drop column backfilled_at, "
        "add constraint schema_changes_change_check check (change in ('added', 'dropped'));"
        "insert into ops.schema_changes (load_id, source_name, table_name, column_name, change) "
        "values (1, 'shop', 'item', 'name', 'added');"
        "comment on schema ops is 'an older one'",
    )
    filled.execute("alter table item alter column v type bigint")
    filled.load_one()
    check(filled, "id, v", ("name", "added", None, None), ("v", "widened", "integer", "bigint"))


def test_reconciling_before_the_load_knows_that_a_wider_type_has_the_same_values(filled: Shop) -> None:
    filled.execute("alter table item alter column v type numeric(12, 2)")
    assert look(filled).status == "ok"
    rows(filled.warehouse, "update raw.item set v = 11 where id = 1")
    found = look(filled)
    assert [d.columns for d in found.named] == [("v",)]
    with pytest.raises(DataError, match="its columns or its key changed: run `haven load item --full`"):
        repair(filled, found)
    filled.load_one(full=True)
    assert look(filled).status == "ok"


def test_odd_names_drift_too(shop: Shop) -> None:
    table, column = '100% "odd"', "select %s"
    names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
    shop.execute(sql.SQL("create table {table} (id integer primary key, {column} integer not null)").format(**names))
    shop.execute(sql.SQL("insert into {table} values (1, 1)").format(**names))
    spec = full(table)
    shop.load_one(spec)
    rows(shop.warehouse, sql.SQL('create view "v %" as select {column} from raw.{table}').format(**names))
    shop.execute(
        sql.SQL(
            "alter table {table} alter column {column} type bigint, alter column {column} drop not null, "
            'add column "new %%s" text'
        ).format(**names)
    )
    shop.execute(sql.SQL("insert into {table} values (2, null, 'x')").format(**names))
    shop.load_one(spec)
    assert rows(shop.warehouse, 'select * from "v %" order by 1') == [(1,), (None,)]
    assert [c[:2] for c in changes(shop, table)] == [("new %%s", "added"), (column, "widened"), (column, "nullable")]


# Names that the loader's own statements have, too.
ODD = (
    "is_new", "is_gone", "now", "key_0", "key_1", "digest", "copy", "id", "number", "live", "stage", "staged",
    "target", "compared", "changes", "changed", "present", "missing", "named", "kept", "stamped", "excluded",
    "buckets", "hashed", "found", "item", "raw", "count",
)  # fmt: skip


@pytest.mark.parametrize("is_hashed", [False, True])
def test_no_column_collides_with_a_name_that_the_loader_invents(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, is_hashed: bool
) -> None:
    if is_hashed:
        monkeypatch.setattr(merge, "HASHED_FROM_BYTES", 0)
    columns = ", ".join(f"{name} integer" for name in ODD)
    key = ", ".join(ODD[:-1])
    for table, constraint in (("item", f", primary key ({key})"), ("bag", "")):
        shop.execute(f"create table {table} ({columns}{constraint})")
        shop.execute(f"insert into {table} select {', '.join('n' for _ in ODD)} from generate_series(1, 30) as n")
    keyed = replace(SPEC, watermark="number")
    everything = replace(FULL, name="all", raw_table="all", source_table="item")
    bag = full("bag")
    specs = (keyed, everything, bag)
    shop.load(*specs)
    for table in ("item", "bag"):
        shop.execute(f"update {table} set count = 0, number = 50 where id = 7")
        shop.execute(f"update {table} set number = 3 where id = 8")
        shop.execute(f"delete from {table} where id = 9")
        shop.execute(f"insert into {table} select {', '.join('0' for _ in ODD)}")
    for _ in range(2):
        assert [o.error for o in shop.load(*specs)] == [None] * 3
    assert [look(shop, spec).status for spec in specs] == ["ok"] * 3
    rows(shop.warehouse, "update raw.item set count = -1 where id = 1")
    rows(shop.warehouse, "delete from raw.item where id = 2")
    found = look(shop, keyed)
    assert [d.columns for d in found.named if d.kind == "different"] == [("count",)]
    repair(shop, found, keyed)
    assert look(shop, keyed).status == "ok"


@pytest.mark.parametrize(
    ("made", "key", "code", "line"),
    [
        (
            "table t (id integer primary key); create table u () inherits (t); "
            "insert into t values (7); insert into u values (7)",
            (),
            1,
            "shop.t: the key (id) must be unique and without nulls, but the source's table has (7) 2 times",
        ),
        (
            "view t as select null::integer as id, 'secret' as name",
            ("id",),
            1,
            "the key of shop.t is (id), and a row of the source has no id: fix the rows, or name",
        ),
        (
            "table t as select string_agg(sha512(n::text::bytea)::text, '') as id from generate_series(1, 200) as n",
            ("id",),
            1,
            "the key of shop.t is (id), and one is longer than an index can hold (about 2,700 bytes)",
        ),
        (
            "table t (id json)",
            ("id",),
            2,
            "column 'id' is json, which no index can hold: name other columns with `primary_key`",
        ),
        (
            "view t as select 1 as id, 2 as ctid",
            ("id",),
            2,
            "no table can have a column called 'ctid'; leave it out with `exclude`, or give it another",
        ),
    ],
)
def test_a_key_or_name_that_raw_cannot_take_is_one_line_without_values(
    shop: Shop, made: str, key: tuple[str, ...], code: int, line: str
) -> None:
    shop.execute(f"create {made}")
    found = refusal(shop, replace(full("t"), primary_key=key))
    assert found[0] == code
    assert line in found[1]
    assert not re.search("secret|Failing row", found[1])


@pytest.mark.parametrize(
    ("has_key", "deletes", "lost"), [(True, "ignore", 3), (True, "sweep", 1), (False, "sweep", 1), (True, "sweep", 0)]
)
def test_a_rebuild_wipes_no_value_of_a_row_that_is_gone_unless_told_to(
    shop: Shop, has_key: bool, deletes: str, lost: int, caplog: pytest.LogCaptureFixture
) -> None:
    shop.execute(f"create table rb (id integer{' primary key' if has_key else ''}, c text)")
    shop.execute("insert into rb select n, 'value ' || n from generate_series(1, 6) as n")
    spec = full("rb", deletes=deletes)
    shop.load(spec)
    if lost:
        shop.execute("delete from rb where id = 3")
        shop.load(spec)
    if lost > 1:
        shop.execute("delete from rb where id in (4, 5)")
    # Of those that stay, one has no value any more: nothing is lost with it.
    shop.execute("alter table rb alter column c type integer using nullif(id, 1)")
    before = rows(shop.warehouse, "select id, c from raw.rb where id in (3, 4, 5) order by id")
    (outcome,) = shop.load(spec, rebuild=True)
    if lost:
        said = f"shop.rb: {lost} rows that the source no longer has hold values that do not fit c (integer)"
        assert str(outcome.error).startswith(said)
        assert "`haven load shop.rb --rebuild --allow-deletes`" in str(outcome.error)
        kept = "select id, c from raw.rb where id in (3, 4, 5) order by id"
        assert rows(shop.warehouse, kept) == before
        with caplog.at_level("INFO", "haven"):
            (outcome,) = shop.load(spec, rebuild=True, allow_deletes=True)
        assert f"  shop.rb: {lost} rows that the source no longer has lost values of c (integer)" in caplog.messages
    assert outcome.error is None
    assert look(shop, spec).status == ("not_followed" if deletes == "ignore" else "ok")
