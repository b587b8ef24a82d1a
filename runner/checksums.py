"""Finds out which rows of two copies of a table differ without moving them: counts and hash sums per bucket of keys.

Each side hashes its own rows in one scan, and only 4,096 numbers travel. A hash is of the value's binary form, as a
binary COPY carries it. Sums of 64-bit hashes: equal changes would cancel in an xor, and a change that leaves a bucket's
sum as it was has a chance of 2^-64.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner.catalog import Column

BUCKETS = 4096
# Hash functions are the same on all servers of one byte order since PostgreSQL 11, but that is nowhere promised: both
# sides hash these values, and if they disagree, md5 does the work.
PROBE = (
    "select hash_array_extended(array['\\x'::bytea, '\\x68617665'::bytea, "
    "decode(repeat('c3a9', 40), 'hex')], 7), hashint8extended(-3, 7), uuid_hash_extended("
    "'00112233-4455-6677-8899-aabbccddeeff'::uuid, 7), hash_numeric_extended(-12.30, 7), "
    "hashfloat8extended(date_part('epoch', '2026-01-02 03:04:05.678901+00'::timestamptz), 7)"
)
_PRECISION = re.compile(r"\([^)]*\)")
_FAST = "hash_array_extended(array[record_send(row({value}))], {seed})"
_PORTABLE = "(('x' || substr(md5(record_send(row({value}))), 1, 16))::bit(64)::bigint # {seed})"
_NO_SEED = sql.SQL("0::bigint")
_FLOAT = "hashfloat8extended({value}::double precision, {seed})"
# A double tells microseconds apart, and is faster than the binary form.
_TIME = "hashfloat8extended(date_part('epoch', {value}), {seed})"
# Values of these types are hashed up to three times as fast by functions of their own.
_FAST_KEYS = {
    "smallint": "hashint8extended({value}::bigint, {seed})",
    "integer": "hashint8extended({value}::bigint, {seed})",
    "bigint": "hashint8extended({value}, {seed})",
    "uuid": "uuid_hash_extended({value}, {seed})",
}
_FAST_MARKS = {
    **_FAST_KEYS,
    "numeric": "hash_numeric_extended({value}, {seed})",
    "real": _FLOAT,
    "double precision": _FLOAT,
    "date": _TIME,
    "timestamp without time zone": _TIME,
    "timestamp with time zone": _TIME,
}


@dataclass(frozen=True)
class Hashing:
    """How both servers hash. `is_fast`: with PostgreSQL's own hash functions, else with md5."""

    is_fast: bool

    def row(self, values: Sequence[sql.Composable]) -> sql.Composed:
        """Return the 64-bit hash of a row of `values`."""
        return self._hash(_FAST if self.is_fast else _PORTABLE, sql.SQL(", ").join(values))

    def key(self, relation: str, key: Sequence[Column]) -> sql.Composable:
        """Return the 64-bit hash of the key columns of `relation`; keys that are equal have the same."""
        digest: sql.Composable = _NO_SEED
        for column, value in zip(key, key_values(relation, key), strict=True):
            form = _FAST_KEYS.get(column.raw_type, _FAST) if self.is_fast else _PORTABLE
            # A key that is null (a view may have one) lands in a bucket like any other.
            digest = sql.SQL("coalesce({}, 0)").format(self._hash(form, value, digest))
        return digest

    def marked_key(self, relation: str, key: Sequence[Column], mark: Column) -> sql.Composable:
        """Return the 64-bit hash of the key and the watermark of `relation`."""
        digest = self.key(relation, key)
        form = _FAST_MARKS.get(_PRECISION.sub("", mark.raw_type), _FAST)
        (value,) = key_values(relation, [mark])
        hashed = self._hash(form if self.is_fast else _PORTABLE, value, digest)
        return sql.SQL("coalesce({}, {})").format(hashed, digest)

    def bucket(self, relation: str, key: Sequence[Column]) -> sql.Composed:
        """Return the number of the bucket that a key of `relation` falls into."""
        return bucket_of(self.key(relation, key))

    @staticmethod
    def _hash(form: str, value: sql.Composable, seed: sql.Composable = _NO_SEED) -> sql.Composed:
        return sql.SQL(form).format(value=value, seed=seed)


def bucket_of(digest: sql.Composable) -> sql.Composed:
    """Return the number of the bucket that a hash falls into."""
    return sql.SQL("({} & {})::integer").format(digest, sql.Literal(BUCKETS - 1))


