"""What a load is asked to do and what it did, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Mode = Literal["first", "full", "incremental", "backfill", "repair"]


@dataclass(frozen=True)
class LoadRequest:
    """The command line's wishes. `since` and `until` are watermark values, lower inclusive, upper not."""

    full: bool = False
    since: str | None = None
    until: str | None = None
    workers: int = 2


@dataclass(frozen=True)
class TableOutcome:
    """What happened to one table; rows are counts, `seconds` is wall time, `exit_code` 0 means well.

    `rows_unchanged` counts rows that were read again and found to be the same.
    """

    table: str
    strategy: str
    mode: Mode | None
    rows_read: int = 0
    rows_inserted: int = 0
    rows_updated: int = 0
    rows_unchanged: int = 0
    rows_deleted: int = 0
    rows_rejected: int = 0
    watermark_from: str | None = None
    watermark_to: str | None = None
    seconds: float = 0.0
    error: str | None = None
    exit_code: int = 0

    @property
    def rows_per_second(self) -> int:
        """Return rows read per second of wall time (0 when nothing was read)."""
        return round(self.rows_read / self.seconds) if self.seconds > 0 else 0

    @property
    def rows_moved(self) -> int:
        """Return how many rows of raw this load changed."""
        return self.rows_inserted + self.rows_updated + self.rows_deleted

    def as_dict(self) -> dict[str, Any]:
        """Return all fields and the rate, for JSON."""
        return {**asdict(self), "rows_per_second": self.rows_per_second}
