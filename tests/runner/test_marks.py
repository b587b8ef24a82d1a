"""Watermarks: what no clock, zone, type or right may lose. The names begin with the line of the list of faults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from conftest import Databases, rows
from psycopg2.extensions import connection as PgConnection
from test_load import SPEC, Shop

from runner.connect import connect
from runner.contract import DEFAULT_LOOKBACK, TableSpec
from runner.load import marks, merge

# Without a sweep and without an overlap, only the mark can find a row.
BARE = replace(SPEC, deletes="ignore", lookback="0 seconds")
NUMBER = replace(BARE, lookback="15 minutes")


class Source(Shop):
    """A shop that is read by a login with SELECT only, and written to by others."""

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases.create("source"), databases.create("warehouse"))
        self.owner = self.source_settings
        role = f"reader_{self.owner.dbname}"
        self.execute(f"create role {role} login password 'reader'")
        self.execute(f"alter default privileges grant select on tables to {role}")
        self.source_settings = replace(self.owner, user=role, password="reader")

    def writer(self, zone: str | None = None) -> PgConnection:
        """Return a session of the application; with a transaction open as soon as it runs a statement."""
        session = connect(self.owner)
        if zone:
            rows(session, f"set timezone = '{zone}'")
        return session

    def mark(self) -> str | None:
        """Return the stored mark."""
        ((value,),) = rows(self.warehouse, "select watermark from ops.watermarks")
        return None if value is None else str(value)

    def waiting(self) -> int:
        """Return how many candidates the table has."""
        ((count,),) = rows(self.warehouse, "select jsonb_array_length(candidates) from ops.watermarks")
        return int(count)


@pytest.fixture
def shop(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    """A source, a warehouse, a login that may read; loads do not wait long for the tests' open transactions."""
    monkeypatch.setattr(marks, "WAIT_S", 0.05)
    shop = Source(databases)
    yield shop
    role = shop.source_settings.user
    shop.source.rollback()
    rows(shop.source, f"drop owned by {role}")
    rows(shop.source, f"drop role {role}")
    shop.source.close()
    shop.warehouse.close()


def table(shop: Shop, kind: str = "timestamptz", values: str = "now() - interval '1 day'") -> None:
    """Make the table with five rows."""
    shop.execute(f"create table item (id bigint primary key, name text, updated_at {kind})")
    shop.execute(f"insert into item select n, 'name ' || n, {values} from generate_series(1, 5) n")


def test_l1_a_login_with_select_only_loses_no_late_commit(shop: Source) -> None:
    """As reported: A is open for longer than the lookback, B commits later times, loads come in between."""
    table(shop)
    shop.load_one(BARE)
    with closing(shop.writer()) as late:
        rows_open(late, "update item set name = 'late', updated_at = now() where id = 1")
        shop.execute("update item set name = 'soon', updated_at = now() where id = 2")
        before = shop.mark()
        shop.load_one(BARE)
        assert (shop.mark(), shop.waiting()) == (before, 1)
        shop.execute("update item set name = 'again', updated_at = now() where id = 3")
        shop.load_one(BARE)
        late.commit()
    shop.load_one(BARE)
    assert shop.live() == shop.truth()
    assert shop.waiting() == 0
    assert shop.load_one(BARE).rows_read == 1  # the newest row alone


COPIES = [replace(BARE, raw_schema=f"raw_{copy}") for copy in "ab"]


def test_two_copies_of_a_table_keep_marks_and_changes_of_their_own(shop: Source) -> None:
    table(shop, values="now() - interval '3 days'")
    ours, theirs = COPIES
    shop.load_one(ours)
    shop.execute("insert into item select n, 'b', now() - n * interval '1 hour' from generate_series(6, 9) n")
    shop.load_one(theirs)
    assert shop.load_one(ours).rows_inserted == 4
    # A column that one of them has noted as gone is news to the other.
    shop.execute("alter table item drop column name")
    for spec in COPIES:
        shop.load_one(spec)
    noted = "select raw_schema, column_name, change from ops.schema_changes order by 1"
    assert rows(shop.warehouse, noted) == [("raw_a", "name", "dropped"), ("raw_b", "name", "dropped")]


