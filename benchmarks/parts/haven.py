"""Haven as a method of the bench: the whole command, start-up included."""

from __future__ import annotations

from pathlib import Path

from benchmarks import table
from benchmarks.cluster import Bench
from benchmarks.trials import Method

RAW = f"raw.{table.NAME}"


def load(
    bench: Bench,
    project: Path,
    *,
    workers: int = 1,
    name: str | None = None,
    relation: str = RAW,
    tables: tuple[str, ...] = (table.NAME,),
    options: tuple[str, ...] = (),
) -> Method:
    """Return `haven load` of `tables` as a method."""
    plural = "one stream" if workers == 1 else f"{workers} workers"
    return Method(
        name or f"haven load, {plural}",
        lambda: [bench.haven(project, "--workers", str(workers), *options, *tables)],
        relation,
        is_haven=True,
    )
