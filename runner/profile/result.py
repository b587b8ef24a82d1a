"""What a profile says. Values of a column are text, exactly as PostgreSQL prints them; counts are numbers.

All statistics of a sampled table (`is_sampled`) are of the rows sampled, except where a field says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "time", "clock", "text", "boolean", "other"]
Basis = Literal["exact", "sample", "statistics"]


@dataclass(frozen=True)
class TopValue:
    """A frequent value and its rows."""

    value: str
    rows: int


@dataclass(frozen=True)
class Bin:
    """One bar of a histogram: from `low` (included) to `high` (left out, but in the last bar)."""

    low: str
    high: str
    rows: int


@dataclass(frozen=True)
class Spread:
    """Quartiles, Tukey's fences and the rows beyond them; see module `spread` for the formula.

    `outliers` is None, and there are no fences, where the quartiles are equal: they would make any other value one.
    """

    q1: str | None
    median: str | None
    q3: str | None
    low_fence: str | None
    high_fence: str | None
    outliers: int | None


@dataclass(frozen=True)
class TextFacts:
    """Lengths in characters, and rows that are empty or blank, or have blanks around them."""

    min_length: int | None
    max_length: int | None
    blank: int
    untrimmed: int
    is_mixed_case: bool


@dataclass(frozen=True)
class ColumnProfile:
    """One column. `not_finite` counts NaN and infinities: min, max, avg and stddev leave them out.

    `distinct_basis` says what `distinct` rests on: all rows, the rows sampled, or the planner's statistics.
    A personal column shows no value: `top` and `histogram` are empty, and what gives a value away is None.
    """

    name: str
    type: str
    kind: Kind
    description: str
    is_nullable: bool
    personal: str | None
    nulls: int
    distinct: int | None
    distinct_basis: Basis | None
    min: str | None = None
    max: str | None = None
    avg: str | None = None
    stddev: str | None = None
    not_finite: int = 0
    negative: int | None = None
    text: TextFacts | None = None
    spread: Spread | None = None
    top: tuple[TopValue, ...] = ()
    histogram: tuple[Bin, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Key:
    """Columns that are unique and never null. Not proven means: so in the rows sampled."""

    columns: tuple[str, ...]
    is_declared: bool
    is_proven: bool = True


@dataclass(frozen=True)
class Reference:
    """A foreign key. `orphans` are rows whose value the other table lacks, of `rows` with a value.

    An inferred one is what values and names suggest. Declared and validated: no orphans, by the constraint.
    """

    columns: tuple[str, ...]
    to_table: str
    to_columns: tuple[str, ...]
    is_declared: bool
    evidence: str
    rows: int | None
    orphans: int | None
    is_proven: bool = True

    @property
    def orphan_share(self) -> float | None:
        """Return orphans among the rows with a value, 0 to 1; None if not counted."""
        if self.orphans is None or not self.rows:
            return None
        return self.orphans / self.rows


@dataclass(frozen=True)
class Growth:
    """How the table grows by `column`; `last_*` count back from the newest row's day, that day included.

    `rate` is the last 30 days against the 30 before, minus 1. `touched` are rows whose watermark is later than
    `column`: changed at least once since they were made. Estimates are scaled up from a sample.
    """

    column: str
    first_day: str
    last_day: str
    rows_per_day: float
    last_day_rows: int
    last_7_days: int
    last_30_days: int
    rate: float | None
    months: tuple[tuple[str, int], ...]
    touched_by: str | None
    touched: int | None
    is_estimate: bool


@dataclass(frozen=True)
class Changes:
    """What a snapshot saw change: of `keys` in its history, how many had more than one value in a column."""

    snapshot: str
    keys: int
    changed: Mapping[str, int]


@dataclass(frozen=True)
class TableProfile:
    """One table. Times are seconds. With `error`, all else but label and source is empty."""

    label: str
    source: str
    description: str = ""
    kind: str = ""
    rows: int = 0
    profiled_rows: int = 0
    is_sampled: bool = False
    sample_method: str | None = None
    size_bytes: int = 0
    duplicate_rows: int | None = None
    columns: tuple[ColumnProfile, ...] = ()
    keys: tuple[Key, ...] = ()
    references: tuple[Reference, ...] = ()
    growth: Growth | None = None
    changes: tuple[Changes, ...] = ()
    seconds: float = 0.0
    error: str | None = None
    exit_code: int = 0
