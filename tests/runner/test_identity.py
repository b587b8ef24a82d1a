"""Which database, table and column raw came from: what was swapped, rewritten or renamed is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg2
import pytest
from conftest import Databases, rows
from psycopg2.extensions import cursor as PgCursor
from test_drift import LATER, changes
from test_load import SPEC, Shop
from test_reconcile import look, repair
from test_types import open_shop, refusal, shape

from runner.connect import connect
from runner.contract import Contract, TableSpec
from runner.errors import ConfigError, DataError
from runner.load import attempt, merge
from runner.load.catalogs import read_catalogs
from runner.load.identity import Origin
from runner.reconcile.tables import ReconcileRequest, reconcile_tables

COLUMNS = "id, a, b, updated_at"
EARLY = "2000-01-01 00:00+00"


@pytest.fixture
def shop(databases: Databases) -> Iterator[Shop]:
    """A shop with forty rows in a table, a partitioned one and a view; the table is loaded once."""
    for shop in open_shop(databases.create("source"), databases.create("warehouse")):
        shop.execute("create table item (id integer primary key, a integer, b integer, updated_at timestamptz)")
        shop.execute(
            "insert into item select n, n, -n, '2026-01-01 00:00+00'::timestamptz "
            "+ n * interval '1 minute' from generate_series(1, 40) as n"
        )
        shop.load_one()
        yield shop


def same(shop: Shop, columns: str = COLUMNS) -> bool:
    """Return whether raw's live rows are the source's."""
    return shop.live(columns) == shop.truth(columns)


def test_l10_columns_that_swapped_their_names_are_compared_whole(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    assert shop.load_one().mode == "incremental"
    for change in ("a to x", "b to a", "x to b"):
        shop.execute(f"alter table item rename column {change}")
    shop.execute("update item set a = 0, updated_at = %s where id = 7", LATER)
    with caplog.at_level("INFO", "haven"):
        outcome = shop.load_one()
    reason = "another column of the source is now called a, b: comparing every row"
    assert (outcome.mode, outcome.note, outcome.rows_updated) == ("full", reason, 40)
    assert f"  shop.item: {reason}" in [r.message for r in caplog.records]
    assert same(shop)
    assert shop.load_one().mode == "incremental"


def test_l10_a_chain_of_renames_is_compared_whole(shop: Shop) -> None:
    shop.execute("alter table item rename column a to x")
    shop.execute("alter table item rename column b to a")
    shop.load_one()
    assert same(shop, "id, a, x")
    assert changes(shop) == [("x", "added", None, "integer"), ("b", "dropped", "integer", None)]


def test_l10_a_renamed_column_is_renamed_in_raw_and_views_go_on(shop: Shop) -> None:
    rows(shop.warehouse, "create view seen as select id, a from raw.item")
    shop.execute("alter table item rename column a to amount")
    assert look(shop, SPEC).status == "ok"
    shop.execute("update item set amount = 100, updated_at = %s where id = 7", LATER)
    outcome = shop.load_one()
    assert (outcome.mode, outcome.rows_updated) == ("incremental", 1)
    assert same(shop, "id, amount, b")
    assert rows(shop.warehouse, "select a from seen where id = 7") == [(100,)]
    assert "a" not in shape(shop.warehouse, "raw.item")
    noted = "select column_name, change, old_name from ops.schema_changes"
    assert rows(shop.warehouse, noted) == [("amount", "renamed", "a")]
    # And back, with another type at once.
    shop.execute("alter table item rename column amount to a")
    shop.execute("alter table item alter column a type bigint")
    shop.load_one()
    assert same(shop)
    assert shape(shop.warehouse, "raw.item")["a"] == ("bigint", False)


def test_l14_a_renamed_key_takes_raws_key_along(shop: Shop) -> None:
    shop.execute("alter table item rename column id to number")
    shop.execute("delete from item where number = 3")
    outcome = shop.load_one()
    assert (outcome.mode, outcome.rows_deleted) == ("incremental", 1)
    assert same(shop, "number, a, b")
    # The YAML's watermark of a renamed column has to be renamed by hand; then every row is compared.
    shop.execute("alter table item rename column updated_at to changed_at")
    assert "watermark names column 'updated_at'" in refusal(shop, SPEC)[1]
    assert shop.load_one(replace(SPEC, watermark="changed_at")).rows_moved == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("alter table item add column c integer default 5", "older rows have values in the new column c"),
        ("alter table item add column c integer not null default 5", "older rows have values"),
        ("alter table item add column c integer generated always as (a * 2) stored", "was rewritten"),
        ("alter table item add column c integer generated always as (a * 2) virtual", "older rows have"),
        ("alter table item add column c integer generated always as identity", "was rewritten"),
        ("alter table item add column c double precision default random()", "was rewritten"),
        ("alter table item drop column a; alter table item add column a integer default 3", "called a"),
        (
            "create table new (like item including all); "
            f"insert into new select id, a + 1, b, '{EARLY}' from item; drop table item; "
            "alter table new rename to item",
            "is another one, or was made again",
        ),
        (
            "create temp table kept as table item; truncate item; "
            f"insert into item select id, a + 1, b, '{EARLY}' from kept; drop table kept",
            "was rewritten, emptied",
        ),
        ("alter table item alter column a type bigint using a * 3", "was rewritten"),
        ("alter table item set unlogged", "was rewritten"),
    ],
)
def test_l11_what_no_watermark_tells_of_is_compared_whole(shop: Shop, change: str, reason: str) -> None:
    shop.execute(change)
    outcome = shop.load_one()
    assert outcome.mode == "full"
    assert reason in str(outcome.note)
    columns = "id, a, b" + (", c" if "column c" in change else "")
    assert same(shop, columns)
    assert (shop.load_one().mode, look(shop, SPEC).status) == ("incremental", "ok")


MADE = """
create type mood as enum ('sad', 'ok');
create domain temper as mood;
create type pt as (a integer, b mood);
create type moods as range (subtype = mood);
create table made (
    id integer primary key, single mood, many mood[], domained temper, point pt, points pt[], span moods,
    a integer, updated_at timestamptz
);
insert into made select n, 'sad', '{sad}', 'sad', '(1,sad)', '{"(1,sad)"}', '[sad,ok]', n,
    '2026-01-01 00:00+00'::timestamptz + n * interval '1 minute' from generate_series(1, 40) as n
