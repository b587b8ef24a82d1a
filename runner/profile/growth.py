"""How a table grows: rows by the day they were made, if a column tells it."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner.profile.basics import Basics
from runner.profile.catalog import SourceColumn
from runner.profile.result import Growth
from runner.profile.scan import Scan

MONTHS = 24
MIN_CORRELATION = 0.5
_TIE = 0.05


def creation_column(
    columns: Sequence[SourceColumn],
    basics: dict[str, Basics],
    rows: int,
    watermark: SourceColumn | None,
) -> SourceColumn | None:
    """Return the column that says when a row was made, or None if none can be told.

    It is a time, never null, always finite, with more than one value, and grows with the table's counting key (or,
    without such a key, with the place of the rows on disk, as the planner's statistics have it): correlation at least
    0.5. Of several that do so equally well (within 0.05) it is the one that equals the watermark in most rows, as a row
    just made is not changed yet; then the earliest on average. No name is looked at. Without any correlation known, a
    table's only such column is taken.
    """
    fit = []
    for column in columns:
        found = basics[column.name]
        is_full = rows > 1 and found.values == rows and not found.not_finite
        if column.kind == "time" and is_full and found.min != found.max:
            known = found.correlation if found.correlation is not None else column.correlation
            equal = 0 if column == watermark else found.as_watermark
            fit.append((column, known, (-equal, found.mean_position or 0.0)))
    known_ones = [(column, known, rank) for column, known, rank in fit if known is not None]
    if not known_ones:
        return fit[0][0] if len(fit) == 1 else None
    best = max(known for _, known, _ in known_ones)
    if best < MIN_CORRELATION:
        return None
    ties = [(rank, column) for column, known, rank in known_ones if known >= best - _TIE]
    return min(ties, key=lambda pair: pair[0])[1]


def read_growth(
    cursor: PgCursor, scan: Scan, column: SourceColumn, watermark: SourceColumn | None
) -> Growth:
    """Return the growth by `column`; one scan. `watermark` is a time that moves when a row changes."""
    if watermark == column:
        watermark = None
    touched = (
        sql.SQL("count(*) filter (where {} > {})").format(watermark.ref, column.ref)
        if watermark is not None
        else sql.SQL("null::bigint")
    )
    cursor.execute(
        sql.SQL(
            """
            with days as materialized (
                select {column}::date as day, count(*) as n, {touched} as touched
                from {relation}
                group by day
            ),
            ends as (select min(day) as first_day, max(day) as last_day from days),
            months as (
                select date_trunc('month', day) as month, sum(n) as n
                from days
                group by month
                order by month desc
                limit {months}
            )
            select
                ends.first_day::text, ends.last_day::text,
                ends.last_day - ends.first_day + 1,
                sum(n),
                coalesce(sum(n) filter (where day > last_day - 1), 0),
                coalesce(sum(n) filter (where day > last_day - 7), 0),
                coalesce(sum(n) filter (where day > last_day - 30), 0),
                coalesce(sum(n) filter (where day > last_day - 60 and day <= last_day - 30), 0),
                (
                    select json_agg(
                        json_build_array(to_char(month, 'YYYY-MM'), months.n) order by month
                    )
                    from months
                ),
                sum(touched)
            from days
            cross join ends
            group by first_day, last_day
            """
        ).format(
            column=column.ref,
            touched=touched,
            relation=scan.relation,
            months=sql.Literal(MONTHS),
        )
    )
    first, last, span, rows, day, week, month, before, months, touched_rows = (
        cursor.fetchone() or ()
    )

    def scaled(count: object) -> int:
        return round(int(str(count)) * scan.scale)

    # A table younger than the 60 days compared has no rate.
    has_rate = before and span >= 60  # noqa: PLR2004
    return Growth(
        column=column.name,
        first_day=first,
        last_day=last,
        rows_per_day=round(int(rows) * scan.scale / int(span), 2),
        last_day_rows=scaled(day),
        last_7_days=scaled(week),
        last_30_days=scaled(month),
        rate=round(float(month) / float(before) - 1, 4) if has_rate else None,
        months=tuple((name, scaled(count)) for name, count in months),
        touched_by=watermark.name if watermark is not None else None,
        touched=None if touched_rows is None else scaled(touched_rows),
        is_estimate=scan.is_sampled,
    )
