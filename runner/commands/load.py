"""`haven load`: copy the contract's tables from the source into raw."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from runner import log
from runner.commands.load_display import LoadProgress, exit_code, say_retry, show_outcomes, show_plan
from runner.contract import Contract, raw_schemas, read_contract
from runner.errors import ConfigError
from runner.load.engine import load_tables, plan_tables
from runner.load.outcome import LoadRequest, TableOutcome
from runner.load.plan import TablePlan
from runner.manifest import read_manifest
from runner.ops import RunRecord, recorded_run
from runner.settings import Settings, load_settings

RETRY_NOW = "Try a source that could not be reached lately, without the wait."


def load(
    tables: Annotated[list[str] | None, typer.Argument(help="Tables to load: `table` or `source.table`.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Read whole tables again.")] = False,
    since: Annotated[str | None, typer.Option(help="Backfill: re-read rows with a watermark at or after this.")] = None,
    until: Annotated[str | None, typer.Option(help="Backfill: re-read rows with a watermark before this.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Tables at a time.")] = 2,
    retry_now: Annotated[bool, typer.Option("--retry-now", help=RETRY_NOW)] = False,
    accept_source: Annotated[
        bool, typer.Option("--accept-source", help="The source may be another database than before.")
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make raw's columns, key and views fit the source again.")
    ] = False,
    allow_deletes: Annotated[
        bool,
        typer.Option("--allow-deletes", help="However many rows are gone, and whatever a rebuild takes from them."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    project_dir: Annotated[Path | None, typer.Option(help="The dbt project whose sources are loaded.")] = None,
) -> None:
    """Load source tables into raw: whole or incremental, as the sources YAML says."""
    if full and (since or until):
        raise ConfigError("--full reads everything: leave out --since and --until")
    if rebuild and not tables:
        raise ConfigError("--rebuild wants to know which tables: `haven load TABLE --rebuild`")
    settings = load_settings(project_dir)
    request = replace(
        load_request(settings, workers=workers, retry_now=retry_now),
        full=full,
        since=since,
        until=until,
        accept_source=accept_source,
        rebuild=rebuild,
        allow_deletes=allow_deletes,
    )
    if dry_run:
        plans, failures = _plan(settings, tables or [], request)
        show_plan(plans, failures, as_json=as_json)
        raise typer.Exit(exit_code(failures))
    run_id = new_run_id()
    source, warehouse = settings.connection("source"), settings.connection("warehouse")
    manifest = read_manifest(settings)
    contract = read_contract(manifest, settings.project_dir).select(tables or [])
    with recorded_run(
        source,
        warehouse,
        run_id=run_id,
        command="load",
        raw_schemas=raw_schemas(manifest),
        retries=request.retries,
        on_retry=say_retry,
    ) as record:
        outcomes = load_project(settings, contract, request, run=record)
        record.is_ok = exit_code(outcomes) == 0
        record.summary = {"loads": [outcome.as_dict() for outcome in outcomes]}
    show_outcomes(outcomes, run_id=run_id, as_json=as_json)
    raise typer.Exit(exit_code(outcomes))


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


def load_project(
    settings: Settings,
    contract: Contract,
    request: LoadRequest,
    *,
    run: RunRecord,
    on_loaded: Callable[[Contract, str], None] = lambda contract, snapshot: None,
) -> list[TableOutcome]:
    """Load the contract's tables, showing progress; `run` is the caller's `recorded_run`.

    `on_loaded` gets the tables that were loaded and the source snapshot, while that can still be joined.
    """
    source, warehouse = settings.connection("source"), settings.connection("warehouse")

    def loaded(snapshot: str, outcomes: Sequence[TableOutcome]) -> None:
        good = {outcome.table for outcome in outcomes if outcome.error is None}
        on_loaded(Contract(tuple(t for t in contract.tables if t.label in good), ()), snapshot)

    with LoadProgress(run.run_id) as progress:
        listener = replace(progress.listener, on_loaded=loaded)
        return load_tables(contract, source, warehouse, request, run=run, listener=listener)


def _plan(
    settings: Settings, tables: Sequence[str], request: LoadRequest
) -> tuple[list[TablePlan], list[TableOutcome]]:
    contract = read_contract(read_manifest(settings), settings.project_dir).select(tables)
    source, warehouse = settings.connection("source"), settings.connection("warehouse")
    return plan_tables(contract, source, warehouse, request)