"""


def test_what_values_are_made_from_belongs_to_the_table(shop: Shop) -> None:
    shop.execute(MADE)
    is_virtual = shop.source.server_version >= 180000
    if is_virtual:
        shop.execute("alter table made add column v integer generated always as (a * 2) virtual")
    spec = replace(SPEC, name="made", raw_table="made", source_table="made")
    shop.load_one(spec)
    # An older Haven did not note it: taken as unchanged, and noted.
    rows(shop.warehouse, "update ops.table_identities set made_from = '{}'")
    assert shop.load_one(spec).mode == "incremental"
    changes = [
        ("alter type mood add value 'fine' before 'ok'", None),
        ("alter type mood rename value 'sad' to 'unhappy'", "domained, many, point, points, single, span"),
        ("alter type pt add attribute c integer", "point, points"),
        ("alter type pt rename attribute c to d", None),
    ]
    if is_virtual:
        changes.append(("alter table made alter column v set expression as (a * 3)", "v"))
    for change, columns in changes:
        shop.execute(change)
        outcome = shop.load_one(spec)
        said = f"the type or expression of {columns} was changed in the source: comparing every row"
        assert (outcome.note, outcome.rows_updated) == ((said, 40) if columns else (None, 0))
        assert look(shop, spec).status == "ok"
    assert shop.load_one(spec).mode == "incremental"


def test_l11_a_column_that_the_yaml_takes_in_later_is_compared_whole(shop: Shop) -> None:
    rows(shop.warehouse, "drop table raw.item")
    shop.load_one(replace(SPEC, exclude=("b",)))
    outcome = shop.load_one()
    assert outcome.note == "older rows have values in the new column b: comparing every row"
    assert same(shop)


def test_l11_partitions_children_views_and_materialized_views_are_known_too(shop: Shop) -> None:
    shop.execute(
        f"""
        create table part (id integer, a integer, updated_at timestamptz) partition by range (id);
        create table part_1 partition of part for values from (0) to (100);
        create table loose (like part);
        insert into part select id, a, updated_at from item;
        insert into loose select id + 100, a, '{EARLY}' from item;
        create table parent (id integer, a integer, updated_at timestamptz);
        create table child () inherits (parent);
        insert into child select id, a, updated_at from item;
        create view seen as select id, a, updated_at from part;
        create view outer_view as table seen;
        create materialized view kept as select id, a, updated_at from part;
        """
    )
    names = ("part", "parent", "seen", "outer_view", "kept")
    specs = [replace(SPEC, name=n, raw_table=n, source_table=n, primary_key=("id",)) for n in names]
    shop.load(*specs)
    assert {o.table: o.mode for o in shop.load(*specs) if o.mode != "incremental"} == {}
    assert {s.name for s in specs if look(shop, s).status != "ok"} == set()
    shop.execute("alter table part attach partition loose for values from (100) to (200)")
    shop.execute(f"create table other () inherits (parent); insert into other values (99, 1, '{EARLY}')")
    shop.execute("refresh materialized view kept")
    assert {o.mode for o in shop.load(*specs)} == {"full"}
    shop.execute("create or replace view seen as select id, a + 1 as a, updated_at from part")
    modes = [o.mode for o in shop.load(*specs)]
    assert modes == ["incremental", "incremental", "full", "full", "incremental"]
    shop.execute("truncate part_1")
    shop.execute(f"insert into part_1 select id, a * 2, '{EARLY}' from item")
    modes = [o.mode for o in shop.load(*specs)]
    assert modes == ["full", "incremental", "full", "full", "incremental"]
    assert {s.name for s in specs if look(shop, s).status != "ok"} == set()
    # Old rows have values that only their own partition or child knows of.
    shop.execute("alter table part add column c integer default 5")
    shop.execute("alter table child add column c integer; update child set c = a")
    shop.execute("alter table parent add column c integer")
    outcomes = shop.load(*specs[:2])
    assert {o.note for o in outcomes} == {"older rows have values in the new column c: comparing every row"}
    assert {s.name for s in specs[:2] if look(shop, s).status != "ok"} == set()


@pytest.mark.parametrize("change", ["rename column a to b", "add column b integer"])
def test_l11_a_column_that_comes_back_is_compared_whole(shop: Shop, change: str) -> None:
    shop.execute("alter table item drop column b")
    shop.load_one()
    shop.execute(f"alter table item {change}")
    outcome = shop.load_one()
    assert outcome.note == "raw has values of before b was gone: comparing every row"
    assert same(shop, "id, b")
    assert shop.load_one().mode == "incremental"


NAMED = replace(SPEC, name="odd", raw_table="odd", source_table="odd", primary_key=("id",))
FULL_NAMED = replace(NAMED, strategy="full", watermark=None)


@pytest.mark.parametrize("spec", [FULL_NAMED, NAMED, replace(NAMED, deletes="ignore")], ids=["full", "sweep", "ignore"])
@pytest.mark.parametrize("size", [16 << 20, 0], ids=["copied", "hashed"])
def test_l19_a_key_that_does_not_hold_stops_the_table_by_name(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, spec: TableSpec, size: int
) -> None:
    monkeypatch.setattr(merge, "HASHED_FROM_BYTES", size)
    shop.execute("create table odd (id integer unique, b integer, updated_at timestamptz)")
    shop.execute("create table child () inherits (odd)")
    shop.execute("insert into odd select id, b, updated_at from item")
    shop.load(spec)
    before = rows(shop.warehouse, "select id, b from raw.odd order by 1")
    # Beside an old row, two in what is read, and one without a key.
    for values, said in (
        (f"(1, -9, '{LATER}')", "(1) 2 times"),
        (f"(100, 1, '{LATER}'), (100, 2, '{LATER}')", "(100) 2 times"),
        (f"(null, 1, '{LATER}')", "(null)"),
    ):
        shop.execute(f"insert into child values {values}")
        (outcome,) = shop.load(spec)
        assert str(outcome.error).startswith(
            "shop.odd: the key (id) must be unique and without nulls, but the source's table has "
            f"{said}: nothing was changed. "
        )
        assert rows(shop.warehouse, "select id, b from raw.odd order by 1") == before
        if said == "(1) 2 times":
            with pytest.raises(DataError, match="must be unique and without nulls"):
                repair(shop, look(shop, spec), spec)
        shop.execute("delete from child")
    (outcome,) = shop.load(spec)
    assert (outcome.error, outcome.rows_moved, len(before)) == (None, 0, 40)


@pytest.fixture
def other(shop: Shop, databases: Databases) -> Iterator[Shop]:
    """The shop's warehouse with another source of the same tables, other rows."""
    settings = databases.create("source")
    with closing(connect(settings)) as session:
        rows(session, "create table item (id integer primary key, a integer, b integer, updated_at timestamptz)")
        rows(session, f"insert into item select n, 0, 0, '{EARLY}' from generate_series(1, 38) as n")
    for found in open_shop(settings, shop.warehouse_settings):
        found.runs = 100  # the two share the warehouse's list of runs
        yield found


