"""One aggregate query for all columns of a table: nulls, minimum, maximum, mean and deviation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import MAX_PREC, Context, Decimal

import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner.profile.catalog import SourceColumn
from runner.profile.scan import Scan

# Values whose stored size is above this are not grouped as they are, but by their MD5.
WIDE_BYTES = 2000
_MAX_PLAIN_DIGITS = 20


@dataclass(frozen=True)
class Basics:
    """Plain statistics of one column. min, max, avg and stddev are of the finite values, as text.

    Of time columns only: `correlation` with the table's counting key, `mean_position` in seconds since 1970, and
    `as_watermark`, the rows in which it equals the watermark.
    `widest` is the largest stored size of a value in bytes.
    """

    values: int
    widest: int
    min: str | None = None
    max: str | None = None
    avg: str | None = None
    stddev: str | None = None
    not_finite: int = 0
    negative: int | None = None
    correlation: float | None = None
    mean_position: float | None = None
    as_watermark: int = 0
    is_out_of_range: bool = False


def finite(column: SourceColumn, value: sql.Composable) -> sql.Composable:
    """Return the condition under which `value` of `column` is a finite number or time; nulls are not."""
    if column.kind == "time":
        return sql.SQL("isfinite({})").format(value)
    if column.type_name in ("numeric", "float4", "float8"):
        return sql.SQL("{} not in ('NaN', 'Infinity', '-Infinity')").format(value)
    return sql.SQL("{} is not null").format(value)


def position(column: SourceColumn, value: sql.Composable) -> sql.Composable:
    """Return `value` as a number: itself, or the seconds since 1970."""
    if column.kind == "time":
        return sql.SQL("extract(epoch from {})::float8").format(value)
    return sql.SQL("{}::numeric").format(value)


@dataclass(frozen=True)
class Guides:
    """Columns that tell which time is that of a row's making: a whole number that counts rows, and the watermark."""

    counting_key: SourceColumn | None = None
    watermark: SourceColumn | None = None


def read_basics(
    cursor: PgCursor, scan: Scan, columns: Sequence[SourceColumn], guides: Guides
) -> dict[str, Basics]:
    """Return the basics of each column by name; one scan.

    Numbers too large for their squares to be added up leave the whole table without avg and stddev.
    """
    if not columns:
        return {}
    cursor.execute("savepoint basics")
    has_moments = True
    try:
        cursor.execute(_query(scan, columns, guides, has_moments=True))
    except psycopg2.errors.NumericValueOutOfRange:
        cursor.execute("rollback to savepoint basics")
        has_moments = False
        cursor.execute(_query(scan, columns, guides, has_moments=False))
    row = cursor.fetchone() or ()
    return {
        column.name: _basics(column, values, has_moments)
        for column, values in zip(columns, row, strict=True)
    }


def _query(
    scan: Scan,
    columns: Sequence[SourceColumn],
    guides: Guides,
    *,
    has_moments: bool,
) -> sql.Composed:
    # One text array a column, as a select list ends at 1,664 entries.
    return sql.SQL("select {} from {}").format(
        sql.SQL(", ").join(
            sql.SQL("array[{}]::text[]").format(
                sql.SQL(", ").join(_measures(column, guides, has_moments=has_moments))
            )
            for column in columns
        ),
        scan.relation,
    )


def _measures(column: SourceColumn, guides: Guides, *, has_moments: bool) -> list[sql.Composable]:
    ref = column.ref
    measures: list[sql.Composable] = [
        sql.SQL("count({})").format(ref),
        sql.SQL("max(pg_column_size({}))").format(ref),
    ]
    if column.kind not in ("number", "time", "clock"):
        return measures
    condition = finite(column, ref)
    measures += [
        sql.SQL("{}({}) filter (where {})").format(sql.SQL(name), ref, condition)
        for name in ("min", "max")
    ]
    if column.kind == "clock":
        return measures
    measures.append(sql.SQL("count({0}) filter (where not ({1}))").format(ref, condition))
    if column.kind == "time":
        place = position(column, ref)
        key, watermark = guides.counting_key, guides.watermark
        measures += [
            sql.SQL("avg({}) filter (where {})").format(place, condition),
            sql.SQL("corr({}::float8, {}) filter (where {})").format(key.ref, place, condition)
            if key
            else sql.NULL,
            sql.SQL("count(*) filter (where {} = {})").format(ref, watermark.ref)
            if watermark
            else sql.NULL,
        ]
        return measures
    number = ref if column.is_whole_number else position(column, ref)
    measures.append(
        sql.SQL("count(*) filter (where {} and {} < 0)").format(
            condition, sql.SQL("{}::numeric").format(ref) if column.type_name == "money" else ref
        )
    )
    if has_moments:
        measures += [
            sql.SQL("{}({}) filter (where {})").format(sql.SQL(name), number, condition)
            for name in ("avg", "stddev_samp")
        ]
    return measures


def _basics(column: SourceColumn, found: Sequence[str | None], has_moments: bool) -> Basics:
    values, widest = int(found[0] or 0), int(found[1] or 0)
    rest = [*found[2:], None, None, None]
    if column.kind == "clock":
        return Basics(values, widest, rest[0], rest[1])
    if column.kind == "time":
        return Basics(
            values, widest, rest[0], rest[1], not_finite=int(rest[2] or 0),
            mean_position=_float(rest[3]), correlation=_float(rest[4]),
            as_watermark=int(rest[5] or 0),
        )  # fmt: skip
    if column.kind == "number":
        return Basics(
            values, widest, rest[0], rest[1], rounded(rest[4]), rounded(rest[5]),
            not_finite=int(rest[2] or 0), negative=int(rest[3] or 0),
            is_out_of_range=not has_moments and not column.is_whole_number,
        )  # fmt: skip
    return Basics(values, widest)


def _float(text: str | None) -> float | None:
    return None if text is None else float(text)


def rounded(text: str | Decimal | None) -> str | None:
    """Return a number with 10 significant digits and no trailing zeros; None stays None."""
    return None if text is None else plain(Context(prec=10).create_decimal(Decimal(text)))


def plain(number: Decimal) -> str:
    """Return a number without trailing zeros, and with an exponent only if it is very large or small."""
    short = number.normalize(Context(prec=MAX_PREC))
    return f"{short:f}" if not short or abs(short.adjusted()) < _MAX_PLAIN_DIGITS else f"{short:e}"
