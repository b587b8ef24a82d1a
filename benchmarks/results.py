"""The one table of results, results.csv: a line for each part, variant and measure, and where it comes from."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One figure: what `measure` came to for `variant`, over so many runs; `size` is in rows, tables or orders.

    `part` may have a second table, after a dot (`bulk.reloads`). Without a `median`, `note` is the result. `baseline`
    is the variant that a ratio is against. `measured` is a time in UTC.
    """

    part: str
    size: int
    variant: str
    measure: str
    baseline: str = ""
    runs: int = 1
    median: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    note: str = ""
    measured: str = ""
    commit: str = ""
    machine: str = ""

    @classmethod
    def of(
        cls, part: str, size: int, variant: str, measure: str, unit: str, values: Sequence[float],
        baseline: str = "", note: str = "",
    ) -> Row:  # fmt: skip
        """Return the figure of one or more trials."""
        median, low, high = (round(of(values), 4) for of in (statistics.median, min, max))
        return cls(part, size, variant, measure, baseline, len(values), median, low, high, unit, note)


def read(path: Path) -> list[Row]:
    """Return all rows of the table; none if there is no file yet."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [_row(line) for line in csv.DictReader(file)]


def _row(line: dict[str, str]) -> Row:
    numbers = {name: float(line[name]) if line[name] else None for name in ("median", "low", "high")}
    texts = {name: text for name, text in line.items() if name not in (*numbers, "size", "runs")}
    return replace(Row("", int(line["size"]), "", "", runs=int(line["runs"])), **texts, **numbers)  # type: ignore[arg-type]


def keep(path: Path, part: str, found: Iterable[Row]) -> None:
    """Put the rows of one part in place of those of its last run; those of other parts stay."""
    others = [row for row in read(path) if row.part.split(".")[0] != part]
    rows = sorted((*others, *found), key=lambda row: row.part.split(".")[0])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        names = [field.name for field in fields(Row)]
        writer.writerow(names)
        for row in rows:
            cells = (getattr(row, name) for name in names)
            writer.writerow("" if cell is None else str(cell).removesuffix(".0") for cell in cells)