def test_l15_another_source_behind_the_same_raw_stops_the_load(shop: Shop, other: Shop) -> None:
    before = shop.live(COLUMNS)
    with pytest.raises(ConfigError) as refused:
        other.load()
    line = str(refused.value)
    assert f"raw.item came from database {shop.source_settings.dbname} (oid " in line
    assert f"the source is now database {other.source_settings.dbname} (oid " in line
    assert "nothing was moved" in line
    assert "`haven load --accept-source`" in line
    assert shop.live(COLUMNS) == before
    # A comparison is refused as well: every row would differ.
    with pytest.raises(ConfigError, match="came from database"):
        reconcile_tables(
            Contract((SPEC,), ()), other.source_settings, other.warehouse_settings, ReconcileRequest(), run_id="look"
        )
    outcome = other.load_one(accept_source=True)
    assert (outcome.mode, outcome.note) == ("full", "the source is another database: comparing every row")
    assert same(other)
    assert other.load_one().mode == "incremental"
    with pytest.raises(ConfigError):
        shop.load()


def test_l15_a_source_is_told_by_system_and_database() -> None:
    here = Origin("7301", 16385, "shop")
    assert here.is_same(Origin("7301", 16385, "renamed"))
    assert not here.is_same(Origin("7302", 16385, "shop"))
    assert not here.is_same(Origin("7301", 16386, "shop"))
    # A login that may not ask for the system goes by oid and name.
    assert here.is_same(Origin(None, 16385, "shop"))
    assert not here.is_same(Origin(None, 16385, "other"))


