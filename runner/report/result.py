"""What became of one report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class ReportResult:
    """One report: the file it is in, or why there is none, in one line."""

    name: str
    title: str
    status: Literal["written", "skipped", "failed"]
    path: Path | None
    detail: str
