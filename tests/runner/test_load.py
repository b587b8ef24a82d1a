"""The loader against real databases: after every load raw must equal the source."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg2
import pytest
from conftest import Databases, rows
from psycopg2.extensions import connection as PgConnection

from runner.connect import connect
from runner.contract import Contract, TableSpec
from runner.load import engine, merge
from runner.load.outcome import LoadRequest, TableOutcome
from runner.ops import recorded_run
from runner.settings import Connection

SPEC = TableSpec(
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
DDL = "create table item (id bigint primary key, name text, updated_at timestamptz)"
DAY = "2026-01-{:02} 12:00+00"


class Shop:
    """A source and a warehouse with one table, loaded through the engine."""

    def __init__(self, source: Connection, warehouse: Connection) -> None:
        self.source_settings, self.warehouse_settings = source, warehouse
        self.source, self.warehouse = connect(source), connect(warehouse)
        self.runs = 0

    def load(self, *specs: TableSpec, **request: Any) -> list[TableOutcome]:
        """Load `specs` (default: the one table) in one run."""
        self.runs += 1
        run_id = f"run-{self.runs}"
        contract = Contract(specs or (SPEC,), ())
        with recorded_run(self.source_settings, self.warehouse_settings, run_id=run_id, command="load") as record:
            outcomes = engine.load_tables(
                contract, self.source_settings, self.warehouse_settings, LoadRequest(**request), run=record
            )
            record.is_ok = True
        return outcomes

    def load_one(self, spec: TableSpec = SPEC, **request: Any) -> TableOutcome:
        """Load one table that must succeed."""
        (outcome,) = self.load(spec, **request)
        assert outcome.error is None, outcome.error
        return outcome

    def execute(self, statement: str, *args: object) -> None:
        """Run one statement in the source."""
        rows(self.source, statement, *args)

    def live(self, columns: str = "id, name, updated_at") -> list[tuple[Any, ...]]:
        """Return raw's live rows as text, ordered."""
        return self._texts(self.warehouse, columns, "raw.item where _deleted_at is null")

    def truth(self, columns: str = "id, name, updated_at") -> list[tuple[Any, ...]]:
        """Return the source's rows as text, ordered."""
        return self._texts(self.source, columns, "item")

    @staticmethod
    def _texts(session: PgConnection, columns: str, relation: str) -> list[tuple[Any, ...]]:
        return rows(session, f"select row({columns})::text from {relation} order by 1")