def test_l15_a_login_without_any_right_but_select_knows_the_system(shop: Shop) -> None:
    name = f"reader_{shop.source_settings.dbname}"
    shop.execute(f"create role {name} login password 'x'; grant select on item to {name}")
    try:
        reader = replace(shop.source_settings, user=name, password="x")
        plain = Shop(reader, shop.warehouse_settings)
        plain.runs = 100
        plain.load_one()
        plain.source.close()
        plain.warehouse.close()
        noted = "select system_identifier is not null, database_oid from ops.table_identities"
        oid = rows(shop.source, "select oid::bigint from pg_database where datname = current_database()")
        assert rows(shop.warehouse, noted) == [(True, oid[0][0])]
    finally:
        shop.execute(f"drop owned by {name}; drop role {name}")


FULL = replace(SPEC, strategy="full", watermark=None)
AGAIN = "insert into {0} select n, n, n, now() from generate_series(1, 5) as n"


@pytest.mark.parametrize(
    ("made", "change", "is_refused"),
    [
        ("table t as table few", f"truncate t; {AGAIN.format('t')}", True),
        ("table t as table few", "alter table t alter column a type bigint", True),
        ("table t as table few", "drop table t; create table t as table few; alter table t add primary key (id)", True),
        (
            "table t as table few; create table spare as table few",
            "begin; alter table t rename to old; alter table spare rename to t; commit",
            True,
        ),
        ("materialized view t as table few", "refresh materialized view t", True),
        ("view t as table few", f"truncate few; {AGAIN.format('few')}", True),
        ("view t as table few", "create table lately as table few; create or replace view t as table lately", True),
        (
            "table t (like few) partition by range (id); "
            "create table t_1 partition of t for values from (0) to (9); insert into t table few",
            f"truncate t_1; {AGAIN.format('t')}",
            True,
        ),
        # None of these hides a row.
        (
            "table t (like few) partition by range (id); "
            "create table t_1 partition of t for values from (0) to (9); insert into t table few",
            "create table t_2 partition of t for values from (9) to (20); create index on t (a)",
            False,
        ),
        ("table t as table few; create index at on t (a)", "reindex table t; vacuum t; create index on t (id)", False),
        ("view t as table few", "create index on few (a)", False),
    ],
)
def test_a_table_that_is_rewritten_while_a_load_runs_fails_and_keeps_its_rows(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, made: str, change: str, is_refused: bool
) -> None:
    shop.execute(f"create table few as select {COLUMNS} from item where id <= 5")
    shop.execute(f"create {made}")
    spec = replace(FULL, name="t", raw_table="t", source_table="t", primary_key=("id",))
    shop.load_one(spec)
    begin = attempt._export_snapshot

    def begin_before_the_change(session: Any) -> str:
        snapshot = begin(session)
        shop.source.autocommit = True
        with shop.source.cursor() as cursor:
            for statement in change.split("; "):
                cursor.execute(statement)
        return snapshot

    with monkeypatch.context() as patched:
        patched.setattr(attempt, "_export_snapshot", begin_before_the_change)
        outcomes = shop.load(spec, SPEC)
    alive = "select count(*) from raw.t where _deleted_at is null"
    assert rows(shop.warehouse, alive) == [(5,)]
    assert [o.exit_code for o in outcomes] == [int(is_refused), 0]
    if is_refused:
        assert str(outcomes[0].error).startswith("shop.t was rewritten in the source (truncated,")
        assert "load it again" in str(outcomes[0].error)
    shop.load_one(spec)
    assert look(shop, spec).status == "ok"


