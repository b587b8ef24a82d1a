"""What a reconciliation found, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Literal

Kind = Literal["missing", "extra", "different", "pending"]
Status = Literal["ok", "not_followed", "unstable", "different", "failed"]
PLACES = Decimal("0.000001")


@dataclass(frozen=True)
class Difference:
    """One key that is not the same on both sides; `copies` is above 1 only in tables without a key.

    missing: in the source only. extra: live in raw only. different: in both, `columns` differ. pending: changed in
    the source since the last load. `values` holds (source, raw) texts by column, if they were asked for.
    """

    kind: Kind
    key: tuple[str, ...] | None
    copies: int = 1
    columns: tuple[str, ...] = ()
    values: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields that say something, for JSON."""
        shown: dict[str, Any] = {"kind": self.kind, "key": self.key, "columns": self.columns}
        if self.copies > 1:
            shown["copies"] = self.copies
        if self.values:
            shown["values"] = {name: {"source": source, "raw": raw} for name, (source, raw) in self.values.items()}
        return shown


@dataclass(frozen=True)
class Reconciliation:
    """The result for one table. Counts are exact; `named` holds the first of the differing keys only.

    `columns` counts, among the named keys, how often each column differs. `lacking` are columns that raw does not
    have yet. `keeps_deleted`: the contract ignores deletes, so extra rows are right. `is_unstable`: the source's view
    gives other rows each time. `error` is set if the table could not be compared.
    """

    table: str
    key_columns: tuple[str, ...] = ()
    source_rows: int = 0
    raw_rows: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    pending: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    named: tuple[Difference, ...] = ()
    keeps_deleted: bool = False
    is_unstable: bool = False
    repaired_rows: int = 0
    seconds: float = 0.0
    error: str | None = None
    error_code: int = 0

    @property
    def total(self) -> int:
        """Return how many keys differ and are not merely pending."""
        return self.missing + self.different + self._wrong_extra

    @property
    def _wrong_extra(self) -> int:
        return 0 if self.keeps_deleted else self.extra

    @property
    def status(self) -> Status:
        """Return how the comparison ended.

        `ok` (pending keys are allowed), `not_followed` (only rows whose deletion the contract ignores), `unstable`,
        `different` or `failed`.
        """
        if self.error is not None:
            return "failed"
        if self.is_unstable:
            return "unstable"
        if self.total or self.lacking:
            return "different"
        return "not_followed" if self.deletes_not_followed else "ok"

    @property
    def deletes_not_followed(self) -> int:
        """Return how many rows the source has deleted and raw keeps, as the contract says."""
        return self.extra if self.keeps_deleted else 0

    @property
    def exit_code(self) -> int:
        """Return the exit code this table asks for."""
        return self.error_code or int(self.status in ("different", "failed"))

    @property
    def match_pct(self) -> Decimal | None:
        """Return the share of equal keys in percent, rounded down, so 100 means all; None if not compared.

        Keys of either side count once; pending keys count on neither side of the fraction.
        """
        if self.error is not None or self.is_unstable:
            return None
        keys = self.source_rows + self._wrong_extra - self.pending
        if keys <= 0:
            return Decimal(100).quantize(PLACES)
        return (Decimal(100) * (keys - self.total) / keys).quantize(PLACES, ROUND_FLOOR)

    def as_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {
            **asdict(self),
            "status": self.status,
            "deletes_not_followed": self.deletes_not_followed,
            "match_pct": None if self.match_pct is None else str(self.match_pct),
            "named": [difference.as_dict() for difference in self.named],
        }
