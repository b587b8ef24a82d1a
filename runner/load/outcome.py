"""What a load is asked to do and what it did, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Mode = Literal["first", "full", "incremental", "backfill", "repair"]


@dataclass(frozen=True)
class LoadRequest:
    """The command line's request. `since` and `until` are watermark values, lower inclusive, upper not.

    `retries` is how often a broken connection is tried again; `lock_timeout_s` how long to wait for a locked table;
    `retry_now` ignores an open circuit breaker. `accept_source`: raw may have come from another database; `rebuild`:
    raw may lose what does not fit the source's new types and keys; `allow_deletes`: however many rows are gone.
    """

    full: bool = False
    since: str | None = None
    until: str | None = None
    workers: int = 2
    retries: int = 4
    lock_timeout_s: float = 60.0
    retry_now: bool = False
    accept_source: bool = False
    rebuild: bool = False
    allow_deletes: bool = False


@dataclass(frozen=True)
class TableOutcome:
    """What happened to one table; rows are counts, `seconds` is wall time, `exit_code` 0 means well.

    `rows_unchanged` counts rows that were read again and found to be the same; `tries` is above 1 if a connection
    broke and the table was loaded again; `note` says why more was read than asked.
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
    tries: int = 1
    load_id: int | None = None
    note: str | None = None
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

    def after(self, earlier: TableOutcome) -> TableOutcome:
        """Return the outcome of both loads, this one having come after `earlier` in the same run."""
        counts = ("read", "inserted", "updated", "unchanged", "deleted", "rejected")
        both = {f"rows_{c}": getattr(self, f"rows_{c}") + getattr(earlier, f"rows_{c}") for c in counts}
        return replace(
            self,
            **both,
            mode=earlier.mode,
            watermark_from=earlier.watermark_from,
            seconds=round(self.seconds + earlier.seconds, 3),
            tries=self.tries + earlier.tries,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all fields and the rate, for JSON."""
        return {**asdict(self), "rows_per_second": self.rows_per_second}