@pytest.mark.parametrize(
    ("spec", "change"),
    [
        (SPEC, "delete from item where id > 30"),
        (SPEC, "truncate item"),
        (FULL, "delete from item where id > 30"),
        (FULL, "truncate item"),
    ],
)
def test_l15_mass_deletes_stop_the_table_until_they_are_allowed(shop: Shop, spec: Any, change: str) -> None:
    before = shop.live(COLUMNS)
    shop.execute(change)
    gone = 40 if "truncate" in change else 10
    code, line = refusal(shop, spec)
    assert code == 1
    assert f"shop.item: {gone} of 40 rows are gone in the source, more than the 20%" in line
    assert "nothing was changed" in line
    assert "`haven load shop.item --allow-deletes`" in line
    assert "raise `max_deleted_share` in models/sources.yml" in line
    assert shop.live(COLUMNS) == before
    assert shop.load_one(spec, allow_deletes=True).rows_deleted == gone
    assert same(shop)
    # Tombstones do not count as rows that could go once more.
    assert shop.load_one(spec).rows_deleted == 0


def test_l15_the_share_is_the_tables_own_and_few_rows_are_no_mass(shop: Shop) -> None:
    shop.execute("delete from item where id > 32")
    assert shop.load_one().rows_deleted == 8  # 20 %, and fewer than ten
    strict = replace(SPEC, max_deleted_share=0.0)
    shop.execute("delete from item where id > 23")
    assert shop.load_one(strict).rows_deleted == 9
    shop.execute("delete from item where id > 13")
    assert "more than the 0%" in refusal(shop, strict)[1]
    assert shop.load_one(replace(SPEC, max_deleted_share=1.0)).rows_deleted == 10
    shop.execute("delete from item")
    assert "13 of 13 rows are gone" in refusal(shop, replace(SPEC, max_deleted_share=0.99))[1]


def test_l15_a_table_without_a_key_may_change_but_not_shrink(shop: Shop) -> None:
    shop.execute("create table bag as select a, b from item")
    bag = replace(FULL, name="bag", raw_table="bag", source_table="bag")
    shop.load(bag)
    shop.execute("update bag set b = 0")
    (outcome,) = shop.load(bag)
    assert (outcome.error, outcome.rows_deleted, outcome.rows_inserted) == (None, 40, 40)
    shop.execute("delete from bag where a > 20")
    (outcome,) = shop.load(bag)
    assert "20 of 40 rows are gone" in str(outcome.error)


