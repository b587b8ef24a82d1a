"""How the numbers and times of a column spread: quartiles, outliers and a histogram, from its groups of values.

Quartiles are interpolated between the ranks below and above (definition 7 of Hyndman and Fan, "Sample Quantiles in
Statistical Packages", 1996; as percentile_cont). Outliers lie beyond Tukey's inner fences, Q1 - 1.5 (Q3 - Q1) and
Q3 + 1.5 (Q3 - Q1) ("Exploratory Data Analysis", 1977).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg2 import sql

from runner.profile.basics import finite, plain, position, rounded
from runner.profile.catalog import SourceColumn
from runner.profile.result import Bin, Spread

BINS = 20


def spread_ctes(column: SourceColumn) -> sql.Composed:
    """Return the CTEs `measured` (quartiles, fences, outliers) and `bins` (the histogram)."""
    value = sql.SQL("value")
    # Whole numbers of a small range get a bar each.
    is_small = sql.SQL("high - low < {}" if column.is_whole_number else "false and {} > 0").format(
        sql.Literal(BINS)
    )
    return sql.SQL(
        """
        placed as materialized (
            select place, n, sum(n) over (order by place) as upto
            from (select {place} as place, n from groups where {finite}) as finite
        ),
        bounds as (select sum(n) - 1 as steps, min(place) as low, max(place) as high from placed),
        ranks as (
            select
                steps, low, high,
                min(place) filter (where upto > floor(steps * 0.25)) as a1,
                min(place) filter (where upto > ceil(steps * 0.25)) as b1,
                min(place) filter (where upto > floor(steps * 0.5)) as a2,
                min(place) filter (where upto > ceil(steps * 0.5)) as b2,
                min(place) filter (where upto > floor(steps * 0.75)) as a3,
                min(place) filter (where upto > ceil(steps * 0.75)) as b3
            from placed
            cross join bounds
            group by steps, low, high
        ),
        quartiles as (
            select
                low, high,
                a1 + (steps * 0.25 - floor(steps * 0.25)) * (b1 - a1) as q1,
                a2 + (steps * 0.5 - floor(steps * 0.5)) * (b2 - a2) as q2,
                a3 + (steps * 0.75 - floor(steps * 0.75)) * (b3 - a3) as q3,
                case when {is_small} then high - low + 1 else {bins} end as bars,
                case when {is_small} then high - low + 1 else high - low end as span
            from ranks
        ),
        fences as (
            select *, q1 - 1.5 * (q3 - q1) as low_fence, q3 + 1.5 * (q3 - q1) as high_fence
            from quartiles
        ),
        measured as (
            select
                low::text, q1::text, q2::text, q3::text, low_fence::text, high_fence::text,
                bars::int, span::text,
                (
                    select coalesce(sum(n), 0) from placed
                    where place < low_fence or place > high_fence
                ) as outliers
            from fences
        ),
        bins as (
            select
                least(floor((place - low) * bars / span), bars - 1)::int as bucket, sum(n) as n
            from placed
            cross join fences
            where span > 0 and high > low
            group by bucket
        )
        """
    ).format(
        place=position(column, value),
        finite=finite(column, value),
        is_small=is_small,
        bins=sql.Literal(BINS),
    )


def read_spread(
    column: SourceColumn, found: dict[str, Any] | None, bins: list[list[int]] | None
) -> tuple[Spread | None, tuple[Bin, ...]]:
    if not found:
        return None, ()
    place = {
        name: Decimal(found[name]) for name in ("low", "q1", "q2", "q3", "low_fence", "high_fence", "span")
    }  # fmt: skip
    has_fences = place["q1"] != place["q3"]
    spread = Spread(
        q1=_shown(column, place["q1"]),
        median=_shown(column, place["q2"]),
        q3=_shown(column, place["q3"]),
        low_fence=_shown(column, place["low_fence"]) if has_fences else None,
        high_fence=_shown(column, place["high_fence"]) if has_fences else None,
        outliers=int(found["outliers"]) if has_fences else None,
    )
    rows = {int(bucket): int(n) for bucket, n in bins or ()}
    if not rows:
        return spread, ()
    step = place["span"] / found["bars"]
    edges = [place["low"] + step * at for at in range(found["bars"] + 1)]
    return spread, tuple(
        Bin(_edge(column, edges[at]), _edge(column, edges[at + 1]), rows.get(at, 0))
        for at in range(found["bars"])
    )


def _edge(column: SourceColumn, place: Decimal) -> str:
    if column.kind == "time":
        return _shown(column, place) or "beyond the calendar"
    return rounded(place) or ""


def _shown(column: SourceColumn, place: Decimal) -> str | None:
    """Return a place on the number line as a value of the column; None for times beyond the years 1 to 9999."""
    if column.kind != "time":
        return plain(place)
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=float(place))
    except OverflowError:
        return None
    if column.type_name == "date":
        return f"{moment:%Y-%m-%d}"
    return f"{moment:%Y-%m-%d %H:%M:%S}" + ("+00" if column.type_name == "timestamptz" else "")