def test_marks_of_an_older_warehouse_go_to_the_copy_that_set_them(shop: Source) -> None:
    table(shop)
    ours, theirs = COPIES
    older = (
        "alter table ops.watermarks drop column raw_schema, drop column raw_table, drop column watermark_type, "
        "add primary key (source_name, table_name); "
        "alter table ops.schema_changes drop column raw_schema, drop column raw_table; "
        "comment on schema ops is 'an older one'"
    )
    shop.load_one(ours)
    rows(shop.warehouse, older)
    assert shop.load_one(ours).mode == "incremental"
    shop.load_one(theirs)
    # Both had the one mark, so that it may be too high for this one.
    rows(shop.warehouse, "delete from ops.watermarks where raw_schema = 'raw_b'")
    rows(shop.warehouse, older)
    assert [shop.load_one(ours).mode for _ in range(2)] == ["full", "incremental"]


@pytest.mark.parametrize(
    ("before", "values", "after", "new", "is_noted"),
    [
        ("numeric", "n + 0.5", "integer", "8", True),
        ("bigint", "n + 5000000000", "integer using 3", "8", False),
        ("integer", "n", "timestamptz using to_timestamp(u)", "now()", True),
        ("timestamp", "now()::timestamp - interval '1 day'", "bigint using 3", "8", False),
    ],
)
def test_a_mark_of_another_type_is_none_and_the_table_is_read_whole(
    shop: Source, before: str, values: str, after: str, new: str, is_noted: bool
) -> None:
    spec = replace(BARE, watermark="u", lookback=DEFAULT_LOOKBACK)
    shop.execute(f"create table item (id bigint primary key, u {before})")
    shop.execute(f"insert into item select n, {values} from generate_series(1, 5) n")
    shop.load_one(spec)
    if not is_noted:
        rows(shop.warehouse, "update ops.watermarks set watermark_type = null")
    shop.execute(f"alter table item alter column u type {after}")
    outcome = shop.load_one(spec, rebuild=True)
    kind = after.split(" ", maxsplit=1)[0].replace("timestamptz", "timestamp with time zone")
    assert outcome.note == f"u is {kind} now, and the stored mark is not: comparing every row"
    shop.execute(f"insert into item values (6, {new})")
    outcome = shop.load_one(spec)
    assert (outcome.mode, outcome.rows_inserted) == ("incremental", 1)
    assert shop.live("id, u::text") == shop.truth("id, u::text")


def clear(shop: Source) -> None:
    """Forget the table on both sides, so that the next kind begins afresh."""
    shop.execute("drop table item")
    rows(shop.warehouse, "drop table raw.item")


def rows_open(session: PgConnection, statement: str) -> None:
    """Run a statement and leave its transaction open."""
    with session.cursor() as cursor:
        cursor.execute(statement)


def test_l1_a_transaction_that_has_not_written_yet_is_waited_for(shop: Source) -> None:
    """It has no xid, so no snapshot tells of it; its time is already given."""
    table(shop)
    shop.load_one(BARE)
    with closing(shop.writer()) as late:
        rows_open(late, "select now()")
        shop.execute("update item set name = 'soon', updated_at = now() where id = 2")
        shop.load_one(BARE)
        rows_open(late, "update item set name = 'late', updated_at = now() where id = 1")
        late.commit()
    shop.load_one(BARE)
    assert shop.live() == shop.truth()


