"""Compares one table: buckets of both sides at once, then the keys of those that differ, then their columns.

Each side is one read-only repeatable-read transaction, so all three looks see the same rows. Memory stays flat: of the
buckets only numbers travel, and keys are merged as a stream in the order of their hash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from runner import checksums
from runner.catalog import Column
from runner.load.plan import TablePlan
from runner.load.statements import key_condition
from runner.reconcile import queries
from runner.reconcile.key_merge import KeyDifferences, Row, merge, paired
from runner.reconcile.reconciliation import Difference, Reconciliation

# Keys whose columns are compared in one query: bounds what a table of a thousand columns takes.
COLUMN_BATCH = 200
FETCH_ROWS = 5000
T = TypeVar("T")


def compare(
    plan: TablePlan,
    source: PgConnection,
    warehouse: PgConnection,
    *,
    limit: int,
    with_values: bool,
    is_same_moment: bool,
) -> Reconciliation:
    """Compare the table of `plan` and return what differs, the first `limit` keys by name.

    `is_same_moment`: the source is seen exactly as the load saw it, so nothing can be pending.

    Raises psycopg2.Error.
    """
    columns = tuple(column for column in plan.columns if column not in plan.drift.added)
    key = tuple(column for name in plan.key for column in columns if column.name == name)
    with source.cursor() as origin, warehouse.cursor() as target:
        hashing = checksums.common_hashing(origin, target)
        no = sql.SQL("false")
        mark: sql.Composable = sql.SQL("null::text")
        if plan.spec.watermark and not is_same_moment:
            mark = sql.SQL("{}::text").format(sql.Identifier("compared", plan.spec.watermark))
        right = queries.Side(queries.raw_rows(plan, columns), columns, key, hashing, no, no, mark)
        left = replace(right, rows=queries.source_rows(plan, columns))
        ours, theirs = both(lambda: _fetch(origin, _sums(left)), lambda: _fetch(target, _sums(right)))
        result = Reconciliation(
            plan.spec.label,
            key_columns=plan.key,
            source_rows=sum(row[1] for row in ours),
            raw_rows=sum(row[1] for row in theirs),
            lacking=tuple(column.name for column in plan.drift.added),
            keeps_deleted=plan.spec.deletes == "ignore",
        )
        wanted = sorted({row[0] for row in set(ours) ^ set(theirs)})
        if not wanted:
            return result
        if plan.kind == "view" and not _is_stable(origin, left, ours):
            return replace(result, is_unstable=True)
        if not is_same_moment:
            left = _with_pending_rules(left, plan, target)
        found = KeyDifferences(limit, result.keeps_deleted)
        merge(found, _stream(source, warehouse, left, right, wanted))
        named = found.named
        if key:
            named = _name_columns(named, origin, target, left, right, with_values=with_values)
    return replace(
        result,
        missing=found.counts["missing"],
        extra=found.counts["extra"],
        different=found.counts["different"],
        pending=found.counts["pending"],
        columns=dict(Counter(name for d in named for name in d.columns if d.kind == "different")),
        named=tuple(named),
    )


def both(first: Callable[[], T], second: Callable[[], T]) -> tuple[T, T]:
    """Run both at once and return what they return; if one fails, its error once both have ended."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        left, right = pool.submit(first), pool.submit(second)
    return left.result(), right.result()


def _is_stable(cursor: PgCursor, side: queries.Side, before: Sequence[Row]) -> bool:
    """Return whether the query gives the same rows again, and with another plan, too."""
    again = set(_fetch(cursor, _sums(side)))
    cursor.execute(checksums.ADD_UP_IN_PLACE)
    otherwise = set(_fetch(cursor, _sums(side)))
    cursor.execute(checksums.PLAN_AS_USUAL)
    return again == otherwise == set(before)


def _sums(side: queries.Side) -> sql.Composed:
    return checksums.sums(side.rows, side.bucket, side.row_digest)