@pytest.fixture(params=["copied", "hashed"])
def shop(databases: Databases, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty shop; loaded as a small table is, whole, and as a big one is, by hashes of its buckets."""
    if request.param == "hashed":
        monkeypatch.setattr(merge, "HASHED_FROM_BYTES", 0)
    shop = Shop(databases.create("source"), databases.create("warehouse"))
    yield shop
    shop.source.close()
    shop.warehouse.close()


@pytest.fixture
def filled(shop: Shop) -> Shop:
    """A shop with ten rows, loaded once."""
    shop.execute(DDL)
    shop.execute(
        "insert into item select n, 'name ' || n, '2026-01-01 00:00+00'::timestamptz + n * "
        "interval '1 day' from generate_series(1, 10) as n"
    )
    assert shop.load_one().rows_inserted == 10
    return shop


def counts(outcome: TableOutcome) -> tuple[int, int, int, int]:
    """Return inserted, updated, unchanged, deleted."""
    return (outcome.rows_inserted, outcome.rows_updated, outcome.rows_unchanged, outcome.rows_deleted)


def raw_indexes(shop: Shop) -> list[str]:
    """Return the definitions of raw's indexes."""
    found = rows(shop.warehouse, "select indexdef from pg_indexes where schemaname = 'raw'")
    return sorted(row[0].split(" USING ")[1] for row in found)


def test_a_first_load_copies_every_row_and_makes_the_key(filled: Shop) -> None:
    assert filled.live() == filled.truth()
    assert raw_indexes(filled) == ["btree (id)"]


def test_the_second_load_makes_the_index_that_models_ask_for_what_is_new(filled: Shop) -> None:
    first = filled.load_one()
    for _ in range(2):
        assert raw_indexes(filled) == ["btree (_load_id) WHERE (_load_id > 1)", "btree (id)"]
        assert first.rows_moved == filled.load_one().rows_moved == 0


def test_a_second_load_without_changes_moves_nothing(filled: Shop) -> None:
    before = rows(filled.warehouse, "select ctid::text, raw.item.* from raw.item order by id")
    outcome = filled.load_one()
    assert outcome.mode == "incremental"
    assert outcome.rows_moved == 0
    after = rows(filled.warehouse, "select ctid::text, raw.item.* from raw.item order by id")
    assert after == before


def test_a_raw_table_that_someone_emptied_is_filled_again(filled: Shop) -> None:
    before = rows(filled.warehouse, "select id, name from raw.item order by id")
    rows(filled.warehouse, "truncate raw.item")
    outcome = filled.load_one(full=True)
    assert counts(outcome) == (len(before), 0, 0, 0)
    assert filled.live() == filled.truth()
    assert rows(
        filled.warehouse, "select distinct _load_id, _loaded_at <= now(), _deleted_at is null from raw.item"
    ) == [(outcome.load_id, True, True)]
    assert filled.load_one(full=True).rows_moved == 0


def test_changes_arrive_and_unchanged_rows_keep_their_stamp(filled: Shop) -> None:
    filled.execute("insert into item values (11, 'new', %s)", DAY.format(20))
    filled.execute("update item set name = 'changed', updated_at = %s where id = 3", DAY.format(20))
    outcome = filled.load_one()
    assert counts(outcome)[:2] == (1, 1)
    assert filled.live() == filled.truth()
    stamped = rows(filled.warehouse, "select id from raw.item where _load_id > 1 order by id")
    assert stamped == [(3,), (11,)]


def test_a_deleted_row_becomes_a_tombstone_and_comes_back(filled: Shop) -> None:
    filled.execute("delete from item where id = 4")
    assert filled.load_one().rows_deleted == 1
    assert filled.live() == filled.truth()
    tombstone = rows(filled.warehouse, "select name, _deleted_at is not null, _load_id from raw.item where id = 4")
    assert tombstone == [("name 4", True, 2)]
    assert filled.load_one().rows_moved == 0
    # It comes back exactly as it was, so no watermark tells: the key comparison must.
    filled.execute("insert into item values (4, 'name 4', '2026-01-05 00:00+00')")
    assert counts(filled.load_one())[:2] == (0, 1)
    assert filled.live() == filled.truth()


def test_a_row_inserted_far_behind_the_watermark_is_found_by_its_key(filled: Shop) -> None:
    filled.execute("insert into item values (99, 'late', '2020-01-01 00:00+00')")
    assert counts(filled.load_one())[:2] == (1, 0)
    assert filled.live() == filled.truth()


def test_without_a_sweep_deletions_are_not_looked_for(filled: Shop) -> None:
    filled.execute("delete from item where id = 4")
    assert filled.load_one(replace(SPEC, deletes="ignore")).rows_deleted == 0
    assert len(filled.live()) == 10


def test_a_row_without_watermark_is_read_each_time(filled: Shop) -> None:
    filled.execute("insert into item values (12, 'timeless', null)")
    filled.load_one()
    filled.execute("update item set name = 'still timeless' where id = 12")
    assert counts(filled.load_one())[:2] == (0, 1)
    assert filled.live() == filled.truth()


def test_a_transaction_that_commits_late_is_not_lost(filled: Shop) -> None:
    """Rows of a transaction that was open during a load carry its start, behind newer rows."""
    late = connect(filled.source_settings)
    with late.cursor() as cursor:
        # Written long before the lookback would reach: an update, which no key comparison finds.
        cursor.execute("update item set name = 'late', updated_at = now() where id = 1")
    filled.execute("update item set updated_at = now() + interval '2 hours' where id = 2")
    filled.load_one()
    late.commit()
    late.close()
    filled.load_one()
    assert filled.live() == filled.truth()


def test_a_watermark_in_the_future_does_not_hide_what_follows(filled: Shop) -> None:
    filled.execute("update item set updated_at = 'infinity' where id = 2")
    filled.load_one()
    filled.execute("update item set name = 'after', updated_at = now() where id = 5")
    assert filled.load_one().rows_updated == 1
    assert filled.live() == filled.truth()


def test_a_backfill_rereads_its_window_only_and_keeps_the_watermark(filled: Shop) -> None:
    before = rows(filled.warehouse, "select watermark from ops.watermarks")
    # Changed without touching updated_at: only re-reading that window can find it.
    filled.execute("update item set name = 'silent' where id in (2, 8)")
    assert filled.load_one().rows_moved == 0
    outcome = filled.load_one(since="2026-01-02", until="2026-01-05")
    assert outcome.mode == "backfill"
    assert (outcome.rows_read, *counts(outcome)) == (3, 0, 1, 2, 0)
    assert filled.load_one(since="2026-01-02", until="2026-01-05").rows_moved == 0
    assert rows(filled.warehouse, "select watermark from ops.watermarks") == before
    assert counts(filled.load_one(full=True)) == (0, 1, 9, 0)
    assert filled.live() == filled.truth()


def test_a_backfill_value_that_is_no_time_is_refused(filled: Shop) -> None:
    (outcome,) = filled.load(SPEC, since="yesteryear")
    assert outcome.exit_code == 2
    assert outcome.error == "--since is 'yesteryear', which is no timestamp with time zone"


@pytest.mark.parametrize("kind", ["bigint", "numeric", "date", "timestamp"])
def test_watermarks_of_other_types(shop: Shop, kind: str) -> None:
    shop.execute(f"create table item (id int primary key, name text, updated_at {kind})")
    low, high = ("1", "2") if kind in ("bigint", "numeric") else ("2026-01-01", "2026-01-02")
    shop.execute(f"insert into item values (1, 'a', '{low}'), (2, 'b', '{low}')")
    shop.load_one()
    shop.execute(f"update item set name = 'c', updated_at = '{high}' where id = 1")
    outcome = shop.load_one()
    assert (outcome.mode, outcome.rows_updated) == ("incremental", 1)
    assert outcome.watermark_to is not None
    assert outcome.watermark_to.startswith(high)
    assert shop.live() == shop.truth()


def test_a_full_load_compares_whole_tables(shop: Shop) -> None:
    spec = replace(SPEC, strategy="full", watermark=None)
    shop.execute(DDL)
    shop.execute("insert into item values (1, 'a', null), (2, null, null), (3, 'c', null)")
    shop.load_one(spec)
    shop.execute("update item set name = null where id = 1")
    shop.execute("delete from item where id = 3")
    shop.execute("insert into item values (4, 'd', null)")
    assert counts(shop.load_one(spec)) == (1, 1, 1, 1)
    assert shop.live() == shop.truth()
    assert shop.load_one(spec).rows_moved == 0


def test_a_table_without_a_key_is_compared_as_a_bag_of_rows(shop: Shop) -> None:
    spec = replace(SPEC, strategy="full", watermark=None)
    shop.execute("create table item (name text, n int)")
    shop.execute("insert into item values ('a', 1), ('a', 1), ('b', 2), (null, null), (null, null)")
    shop.load_one(spec)
    assert shop.load_one(spec).rows_moved == 0
    shop.execute("delete from item where ctid = (select min(ctid) from item where name = 'a')")
    shop.execute("insert into item values ('b', 2), (null, null)")
    assert counts(shop.load_one(spec)) == (2, 0, 4, 1)
    assert shop.live("name, n") == shop.truth("name, n")


def test_types_arrive_exactly(shop: Shop) -> None:
    shop.execute("create type mood as enum ('sad', 'happy')")
    shop.execute("create domain score as numeric(4, 2) check (value >= 0)")
    shop.execute("create type point3 as (x int, y int, z int)")
    shop.execute(
        """
        create table item (
            id uuid primary key, i2 smallint, n numeric, n2 numeric(10, 3), f real, d double precision,
            t timestamp, tz timestamptz, day date, clock timetz, span interval, raw bytea, j json,
            jb jsonb, ints int[], words text[], r int4range, mr datemultirange, feel mood, feels mood[],
            rating score, ratings score[], place point3, ip inet, net cidr, mac macaddr, bits varbit,
            cash money, words_v tsvector, spot point, "Mixed Case" text, "select" char(5),
            twice numeric generated always as (n2 * 2) stored, "naïve ☃" varchar(10), rel regclass
        )
        """
    )
    shop.execute(
        """
        insert into item values
        (
            '00000000-0000-0000-0000-000000000001', -32768, 'NaN', 1.100, '-0', 'Infinity',
            '4713-01-01 BC', 'infinity', '-infinity', '12:00:00.000001+14', '-1 mon 3 days 00:00:00.1',
            '\\xdeadbeef', '{"b": 1.0,  "a": [null]}', '{"x": 1e100}',
            '[0:1][1:2]={{1,null},{3,4}}', '{"", null, "a,b"}', '(,5)', '{[2020-01-01,2020-02-01)}',
            'happy', '{sad,null}', 1.5, '{1.25,null}', '(1,,3)', '10.0.0.1/8', '10.0.0.0/8',
            '08:00:2b:01:02:03', '10101', '-12.34', 'fat cat', '(1.5,-2)', E'tab\\t',
            'ab', default, 'é', 'pg_class'
        )
        """
    )
    shop.execute("insert into item (id) values ('00000000-0000-0000-0000-000000000002')")
    spec = replace(SPEC, strategy="full", watermark=None)
    shop.load_one(spec)
    names = [
        row[0]
        for row in rows(
            shop.source,
            "select quote_ident(attname) from pg_attribute where attrelid = 'item'::regclass and attnum > 0",
        )
    ]
    columns = ", ".join(f"{name}::text" for name in names)
    assert shop.live(columns) == shop.truth(columns)
    types = dict(
        rows(
            shop.warehouse,
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = 'raw.item'::regclass and attnum > 0",
        )
    )
    wanted = {
        "n2": "numeric(10,3)", "clock": "time with time zone", "feel": "text", "feels": "text[]",
        "rating": "numeric(4,2)", "ratings": "numeric(4,2)[]", "place": "text", "select": "character(5)",
        "mr": "datemultirange", "ints": "integer[]", "j": "json", "rel": "text",
    }  # fmt: skip
    assert {name: types[name] for name in wanted} == wanted
    assert shop.load_one(spec).rows_moved == 0
    # 1.100 and 1.1 are equal numbers but not the same value: an exact copy tells them apart.
    shop.execute("update item set n = 1.10 where i2 is null")
    shop.load_one(spec)
    shop.execute("update item set n = 1.1 where i2 is null")
    assert shop.load_one(spec).rows_updated == 1
    assert shop.live(columns) == shop.truth(columns)


def test_views_partitions_other_schemas_and_column_lists(shop: Shop) -> None:
    shop.execute("create schema other")
    shop.execute("create table other.part (id int, k int, secret text, primary key (id, k)) partition by range (k)")
    shop.execute("create table other.part_1 partition of other.part for values from (0) to (10)")
    shop.execute("insert into other.part values (1, 1, 'x'), (2, 2, 'y')")
    shop.execute("create view other.seen as select id from other.part")
    part = replace(
        SPEC, name="part", raw_table="part", source_schema="other", source_table="part",
        strategy="full", watermark=None, exclude=("secret",),
    )  # fmt: skip
    seen = replace(part, name="seen", raw_table="seen", source_table="seen", exclude=(), primary_key=("id",))
    outcomes = shop.load(part, seen)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert rows(shop.warehouse, "select id, k from raw.part order by 1") == [(1, 1), (2, 2)]
    assert rows(shop.warehouse, "select id from raw.seen order by 1") == [(1,), (2,)]
    with pytest.raises(psycopg2.errors.UndefinedColumn):
        rows(shop.warehouse, "select secret from raw.part")


def test_all_tables_of_a_run_show_one_moment_of_the_source(shop: Shop) -> None:
    """A writer commits parent and child together, without pause: raw never holds one without the other."""
    shop.execute("create table parent (id int primary key)")
    shop.execute("create table child (id int primary key, parent_id int)")
    stop = threading.Event()

    def write() -> None:
        session = connect(shop.source_settings)
        number = 0
        while not stop.is_set():
            number += 1
            with session, session.cursor() as cursor:
                cursor.execute("insert into parent values (%s)", (number,))
                cursor.execute("insert into child values (%s, %s)", (number, number))
        session.close()

    specs = [
        replace(SPEC, name=n, raw_table=n, source_table=n, strategy="full", watermark=None) for n in ("child", "parent")
    ]
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            outcomes = shop.load(*specs, workers=1)
            assert [outcome.error for outcome in outcomes] == [None, None]
            unequal = rows(
                shop.warehouse,
                "select count(*) from raw.parent full join raw.child on parent.id = child.parent_id "
                "where parent.id is null or child.id is null",
            )
            assert unequal == [(0,)]
    finally:
        stop.set()
        writer.join()
    assert rows(shop.warehouse, "select count(*) > 0 from raw.parent") == [(True,)]


def test_a_failing_table_keeps_its_old_rows_and_does_not_stop_the_others(filled: Shop) -> None:
    filled.execute("create table other (id int primary key)")
    filled.execute("insert into other values (1)")
    other = replace(SPEC, name="other", raw_table="other", source_table="other", strategy="full", watermark=None)
    before = filled.live()
    filled.execute("insert into item values (50, 'new', %s)", DAY.format(20))
    rows(filled.warehouse, "alter table raw.item add constraint short check (id < 50)")
    failed, good = filled.load(SPEC, other)
    assert good.error is None
    assert failed.exit_code == 1
    assert failed.error is not None
    assert 'violates check constraint "short"' in failed.error
    assert filled.live() == before
    logged = rows(
        filled.warehouse,
        "select table_name, status, error is null from ops.table_loads where run_id = 'run-2' order by 1",
    )
    assert logged == [("item", "failed", False), ("other", "ok", True)]
    rows(filled.warehouse, "alter table raw.item drop constraint short")
    assert filled.load_one().rows_inserted == 1
    assert filled.live() == filled.truth()


def test_a_source_that_breaks_in_mid_copy_leaves_nothing(shop: Shop) -> None:
    """A binary COPY may end anywhere between two rows; that must never pass for the whole table."""
    shop.execute(
        "create function boom(n int) returns int language plpgsql as "
        "$$ begin if n > 5000 then raise 'boom'; end if; return n; end $$"
    )
    shop.execute("create view item as select n as id, boom(n) as value from generate_series(1, 9000) as n")
    spec = replace(SPEC, strategy="full", watermark=None, primary_key=("id",))
    (outcome,) = shop.load(spec)
    assert outcome.error == "boom"
    assert rows(shop.warehouse, "select to_regclass('raw.item') is null") == [(True,)]


def test_a_new_column_is_added_and_a_dropped_one_kept(filled: Shop) -> None:
    filled.execute("alter table item add column colour text")
    filled.execute("update item set colour = 'red', updated_at = %s where id = 1", DAY.format(20))
    filled.load_one()
    assert rows(filled.warehouse, "select colour from raw.item where id in (1, 2) order by id") == [("red",), (None,)]
    filled.execute("alter table item drop column name")
    filled.execute("insert into item values (30, %s, 'blue')", DAY.format(21))
    filled.load_one()
    filled.load_one()
    assert rows(filled.warehouse, "select name, colour from raw.item where id = 30") == [(None, "blue")]
    changes = rows(filled.warehouse, "select column_name, change from ops.schema_changes order by 1")
    assert changes == [("colour", "added"), ("name", "dropped")]


def test_a_changed_type_fails_that_table_and_says_what_to_do(filled: Shop) -> None:
    filled.execute("alter table item alter column name type int using length(name)")
    (outcome,) = filled.load()
    assert outcome.exit_code == 1
    assert outcome.error is not None
    assert outcome.error.startswith("column name of shop.item is now integer but text in raw.item")


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"source_table": "gone"}, 1, "the source has no table public.gone"),
        ({"watermark": "changed_on"}, 2, "watermark names column 'changed_on', which public.item does not have"),
        ({"watermark": "name"}, 2, "must be a timestamp, a date or a number"),
        ({"lookback": "a while"}, 2, "lookback is 'a while', which is no interval"),
        ({"primary_key": ("nope",)}, 2, "primary_key names column 'nope'"),
        ({"exclude": ("id",)}, 2, "'id' is needed as key or watermark"),
        ({"columns": ("missing",)}, 2, "columns names column 'missing'"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_in_one_line(
    filled: Shop, change: dict[str, Any], code: int, message: str
) -> None:
    (outcome,) = filled.load(replace(SPEC, **change))
    assert outcome.exit_code == code
    assert outcome.error is not None
    assert message in outcome.error
    assert "\n" not in outcome.error
    assert len(filled.live()) == 10


def test_an_incremental_table_needs_a_key(shop: Shop) -> None:
    shop.execute("create table item (id int, updated_at timestamptz)")
    (outcome,) = shop.load()
    assert outcome.exit_code == 2
    assert outcome.error is not None
    assert "name one with `primary_key`" in outcome.error


def test_a_column_named_like_raws_own_is_refused(shop: Shop) -> None:
    shop.execute("create table item (id int primary key, updated_at timestamptz, _load_id int)")
    (outcome,) = shop.load()
    assert outcome.error is not None
    assert "a name that raw keeps for itself" in outcome.error


def test_views_on_raw_survive_a_full_reload(filled: Shop) -> None:
    rows(filled.warehouse, "create view seen as select id from raw.item")
    filled.execute("delete from item where id > 5")
    filled.load_one(full=True)
    assert rows(filled.warehouse, "select count(*) from raw.item where _deleted_at is null") == [(5,)]
    assert rows(filled.warehouse, "select count(*) from seen") == [(10,)]


@pytest.mark.parametrize("request_", [{"full": True}, {"since": "2026-01-01"}])
def test_analysts_read_whole_states_while_a_load_runs(filled: Shop, request_: dict[str, Any]) -> None:
    """Readers never wait and never see half a load: all names are of one generation."""
    seen: list[tuple[Any, ...]] = []
    errors: list[Exception] = []
    over = threading.Event()

    def read() -> None:
        with closing(connect(filled.warehouse_settings)) as session:
            rows(session, "set statement_timeout = '2s'")
            while not over.is_set():
                try:
                    seen.extend(rows(session, "select count(*), count(distinct name) from raw.item"))
                except psycopg2.Error as error:
                    errors.append(error)

    reader = threading.Thread(target=read)
    filled.execute("update item set name = 'generation 0'")
    filled.load_one(full=True)
    reader.start()
    for generation in range(1, 4):
        filled.execute("update item set name = %s", f"generation {generation}")
        assert filled.load_one(**request_).rows_updated == 10
    over.set()
    reader.join()
    assert not errors
    assert len(seen) > 20
    assert set(seen) == {(10, 1)}
