"""Turns kept trials into the figures that the page and the chart show."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One method's figures; texts are as shown, numbers are None where there were no good trials."""

    name: str
    rows: int
    median: float
    ratio: float | None
    speed: str
    rate: str
    seconds: str
    engine: str
    engine_median: float | None
    engine_ratio: float | None
    is_haven: bool
    cpu: dict[str, float]
    peak: str
    note: str

    @classmethod
    def of(cls, entry: dict[str, Any], baseline: dict[str, Any] | None) -> Row:
        """Return the figures of `entry`, its speed against `baseline`."""
        if not entry["seconds"]:
            return cls(
                entry["name"], entry["rows"], float("nan"), None, "", "", "", "", None, None,
                entry["is_haven"], {}, "", entry["error"],
            )  # fmt: skip
        rates = [entry["rows"] / second for second in entry["seconds"]]
        median = statistics.median(entry["seconds"])
        ratio, speed = None, ""
        if baseline is not None:
            theirs = [baseline["rows"] / second for second in baseline["seconds"]]
            # Pair by pair: the two of a round ran one after the other, on a machine in the same mood.
            pairs = [a / b for a, b in zip(rates, theirs, strict=False)]
            ratio = statistics.median(pairs)
            speed = f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3f}"  # noqa: PLR2004 (two digits that tell)
            if len(pairs) > 1 and entry is not baseline:
                speed += f" ({min(pairs):.2f} to {max(pairs):.2f})"
        low, high = min(entry["seconds"]), max(entry["seconds"])
        spread = f" ({low:.2f} to {high:.2f})" if len(entry["seconds"]) > 1 else ""
        own = statistics.median(entry["own_seconds"]) if entry["own_seconds"] else None
        engine_ratio = None
        if baseline is not None and own is not None:
            pairs = zip(baseline["seconds"], entry["own_seconds"], strict=False)
            engine_ratio = statistics.median(
                theirs / ours * entry["rows"] / baseline["rows"] for theirs, ours in pairs
            )
        peak = "" if entry["peak_mb"] is None else f"{entry['peak_mb']:,.0f}"
        return cls(
            name=entry["name"],
            rows=entry["rows"],
            median=median,
            ratio=ratio,
            speed=speed,
            rate=f"{entry['rows'] / median:,.0f}",
            seconds=f"{median:.2f}{spread}",
            engine="" if own is None else f"{own:.2f}",
            engine_median=own,
            engine_ratio=engine_ratio,
            is_haven=entry["is_haven"],
            cpu={side: statistics.median(used) for side, used in entry["cpu_seconds"].items()},
            peak=peak,
            note="; ".join(text for text in (entry["note"], entry["error"]) if text),
        )

    def line(self) -> str:
        """Return the figures as a line of a Markdown table."""
        cells = (self.name, self.speed, self.rate, self.seconds, self.engine, self.peak, self.note)
        return f"| {' | '.join(cell(text) for text in cells)} |\n"


def cpu_table(rows: Sequence[Row]) -> str:
    """Return a Markdown table of where the CPU time went, for the methods that say so."""
    lines = [
        "| method | seconds | CPU client | CPU source | CPU warehouse |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        if "warehouse" in row.cpu:
            used = " | ".join(f"{row.cpu[side]:.2f}" for side in ("client", "source", "warehouse"))
            lines.append(f"| {cell(row.name)} | {row.median:.2f} | {used} |")
    return "\n".join(lines) + "\n"


def rows_of(entries: Sequence[dict[str, Any]], baseline: dict[str, Any]) -> list[Row]:
    """Return all figures, each against `baseline`."""
    return [Row.of(entry, baseline) for entry in entries]


def cell(text: str) -> str:
    """Return `text` fit for a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")