def test_l1_a_short_transaction_is_waited_for_and_nobody_else_is(
    shop: Source, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions of other databases do not hold a mark back, nor does one that only comes later."""
    table(shop)
    elsewhere = connect(databases.create("source"))
    rows_open(elsewhere, "select txid_current()")
    shop.load_one(BARE)
    assert (shop.mark() is not None, shop.waiting()) == (True, 0)
    late = shop.writer()
    rows_open(late, "update item set name = 'late', updated_at = now() where id = 1")
    shop.execute("update item set updated_at = now() where id = 2")
    monkeypatch.setattr(marks, "WAIT_S", 30.0)
    monkeypatch.setattr(marks.time, "sleep", lambda _: late.commit())
    before = shop.mark()
    shop.load_one(BARE)
    assert (shop.mark() != before, shop.waiting()) == (True, 0)
    late.close()
    elsewhere.close()
    assert shop.live() == shop.truth()


def test_l1_marks_move_on_a_source_that_always_has_a_transaction_open(shop: Source) -> None:
    """Each begins before the one before it ends; the candidates settle one after the other."""
    table(shop)
    shop.load_one(BARE)
    seen, older = [shop.mark()], shop.writer()
    rows_open(older, "select now()")
    for number in range(5):
        shop.execute("update item set name = %s, updated_at = now() where id = 2", f"n{number}")
        shop.load_one(BARE)
        seen.append(shop.mark())
        newer = shop.writer()
        rows_open(newer, f"update item set name = 'late', updated_at = now() where id = {number % 2 + 4}")
        older.commit()
        older.close()
        older = newer
    older.commit()
    older.close()
    assert len(set(seen)) >= 5
    shop.load_one(BARE)
    assert shop.live() == shop.truth()


def test_l1_a_first_load_beside_an_open_transaction_is_read_whole_again(shop: Source) -> None:
    table(shop)
    with closing(shop.writer()) as late:
        rows_open(late, "insert into item values (9, 'late', now() - interval '3 days')")
        shop.load_one(BARE)
        assert (shop.mark(), shop.waiting()) == (None, 1)
        late.commit()
    assert shop.load_one(BARE).mode == "full"
    assert shop.live() == shop.truth()
    assert shop.load_one(BARE).mode == "incremental"


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("kind", ["timestamp", "timestamp(0)", "date"])
def test_l2_times_without_a_zone_are_bounded_in_their_own(shop: Source, zone: str, kind: str) -> None:
    shop.execute(f"alter database {shop.owner.dbname} set timezone = '{zone}'")
    table(shop, kind, "localtimestamp - interval '3 days'")
    shop.load_one(BARE)
    with closing(shop.writer(zone)) as late, closing(shop.writer(zone)) as soon:
        rows_open(late, "update item set name = 'late', updated_at = localtimestamp where id = 1")
        rows(soon, "update item set name = 'soon', updated_at = localtimestamp where id = 2")
        shop.load_one(BARE)
        late.commit()
        shop.load_one(BARE)
        assert shop.live() == shop.truth()
        ((is_newest,),) = rows(
            shop.source,
            "select max(updated_at)::text = %s from item where updated_at <= now() at time zone %s",
            shop.mark(),
            zone,
        )
        # Half a second rounded up lies in the future, so the mark may stay behind by that.
        assert is_newest or kind == "timestamp(0)"


def test_l2_the_hour_that_comes_twice_is_read_twice(shop: Source) -> None:
    """The clocks go back two seconds from now; what is written after that has older times."""
    shop.execute("create table item (id bigint primary key, name text, updated_at timestamp)")
    ((zone,),) = rows(
        shop.source,
        # Noon at Greenwich, so that the change is on one day everywhere; day 1 to the change is summer.
        "select format('AAA%s:00:00BBB%s:00:00,J1/0,J%s/%s', hours, hours - 1, "
        "to_char(at, 'DDD')::int - (extract(year from at)::int % 4 = 0 and extract(month from at) > 2)::int, "
        "to_char(at, 'HH24:MI:SS')) from (select date_trunc('second', now() at time zone 'UTC') "
        "- make_interval(hours => hours - 1) + interval '2 seconds' as at, hours "
        "from (select extract(hour from now() at time zone 'UTC')::int - 11 as hours) h) as change",
    )
    spec = replace(BARE, watermark_timezone=zone)
    with closing(shop.writer(zone)) as writer:
        for number in range(60):
            rows(writer, "insert into item values (%s, 'row', localtimestamp)", number)
            rows(writer, "update item set name = 'x', updated_at = localtimestamp where id = %s", number // 2)
            shop.load_one(spec)
            ((is_over, after),) = rows(
                writer,
                "select count(*) filter (where back) > 0, count(*) filter (where back) "
                "from (select updated_at < max(updated_at) over (order by id) as back from item) as i",
            )
            if is_over and after > 2:
                break
            rows(writer, "select pg_sleep(0.1)")
        assert is_over, "the change of clocks was not met"
    shop.load_one(spec)
    assert shop.live() == shop.truth()


def test_l3_a_number_that_is_committed_late_is_read(shop: Source) -> None:
    shop.execute("create sequence version")
    kinds = ("smallint", "integer", "bigint", "numeric", "numeric(9, 1)", "real", "double precision")
    for kind in kinds:
        shop.execute("alter sequence version restart")
        table(shop, kind, "nextval('version')")
        shop.load_one(NUMBER)
        assert float(shop.mark() or 0) == 5, kind
        change = "update item set name = %s, updated_at = nextval('version') where id = %s"
        with closing(shop.writer()) as late:
            with late.cursor() as cursor:
                cursor.execute(change, ("late", 1))
            shop.execute(change, "soon", 2)
            shop.load_one(NUMBER)
            late.commit()
        shop.load_one(NUMBER)
        assert shop.live() == shop.truth(), kind
        assert float(shop.mark() or 0) == 7, kind
        clear(shop)


def test_l3_fractions_of_floats_survive_as_text(shop: Source) -> None:
    """0.1 as real is another number than as double; a mark that is rounded up would hide its own row."""
    for kind in ("real", "double precision"):
        table(shop, kind, "n / 7.0")
        shop.load_one(NUMBER)
        shop.execute("update item set name = 'same mark' where id = 5")
        assert shop.load_one(NUMBER).rows_updated == 1
        clear(shop)


ODD = {
    "bigint": ("1764400000000",),
    "numeric": ("'NaN'", "'Infinity'", "1e30"),
    "double precision": ("'NaN'", "'Infinity'", "1e300"),
}


@pytest.mark.parametrize("kind", ODD)
def test_l7_a_mark_that_was_too_high_comes_down(shop: Source, kind: str) -> None:
    for value in ODD[kind]:
        table(shop, kind, "n")
        shop.load_one(NUMBER)
        shop.execute(f"update item set updated_at = {value} where id = 1")
        shop.load_one(NUMBER)
        shop.execute("update item set updated_at = 6, name = 'back' where id = 1")
        shop.execute("update item set updated_at = 7, name = 'other' where id = 2")
        outcome = shop.load_one(NUMBER)
        assert shop.live() == shop.truth(), value
        assert shop.mark() == "7"
        if "'" not in value:  # NaN and infinity never become the mark
            assert outcome.mode == "full"
            assert outcome.note is not None
            below = "the source's highest updated_at (7) is below the stored mark (1"
            assert outcome.note.startswith(below)
        shop.execute("update item set updated_at = 8, name = 'more' where id = 3")
        assert shop.load_one(NUMBER).mode == "incremental"
        assert shop.live() == shop.truth(), value
        clear(shop)


def test_l7_a_full_load_stores_what_it_read(shop: Source) -> None:
    table(shop, "bigint", "n")
    shop.execute("update item set updated_at = 900 where id = 1")
    shop.load_one(NUMBER)
    shop.execute("update item set updated_at = 6 where id = 1")
    assert shop.load_one(NUMBER, full=True).watermark_to == "6"
    shop.execute("delete from item")
    assert shop.load_one(NUMBER).watermark_to is None
    table_again = "insert into item values (1, 'new', 1)"
    shop.execute(table_again)
    shop.load_one(replace(NUMBER, deletes="sweep"))
    assert shop.live() == shop.truth()


def test_l7_a_mark_too_high_is_forgotten_even_beside_an_open_transaction(shop: Source) -> None:
    """Kept until the new one is safe, it would hide what passes it meanwhile."""
    table(shop, "bigint", "n")
    shop.execute("update item set updated_at = 100 where id = 1")
    shop.load_one(NUMBER)
    shop.execute("update item set updated_at = 6 where id = 1")
    with closing(shop.writer()) as late:
        rows_open(late, "update item set name = 'late', updated_at = 50 where id = 2")
        assert shop.load_one(NUMBER).watermark_to is None
        shop.execute("update item set updated_at = 101 where id = 3")
        late.commit()
    shop.load_one(NUMBER)
    assert shop.live() == shop.truth()
    assert shop.mark() == "101"


FUTURE = {
    "timestamptz": ("'2099-01-01'", "'infinity'", "'-infinity'"),
    "timestamp": ("'2099-01-01'", "'infinity'", "'-infinity'"),
    "date": ("'2099-01-01'", "'infinity'", "'-infinity'"),
    "numeric": ("'-Infinity'",),
    "real": ("'-Infinity'",),
}


@pytest.mark.parametrize("kind", FUTURE)
def test_l8_one_odd_row_does_not_stop_updates_from_being_read(shop: Source, kind: str) -> None:
    zone = "America/New_York"
    spec = replace(SPEC, deletes="ignore", watermark_timezone=zone)
    is_time = kind not in ("numeric", "real")
    now, earlier = ("localtimestamp", "localtimestamp - interval '3 days'") if is_time else ("9", "n")
    for value in FUTURE[kind]:
        table(shop, kind, earlier)
        shop.execute(f"update item set updated_at = {value} where id = 1")
        shop.load_one(spec)
        with closing(shop.writer(zone)) as writer:
            rows(writer, f"update item set name = 'after', updated_at = {now} where id = 2")
            # The odd row itself changes without a word of its mark.
            rows(writer, "update item set name = 'odd' where id = 1")
            assert shop.load_one(spec).rows_updated == 2, value
            rows(writer, f"update item set name = 'later', updated_at = {now} where id = 3")
            assert shop.load_one(spec).rows_updated == 1, value
        assert shop.live() == shop.truth(), value
        clear(shop)


@pytest.mark.parametrize("is_hashed", [False, True])
@pytest.mark.parametrize("most", [10_000, 1])
def test_l9_the_sweep_finds_rows_whose_mark_differs(
    shop: Source, monkeypatch: pytest.MonkeyPatch, is_hashed: bool, most: int
) -> None:
    monkeypatch.setattr(merge, "HASHED_FROM_BYTES", 0 if is_hashed else 1 << 40)
    monkeypatch.setattr(merge, "MOST_NAMED", most)
    for kind, values, old in (
        ("timestamptz", "now() - n * interval '1 day'", "'2001-01-01'"),
        ("date", "now() - n * interval '1 day'", "'2001-01-01'"),
        ("timestamp(3)", "now() - n * interval '1 day'", "null"),
        ("numeric(12,2)", "100 - n", "1.5"),
        ("real", "100 - n", "'NaN'"),
        ("integer", "100 - n", "null"),
    ):
        table(shop, kind, values)
        spec = replace(SPEC, primary_key=("id",))
        shop.load_one(spec)
        shop.execute(f"update item set name = 'set back', updated_at = {old} where id = 3")
        shop.execute("delete from item where id in (4, 5)")
        shop.execute(f"insert into item values (4, 'again', {old})")
        outcome = shop.load_one(spec)
        assert (outcome.rows_updated, outcome.rows_deleted) == (2, 1), kind
        assert shop.live() == shop.truth()
        assert shop.load_one(spec).rows_moved == 0
        clear(shop)


def test_l9_a_watermark_that_is_part_of_the_key_is_swept_once(shop: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "HASHED_FROM_BYTES", 0)
    shop.execute("create table item (id int, name text, updated_at date, primary key (id, updated_at))")
    shop.execute("insert into item values (1, 'a', '2026-01-01'), (1, 'b', '2026-01-02')")
    shop.load_one()
    shop.execute("insert into item values (1, 'old', '2001-01-01')")
    shop.execute("delete from item where name = 'a'")
    outcome = shop.load_one()
    assert (outcome.rows_inserted, outcome.rows_deleted) == (1, 1)
    assert shop.live() == shop.truth()


TOO_LONG = "it may be 24 days at most"
NO_LENGTH = "it must be a finite time from 0 on"
REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "timeout infinity": ({"timeout": "infinity"}, {}, f"timeout is 'infinity'; {NO_LENGTH}"),
    "timeout -infinity": ({"timeout": "-infinity"}, {}, NO_LENGTH),
    "timeout negative": ({"timeout": "-2 hours"}, {}, NO_LENGTH),
    "timeout zero": ({"timeout": "0 seconds"}, {}, "it must be longer than nothing"),
    "timeout too long": ({"timeout": "1 month"}, {}, TOO_LONG),
    "timeout without a unit": ({"timeout": "30"}, {}, "say of what, such as '30 minutes'"),
    "lookback negative": ({"lookback": "-3 days"}, {}, f"lookback is '-3 days'; {NO_LENGTH}"),
    "lookback infinity": ({"lookback": "infinity"}, {}, NO_LENGTH),
    "lookback mixed": ({"lookback": "1 day -48 hours"}, {}, NO_LENGTH),
    "lookback before time": ({"lookback": "9000 years"}, {}, NO_LENGTH),
    "timeout, less than one": ({"timeout": "0.5"}, {}, "say of what, such as '0.5 minutes'"),
    "lookback, not whole": ({"lookback": "1.5"}, {}, "say of what, such as '1.5 minutes'"),
    "lookback, a list": ({"lookback": "[1]"}, {}, "lookback is '[1]': say of what"),
    "lookback without a unit": ({"lookback": "15"}, {}, "say of what, such as '15 minutes'"),
    "since after until": ({}, {"since": "2027-01-01", "until": "2026-01-01"}, "nothing lies between"),
    "since is until": ({}, {"since": "2026-01-01", "until": "2026-01-01"}, "nothing lies between"),
    "since infinity": ({}, {"since": "infinity"}, "--since is 'infinity', which no window begins"),
    "until -infinity": ({}, {"until": "-infinity"}, "--until is '-infinity', which no window begins"),
    "since without a watermark": (
        {"strategy": "full", "watermark": None},
        {"since": "2026-01-01"},
        "has no watermark, so --since say nothing about it",
    ),
    "zone misspelled": (
        {"watermark_timezone": "America/New_Yrok"},
        {},
        "the source does not know: did you mean America/New_York?",
    ),
    "zone by its sign": ({"watermark_timezone": "+02:00"}, {}, "write the place, such as"),
    "zone UTC+2": ({"watermark_timezone": "UTC+2"}, {}, "write the place, such as"),
}


@pytest.fixture(scope="module")
def planned(cluster_home: Any) -> Iterator[Shop]:
    """A loaded table for what is only planned."""
    made = Databases(cluster_home)
    shop = Shop(made.create("source"), made.create("warehouse"))
    table(shop)
    shop.load_one()
    yield shop
    shop.source.close()
    shop.warehouse.close()
    made.drop_all()


def refused(shop: Shop, spec: TableSpec, request: dict[str, Any], message: str) -> None:
    """Check that the table is refused in one line."""
    (outcome,) = shop.load(spec, **request)
    assert outcome.exit_code == 2
    assert outcome.error is not None
    assert message in outcome.error
    assert "\n" not in outcome.error


@pytest.mark.parametrize("case", REFUSED)
def test_k10_what_is_no_length_or_window_is_refused_while_planning(planned: Shop, case: str) -> None:
    change, request, message = REFUSED[case]
    refused(planned, replace(SPEC, **change), request, message)
    # Also before raw has the table: a first load reads all, but does not swallow what is wrong.
    refused(planned, replace(SPEC, raw_table="new", **change), request, message)


@pytest.mark.parametrize("kind", ["numeric", "real", "bigint"])
def test_k10_a_lookback_in_numbers_is_one(shop: Source, kind: str) -> None:
    table(shop, kind, "n")
    for value in ("NaN", "Infinity", "-1", "15 minutes ago"):
        message = "no numeric" if "ago" in value else "it must be a number from 0 on"
        refused(shop, replace(SPEC, lookback=value), {}, message)
    shop.load_one(replace(SPEC, lookback="2.5"))
    # Below what the type can hold there is nothing to read.
    shop.load_one(replace(SPEC, lookback="1e6" if kind == "real" else "9" * 25))
    assert shop.load_one(replace(BARE, lookback="2.5")).rows_read == 3
    for text in ("NaN", "infinity"):
        if kind != "bigint":
            refused(shop, SPEC, {"since": text}, "which no window begins or ends with")


def test_k10_a_table_that_is_wrong_does_not_stop_the_others(shop: Source) -> None:
    table(shop)
    bad = replace(SPEC, name="bad", raw_table="bad", lookback="-3 days")
    wrong, good = shop.load(bad, SPEC)
    assert (wrong.exit_code, good.exit_code) == (2, 0)