def _fetch(cursor: PgCursor, query: sql.Composable | str) -> list[Row]:
    cursor.execute(query)
    return cursor.fetchall()


def _with_pending_rules(side: queries.Side, plan: TablePlan, warehouse: PgCursor) -> queries.Side:
    """Return the source's side with what tells that a row changed after the last load.

    A row in both whose watermark moved: if the next load will read it. A row that raw lacks: if it lies behind the
    stored watermark. On the mark itself only if many rows share one (dates), or if raw has rows behind it: then an
    open transaction held the mark back, and its rows carry that very time.
    """
    if plan.spec.watermark is None or plan.watermark_from is None or plan.condition is None:
        return side
    column, kind = sql.Identifier(plan.spec.watermark), sql.SQL(plan.watermark_type or "")
    value = sql.SQL("{}::{}").format(sql.Literal(plan.watermark_from), kind)
    is_coarse = plan.is_time and (plan.watermark_type == "date" or "(" in str(plan.watermark_type))
    behind = sql.SQL("select from {} where {} > {} limit 1").format(plan.raw, column, value)
    is_shared = is_coarse or bool(_fetch(warehouse, behind))
    after = sql.SQL("coalesce({} {} {}, false)").format(column, sql.SQL(">=" if is_shared else ">"), value)
    return replace(side, is_pending_change=plan.condition, is_pending_row=after)


def _stream(
    source: PgConnection, warehouse: PgConnection, left: queries.Side, right: queries.Side, wanted: Sequence[int]
) -> Iterator[tuple[list[Row], list[Row]]]:
    """Yield the rows of the wanted buckets of both sides, grouped by key hash."""
    with source.cursor("haven_keys") as origin, warehouse.cursor("haven_keys") as target:

        def start(cursor: PgCursor, side: queries.Side) -> list[Row]:
            cursor.execute(queries.keys_of(side, wanted))
            return cursor.fetchmany(FETCH_ROWS)

        first, second = both(lambda: start(origin, left), lambda: start(target, right))
        yield from paired(_rest(first, origin), _rest(second, target))


def _rest(rows: list[Row], cursor: PgCursor) -> Iterator[Row]:
    while rows:
        yield from rows
        rows = cursor.fetchmany(FETCH_ROWS)


def _name_columns(
    named: Sequence[Difference],
    source: PgCursor,
    warehouse: PgCursor,
    left: queries.Side,
    right: queries.Side,
    *,
    with_values: bool,
) -> list[Difference]:
    """Return `named` with the columns in which keys that both sides have differ."""
    names = [column.name for column in left.columns]
    done: list[Difference] = []
    for start in range(0, len(named), COLUMN_BATCH):
        batch = named[start : start + COLUMN_BATCH]
        condition = keys_condition(left.key, batch)

        def read(cursor: PgCursor, side: queries.Side, where: sql.Composable = condition) -> dict[tuple[str, ...], Row]:
            query = queries.columns_of(side, where, with_values=with_values, names=names)
            return {tuple(row[0]): row for row in _fetch(cursor, query)}

        ours, theirs = both(lambda: read(source, left), lambda: read(warehouse, right))
        for difference in batch:
            key = difference.key or ()
            one, two = ours.get(key), theirs.get(key)
            if one is not None and two is not None:
                unequal = [i for i, name in enumerate(names) if one[1][i] != two[1][i]]
                difference = replace(  # noqa: PLW2901
                    difference,
                    columns=tuple(names[i] for i in unequal),
                    values={names[i]: (one[2][i], two[2][i]) for i in unequal} if with_values else {},
                )
            done.append(difference)
    return done


def keys_condition(key: Sequence[Column], named: Sequence[Difference]) -> sql.Composable:
    """Return the condition that a row's key is among the named ones."""
    return key_condition(key, key_lists(named))


def key_lists(named: Sequence[Difference]) -> list[list[str]]:
    """Return the named keys as one list of texts per key column."""
    return [list(texts) for texts in zip(*(d.key for d in named if d.key is not None), strict=True)]