def key_values(relation: str, key: Sequence[Column]) -> list[sql.Composable]:
    """Return the key's columns in a form in which equal keys are equal byte by byte: 1.0 and 1.00 are one key."""
    return [
        sql.SQL("trim_scale({})" if _is_numeric(column) else "{}").format(sql.Identifier(relation, column.name))
        for column in key
    ]


def _is_numeric(column: Column) -> bool:
    return column.raw_type.startswith("numeric") and not column.raw_type.endswith("[]")


def sums(rows: sql.Composable, bucket: sql.Composable, digest: sql.Composable) -> sql.Composed:
    """Return the one scan of the query `rows` (seen as `compared`): bucket, rows, sum of hashes."""
    # The sum of bigint is numeric: it does not overflow. The join is for the planner: it takes each value of a bare
    # expression for a group of its own, and would then not let parallel workers add up.
    return sql.SQL(
        "select buckets.number, count(*), sum({digest}) from ({rows}) as compared "
        "inner join generate_series(0, {last}) as buckets (number) on buckets.number = {bucket} "
        "group by buckets.number"
    ).format(bucket=bucket, digest=digest, rows=rows, last=sql.Literal(BUCKETS - 1))


# Rows are added up where they lie: sorting millions of them by bucket first takes twice the time.
ADD_UP_IN_PLACE = "set local enable_sort = off; set local enable_mergejoin = off; set local jit = off"
PLAN_AS_USUAL = "reset enable_sort; reset enable_mergejoin; reset jit"


@dataclass(frozen=True)
class Comparison:
    """The buckets in which two sides differ, and how many rows the source has."""

    hashing: Hashing
    buckets: tuple[int, ...]
    source_rows: int

    @property
    def is_worthwhile(self) -> bool:
        """Return whether so few buckets differ that looking at them alone is less work than at everything."""
        return len(self.buckets) < BUCKETS // 2

    def of_source(self, rows: sql.Composable, key: Sequence[Column]) -> sql.Composed:
        """Return the query for those rows of the query `rows` that lie in a bucket that differs."""
        return sql.SQL("select * from ({}) as compared where {}").format(rows, self.condition("compared", key))

    def condition(self, relation: str, key: Sequence[Column]) -> sql.Composed:
        """Return the condition that a row of `relation` lies in a bucket that differs."""
        return sql.SQL("{} = any({}::integer[])").format(
            self.hashing.bucket(relation, key), sql.Literal(list(self.buckets))
        )


def common_hashing(source: PgCursor, warehouse: PgCursor) -> Hashing:
    """Return the fastest way to hash in which both servers agree."""
    answers = []
    for cursor in (source, warehouse):
        cursor.execute(PROBE)
        answers.append(cursor.fetchone())
    return Hashing(is_fast=answers[0] == answers[1])


@contextmanager
def comparing(
    source: PgCursor,
    source_rows: sql.Composable,
    warehouse: PgCursor,
    warehouse_rows: sql.Composable,
    key: Sequence[Column],
    columns: Sequence[Column] = (),
    mark: Column | None = None,
) -> Iterator[Callable[[], Comparison]]:
    """Compare two queries that give rows of the same columns; without `columns`, which keys there are, with which mark.

    The source starts on its rows at once; calling what is yielded has the warehouse scan its own, and gives the result.
    Raises psycopg2.Error.
    """
    hashing = common_hashing(source, warehouse)
    digest = hashing.key("compared", key)
    if mark is not None:
        digest = hashing.marked_key("compared", key, mark)
    if columns:
        digest = hashing.row([sql.Identifier("compared", column.name) for column in columns])

    def scan(cursor: PgCursor, rows: sql.Composable) -> set[tuple[int, int, int]]:
        cursor.execute(ADD_UP_IN_PLACE)
        cursor.execute(sums(rows, hashing.bucket("compared", key), digest))
        found = set(cursor.fetchall())
        cursor.execute(PLAN_AS_USUAL)
        return found

    with ThreadPoolExecutor(max_workers=1) as aside:
        answer = aside.submit(scan, source, source_rows)

        def result() -> Comparison:
            theirs = scan(warehouse, warehouse_rows)
            ours = answer.result()
            return Comparison(
                hashing=hashing,
                buckets=tuple(sorted({bucket for bucket, _, _ in ours ^ theirs})),
                source_rows=sum(count for _, count, _ in ours),
            )

        yield result
