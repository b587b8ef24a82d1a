"""What a load shows: progress on a terminal or line by line, the plan, the summary, the exit code."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from runner import log
from runner.commands.console import wide_console
from runner.load.attempt import Listener
from runner.load.outcome import TableOutcome
from runner.load.plan import TablePlan

# From here on planning takes long enough to say so.
MANY_TABLES = 100
# When several tables fail, the gravest code wins: unreachable, then settings, then data.
_GRAVITY = (75, 3, 2, 1, 0)


def say_retry(what: str, reason: str, wait_s: float) -> None:
    """Tell that a connection broke and is tried again; `what` is a table or "run"."""
    log.info(f"  {what}: {reason}; trying again in {wait_s:.1f} s", what=what, wait_s=round(wait_s, 3))


def exit_code(outcomes: Sequence[TableOutcome]) -> int:
    """Return the gravest exit code among `outcomes`."""
    return min((o.exit_code for o in outcomes), key=_GRAVITY.index, default=0)


class LoadProgress:
    """A progress bar on a terminal; elsewhere one line for each table that is done."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._lock = threading.Lock()
        self._is_drawn = sys.stderr.isatty() and not log.is_json()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("tables, {task.fields[copied]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not self._is_drawn,
        )
        self._task = self._bar.add_task("loading", total=None, copied="")
        self._copied = 0
        self.listener = Listener(self._plans, self._bytes, self._table, say_retry, on_planning=self._planning)

    def __enter__(self) -> LoadProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _planning(self, tables: int) -> None:
        self._bar.update(self._task, description=f"planning {tables:,} tables")
        if tables >= MANY_TABLES and not self._is_drawn:
            log.info(f"planning {tables:,} tables", run_id=self._run_id)

    def _plans(self, plans: Sequence[TablePlan]) -> None:
        self._bar.update(self._task, total=len(plans))
        if not self._is_drawn:
            log.info(f"loading {len(plans)} tables (run {self._run_id})", run_id=self._run_id)

    def _bytes(self, table: str, count: int) -> None:
        with self._lock:  # called by all workers
            self._copied += count
        copied = decimal(self._copied)
        self._bar.update(self._task, copied=copied, description=f"loading {table}")

    def _table(self, outcome: TableOutcome) -> None:
        self._bar.update(self._task, advance=1)
        if self._is_drawn:
            return
        if outcome.error is None:
            log.info(
                f"  {outcome.table}: {outcome.rows_read:,} rows read, "
                f"{outcome.rows_moved:,} moved, {outcome.seconds:.2f} s",
                run_id=self._run_id,
                **outcome.as_dict(),
            )
        else:
            log.error(f"  {outcome.table}: failed", run_id=self._run_id, **outcome.as_dict())


_COLUMNS = ("read", "inserted", "updated", "unchanged", "deleted", "rejected")


def show_outcomes(outcomes: Sequence[TableOutcome], *, run_id: str, as_json: bool) -> None:
    """Print the summary: a table for people, one JSON object for machines; errors one line each."""
    if as_json:
        body: dict[str, Any] = {
            "run_id": run_id,
            "status": "failed" if exit_code(outcomes) else "ok",
            "tables": [o.as_dict() for o in outcomes],
        }
        typer.echo(json.dumps(body))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("table")
    table.add_column("mode")
    for name in (*_COLUMNS, "seconds", "rows/s"):
        table.add_column(name, justify="right")
    for o in outcomes:
        counts = [f"{getattr(o, f'rows_{name}'):,}" for name in _COLUMNS]
        mode = "failed" if o.error else (o.mode or "")
        table.add_row(o.table, mode, *counts, f"{o.seconds:.2f}", f"{o.rows_per_second:,}")
    wide_console().print(table)
    for o in outcomes:
        if o.error:
            # What PostgreSQL says does not name the table.
            where = "" if o.table in o.error else f"{o.table}: "
            log.error(f"error: {where}{o.error}", table=o.table, exit_code=o.exit_code)


def show_plan(plans: Sequence[TablePlan], failures: Sequence[TableOutcome], *, as_json: bool) -> None:
    """Print what a load would do; nothing was moved."""
    rows = [
        {
            "table": p.spec.label,
            "strategy": p.spec.strategy,
            "mode": p.mode,
            "key": list(p.key),
            "watermark": p.spec.watermark,
            "watermark_from": p.watermark_from,
            "deletes": p.spec.deletes,
            "source_rows_estimate": p.rows_estimate,
            "columns_added": [column.name for column in p.drift.added],
            "columns_widened": [column.name for column, _ in p.drift.widened],
            "columns_dropped": [column.name for column in p.drift.dropped],
        }
        for p in plans
    ]
    if as_json:
        errors = [{"table": f.table, "error": f.error} for f in failures]
        typer.echo(json.dumps({"plan": rows, "errors": errors}))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("table", "mode", "key", "watermark", "from", "deletes", "source rows (estimate)"):
        table.add_column(name, justify="right" if name.startswith("source") else "left")
    for p in plans:
        table.add_row(
            p.spec.label, p.mode, ", ".join(p.key), p.spec.watermark or "", p.watermark_from or "",
            p.spec.deletes, f"{p.rows_estimate:,}" if p.rows_estimate or not p.size_bytes else "unknown",
        )  # fmt: skip
    wide_console().print(table)
    for failure in failures:
        log.error(f"error: {failure.error}", table=failure.table, exit_code=failure.exit_code)
