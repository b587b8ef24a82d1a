"""Hash sums per bucket find every difference between two copies, whichever way the servers hash."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from runner import checksums
from runner.catalog import Column
from runner.connect import connect
from runner.settings import Connection, read_state

ROWS = sql.SQL("select id, part, value from pg_temp.copy")
KEY = (Column("id", "bigint"), Column("part", "text"))
ALL = (*KEY, Column("value", "numeric"))
A_ROW = st.tuples(
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=4),
    st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=3),
)


@pytest.fixture(scope="module")
def two(cluster_home: Path) -> Iterator[tuple[PgConnection, PgConnection]]:
    """A session in each cluster, with an empty temp table `copy`."""
    state = read_state(cluster_home)
    assert state is not None
    pair = (
        connect(Connection(side="source", **state["source"])),
        connect(Connection(side="warehouse", **state["warehouse"])),
    )
    for session in pair:
        with session.cursor() as cursor:
            cursor.execute("create temp table copy (id bigint, part text, value numeric)")
        session.commit()
    yield pair
    for session in pair:
        session.close()


def fill(session: PgConnection, lines: list[tuple[object, ...]]) -> None:
    """Replace the rows of `copy`."""
    with session.cursor() as cursor:
        cursor.execute("truncate pg_temp.copy")
        for line in lines:
            cursor.execute("insert into pg_temp.copy values (%s, %s, %s)", line)


@pytest.mark.parametrize("is_fast", [True, False], ids=["own hashes", "md5"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ours=st.lists(A_ROW, max_size=12, unique_by=lambda row: row[:2]), picks=st.data())
def test_exactly_the_buckets_that_hold_a_difference_are_found(
    two: tuple[PgConnection, PgConnection],
    monkeypatch: pytest.MonkeyPatch,
    is_fast: bool,
    ours: list[tuple[object, ...]],
    picks: st.DataObject,
) -> None:
    monkeypatch.setattr(checksums, "common_hashing", lambda *_: checksums.Hashing(is_fast=is_fast))
    # Another copy: some rows left out, some with another value.
    fates = picks.draw(st.lists(st.sampled_from("ssscd"), min_size=len(ours), max_size=len(ours)))
    theirs = [row if fate == "s" else (*row[:2], 17) for row, fate in zip(ours, fates, strict=True) if fate != "d"]
    source, warehouse = two
    fill(source, ours)
    fill(warehouse, theirs)
    with source.cursor() as origin, warehouse.cursor() as target:
        with checksums.comparing(origin, ROWS, target, ROWS, KEY, ALL) as compare:
            by_row = compare()
        with checksums.comparing(origin, ROWS, target, ROWS, KEY) as compare:
            by_key = compare()
        found = _differing(origin, target, by_row, KEY)
        lost = _differing(origin, target, by_key, KEY)
    changed = {row[:2] for row in set(ours) ^ set(theirs)}
    gone = {row[:2] for row in ours} - {row[:2] for row in theirs}
    assert changed <= found
    assert gone <= lost
    assert bool(by_row.buckets) == bool(changed)
    assert bool(by_key.buckets) == bool(gone)
    assert by_row.source_rows == len(ours)


def _differing(
    source: PgCursor, warehouse: PgCursor, found: checksums.Comparison, key: tuple[Column, ...]
) -> set[tuple[object, ...]]:
    """Return the keys of both sides in the buckets that were found."""
    keys: set[tuple[object, ...]] = set()
    for cursor in (source, warehouse):
        cursor.execute(found.of_source(ROWS, key))
        keys |= {row[:2] for row in cursor.fetchall()}
    return keys


@pytest.mark.parametrize("is_fast", [True, False], ids=["own hashes", "md5"])
@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("numeric", "1.0", "1.00"),
        ("numeric(9,4)", "1.0", "1.0000"),
        ("smallint", "-1", "-1"),
        ("integer", "2147483647", "2147483647"),
        ("uuid", str(UUID(int=10**30)), str(UUID(int=10**30)).upper()),
        ("char(5)", "a", "a "),
        ("timestamptz", "2026-01-01 12:00+02", "2026-01-01 10:00+00"),
    ],
)
def test_equal_keys_fall_into_one_bucket(
    warehouse_connection: PgConnection, is_fast: bool, kind: str, one: str, other: str
) -> None:
    hashing = checksums.Hashing(is_fast=is_fast)
    bucket = hashing.bucket("given", [Column("k", kind)]).as_string(warehouse_connection)
    with warehouse_connection.cursor() as cursor:
        cursor.execute(
            f"select count(distinct {bucket}) from (values (%s::{kind}), (%s::{kind})) as given (k)", (one, other)
        )
        assert cursor.fetchone() == (1,)


def test_servers_that_hash_differently_agree_on_md5(
    source_connection: PgConnection, warehouse_connection: PgConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with source_connection.cursor() as origin, warehouse_connection.cursor() as target:
        assert checksums.common_hashing(origin, target) == checksums.Hashing(is_fast=True)
        monkeypatch.setattr(checksums, "PROBE", "select pg_backend_pid()")
        assert checksums.common_hashing(origin, target) == checksums.Hashing(is_fast=False)