def test_l18_a_view_that_was_never_filled_is_told_how(shop: Shop) -> None:
    shop.execute('create materialized view "Kept" as select id from item with no data')
    shop.execute('create view above as select id from "Kept"')
    kept = replace(FULL, name="kept", raw_table="kept", source_table="Kept", primary_key=("id",))
    assert 'run `refresh materialized view "public"."Kept"` in the source' in refusal(shop, kept)[1]
    above = replace(kept, name="above", raw_table="above", source_table="above")
    code, line = refusal(shop, above)
    assert code == 1
    assert 'materialized view "Kept" has not been populated: run `refresh materialized view' in line
    shop.execute('refresh materialized view "Kept"')
    assert [o.error for o in shop.load(kept, above)] == [None, None]


def test_l13_xml_is_text_where_the_warehouse_has_none(shop: Shop) -> None:
    shop.execute("create table doc (id integer primary key, body xml, parts xml[])")
    doc = replace(FULL, name="doc", raw_table="doc", source_table="doc")
    assert [o.error for o in shop.load(doc)] == [None]
    try:
        rows(shop.warehouse, "select '<a/>'::xml")
        expected = "xml"
    except psycopg2.errors.FeatureNotSupported:
        expected = "text"
    found = shape(shop.warehouse, "raw.doc")
    assert (found["body"][0], found["parts"][0]) == (expected, f"{expected}[]")
    shop.execute("insert into doc values (1, null, null)")
    assert [o.rows_inserted for o in shop.load(doc)] == [1]
    assert look(shop, doc).status == "ok"


def test_l14_a_key_that_comes_or_grows_is_followed_and_any_other_rebuilt(shop: Shop) -> None:
    shop.execute("create table bag as select id, a, 1 as v from item")
    bag = replace(FULL, name="bag", raw_table="bag", source_table="bag")
    shop.load(bag)
    shop.execute("update bag set v = 2 where id = 1")
    shop.load(bag)  # raw has the old row of id 1 as a tombstone
    shop.execute("alter table bag add primary key (id)")
    assert [(o.error, o.rows_moved) for o in shop.load(bag)] == [(None, 0)]
    shop.execute("alter table bag drop constraint bag_pkey, add primary key (a, id)")
    assert [(o.error, o.rows_moved) for o in shop.load(bag)] == [(None, 0)]
    # Raw's rows share a value of the new key: only a rebuild will do, and does.
    shop.execute("update bag set a = id + 100, v = id")
    shop.execute("alter table bag drop constraint bag_pkey, add primary key (v)")
    (outcome,) = shop.load(bag)
    assert "rows of raw.bag share one or have none: run `haven load shop.bag --rebuild`" in str(outcome.error)
    assert [o.error for o in shop.load(bag, rebuild=True, allow_deletes=True)] == [None]
    assert look(shop, bag).status == "ok"
    key = "select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'raw.bag'::regclass and contype = 'p'"
    assert rows(shop.warehouse, key) == [("PRIMARY KEY (v)",)]


def test_l12_the_number_of_queries_does_not_grow_with_the_tables(shop: Shop) -> None:
    shop.execute(
        "do $$ begin for n in 1..300 loop execute format("
        "'create table t%s (id integer primary key, v text)', n); end loop; end $$"
    )
    names = [f"t{n}" for n in range(1, 301)]
    specs = [replace(FULL, name=n, raw_table=n, source_table=n) for n in names]

    class Counting(PgCursor):
        count = 0

        def execute(self, *args: Any) -> None:
            Counting.count += 1
            super().execute(*args)

    counts = []
    for some in (specs[:10], specs):
        with (
            closing(connect(shop.source_settings)) as source,
            closing(connect(shop.warehouse_settings)) as warehouse,
            source.cursor(cursor_factory=Counting) as origin,
            warehouse.cursor(cursor_factory=Counting) as target,
        ):
            Counting.count = 0
            seen = read_catalogs(origin, target, some)
            counts.append(Counting.count)
            assert len(seen.source) == len(some)
    assert counts[0] == counts[1] < 20
