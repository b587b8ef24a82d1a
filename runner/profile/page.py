"""The profile as a page: target/reports/profile.html, without network or a second file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from runner.artifacts.files import write_whole
from runner.profile.terminal import clip, distinct, length, origin, share
from runner.report.pages import render


def write_page(made: dict[str, Any], path: Path, *, project: str) -> None:
    """Write the page of a profile's document to `path`; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page = render(
        "profile.html.j2",
        tables=made["tables"],
        project=project,
        made_at=datetime.now(UTC).isoformat(),
        bars=bars,
        clip=clip,
        distinct=distinct,
        length=length,
        origin=origin,
        share=share,
        size=decimal,
    )
    write_whole(path, page)


def bars(counts: list[int], *, width: int = 120, height: int = 28) -> list[dict[str, float]]:
    """Return the rectangles of a bar chart, in pixels; a bar with rows is at least one high."""
    most = max(counts, default=0)
    step = width / len(counts) if counts else 0
    return [
        {
            "x": round(at * step, 2),
            "y": round(height - tall, 2),
            "width": round(max(step - 1, 1), 2),
            "height": round(tall, 2),
        }
        for at, count in enumerate(counts)
        if (tall := max(count / most * height, 1) if count else 0)
    ]
