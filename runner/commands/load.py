"""`haven load`: copy the contract's tables from the source into raw."""

from __future__ import annotations

import json
import secrets
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from runner import log
from runner.contract import Contract, read_contract
from runner.errors import ConfigError
from runner.load.engine import load_tables, plan_tables
from runner.load.outcome import LoadRequest, TableOutcome
from runner.load.plan import TablePlan
from runner.load.round import Listener
from runner.load.state import RunRecord, recorded_run
from runner.manifest import read_manifest
from runner.settings import Settings, load_settings

WIDTH = 140
# When several tables fail, the gravest code wins: unreachable, then settings, then data.
_GRAVITY = (75, 3, 2, 1, 0)


RETRY_NOW = "Try a source that could not be reached lately, without the wait."


def load(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Tables to load: `table` or `source.table`.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Read whole tables again.")] = False,
    since: Annotated[
        str | None, typer.Option(help="Backfill: re-read rows with a watermark at or after this.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Backfill: re-read rows with a watermark before this.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Tables at a time.")] = 2,
    retry_now: Annotated[bool, typer.Option("--retry-now", help=RETRY_NOW)] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    project_dir: Annotated[
        Path | None, typer.Option(help="The dbt project whose sources are loaded.")
    ] = None,
) -> None:
    """Load source tables into raw: whole or incremental, as the sources YAML says."""
    if full and (since or until):
        raise ConfigError("--full reads everything: leave out --since and --until")
    settings = load_settings(project_dir)
    request = replace(
        load_request(settings, workers=workers, retry_now=retry_now),
        full=full,
        since=since,
        until=until,
    )
    if dry_run:
        plans, failures = _plan(settings, tables or [], request)
        show_plan(plans, failures, as_json=as_json)
        raise typer.Exit(exit_code(failures))
    run_id = new_run_id()
    source, warehouse = settings.connection("source"), settings.connection("warehouse")
    with recorded_run(
        source,
        warehouse,
        run_id=run_id,
        command="load",
        retries=request.retries,
        on_retry=say_retry,
    ) as record:
        outcomes = load_project(settings, tables or [], request, run=record)
        record.is_ok = exit_code(outcomes) == 0
        record.summary = {"loads": [outcome.as_dict() for outcome in outcomes]}
    show_outcomes(outcomes, run_id=run_id, as_json=as_json)
    raise typer.Exit(exit_code(outcomes))


def say_retry(what: str, reason: str, wait_s: float) -> None:
    """Tell that a connection broke and is tried again; `what` is a table or "run"."""
    log.info(
        f"  {what}: {reason}; trying again in {wait_s:.1f} s", what=what, wait_s=round(wait_s, 3)
    )


def load_request(settings: Settings, *, workers: int, retry_now: bool) -> LoadRequest:
    """Return a request with the settings' retries and lock timeout. Raises ConfigError if one is wrong."""
    return LoadRequest(
        workers=workers,
        retries=settings.whole_number("HAVEN_RETRIES", 4),
        lock_timeout_s=settings.whole_number("HAVEN_LOCK_TIMEOUT", 60),
        retry_now=retry_now,
    )


def new_run_id() -> str:
    """Return an id that sorts by time: 20260701T060000Z-1f3a. Every line logged from now on carries it."""
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    log.bind(run_id=run_id)
    return run_id


def exit_code(outcomes: Sequence[TableOutcome]) -> int:
    """Return the gravest exit code among `outcomes`."""
    return min((o.exit_code for o in outcomes), key=_GRAVITY.index, default=0)


def load_project(
    settings: Settings,
    tables: Sequence[str],
    request: LoadRequest,
    *,
    run: RunRecord,
    on_loaded: Callable[[Contract, str], None] = lambda contract, snapshot: None,
) -> list[TableOutcome]:
    """Load the chosen tables of the project, showing progress; `run` is the caller's `recorded_run`.

    `on_loaded` gets the tables that were loaded and the source snapshot, while that can still be joined.
    """
    contract = read_contract(read_manifest(settings)).select(tables)
    source, warehouse = settings.connection("source"), settings.connection("warehouse")

    def loaded(snapshot: str, outcomes: Sequence[TableOutcome]) -> None:
        good = {outcome.table for outcome in outcomes if outcome.error is None}
        on_loaded(Contract(tuple(t for t in contract.tables if t.label in good), ()), snapshot)

    with _Progress(run.run_id) as progress:
        listener = replace(progress.listener, on_loaded=loaded)
        return load_tables(contract, source, warehouse, request, run=run, listener=listener)


def _plan(
    settings: Settings, tables: Sequence[str], request: LoadRequest
) -> tuple[list[TablePlan], list[TableOutcome]]:
    contract = read_contract(read_manifest(settings)).select(tables)
    source, warehouse = settings.connection("source"), settings.connection("warehouse")
    return plan_tables(contract, source, warehouse, request)


class _Progress:
    """A progress bar on a terminal; elsewhere one line for each table that is done."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._lock = threading.Lock()
        self._bar: Progress | None = None
        if sys.stderr.isatty() and not log.is_json():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("tables, {task.fields[copied]}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
        self._task = self._bar.add_task("loading", total=None, copied="") if self._bar else None
        self._copied = 0
        self.listener = Listener(self._plans, self._bytes, self._table, say_retry)

    def __enter__(self) -> _Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def _plans(self, plans: Sequence[TablePlan]) -> None:
        if self._bar and self._task is not None:
            self._bar.update(self._task, total=len(plans))
        else:
            log.info(f"loading {len(plans)} tables (run {self._run_id})", run_id=self._run_id)

    def _bytes(self, table: str, count: int) -> None:
        with self._lock:  # called by all workers
            self._copied += count
        if self._bar and self._task is not None:
            copied = decimal(self._copied)
            self._bar.update(self._task, copied=copied, description=f"loading {table}")

    def _table(self, outcome: TableOutcome) -> None:
        if self._bar and self._task is not None:
            self._bar.update(self._task, advance=1)
        elif outcome.error is None:
            log.info(
                f"  {outcome.table}: {outcome.rows_read:,} rows read, "
                f"{outcome.rows_moved:,} moved, {outcome.seconds:.2f} s",
                run_id=self._run_id,
                **outcome.as_dict(),
            )
        else:
            log.error(f"  {outcome.table}: failed", run_id=self._run_id, **outcome.as_dict())


def _wide_console() -> Console:
    """Return a console that never cuts a number short; a narrow terminal wraps the lines instead."""
    return Console(width=max(Console().width, WIDTH))


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
    _wide_console().print(table)
    for o in outcomes:
        if o.error:
            # What PostgreSQL says does not name the table.
            where = "" if o.table in o.error else f"{o.table}: "
            log.error(f"error: {where}{o.error}", table=o.table, exit_code=o.exit_code)


def show_plan(
    plans: Sequence[TablePlan], failures: Sequence[TableOutcome], *, as_json: bool
) -> None:
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
            p.spec.deletes, f"{p.rows_estimate:,}",
        )  # fmt: skip
    _wide_console().print(table)
    for failure in failures:
        log.error(f"error: {failure.error}", table=failure.table, exit_code=failure.exit_code)
