"""`haven reconcile`: compare source and raw, name what differs, repair it on request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import psycopg2
import typer
from rich.table import Table

from runner import log
from runner.commands.console import wide_console
from runner.commands.load import new_run_id
from runner.connect import as_haven_error
from runner.contract import Contract, TableSpec, raw_schemas, read_contract
from runner.errors import HavenError
from runner.manifest import read_manifest
from runner.ops import recorded_run
from runner.reconcile.reconciliation import Difference, Reconciliation
from runner.reconcile.repair import repair_table
from runner.reconcile.tables import NAMED_LIMIT, REPAIR_LIMIT, ReconcileRequest, reconcile_tables
from runner.settings import Connection, load_settings

SHOWN_KEYS = 5
_GRAVITY = (75, 3, 2, 1, 0)


def reconcile(
    tables: Annotated[list[str] | None, typer.Argument(help="Tables to compare: `table` or `source.table`.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Load the differing keys again, then compare again.")
    ] = False,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Print differing values too: may be personal data.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Tables at a time.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    project_dir: Annotated[Path | None, typer.Option(help="The dbt project to compare.")] = None,
) -> None:
    """Compare source and raw row by row; name the keys and columns that differ."""
    settings = load_settings(project_dir)
    manifest = read_manifest(settings)
    contract = read_contract(manifest, settings.project_dir).select(tables or [])
    source, warehouse = settings.connection("source"), settings.connection("warehouse")
    run_id = new_run_id()
    request = ReconcileRequest(limit=REPAIR_LIMIT if repair else NAMED_LIMIT, with_values=show_values, workers=workers)

    def compare() -> list[Reconciliation]:
        log.info(f"comparing {len(contract.tables)} tables (run {run_id})", run_id=run_id)
        return reconcile_tables(contract, source, warehouse, request, run_id=run_id, on_done=say_done)

    # Reading needs no lock: only a repair must not meet a load.
    if repair:
        with recorded_run(
            source, warehouse, run_id=run_id, command="reconcile", raw_schemas=raw_schemas(manifest)
        ) as record:
            results = _repaired(contract, compare(), source, warehouse, request, run_id)
            record.is_ok = exit_code(results) == 0
            record.summary = {"reconciliations": [brief(result) for result in results]}
    else:
        results = compare()
    if as_json:
        typer.echo(json.dumps(_as_json(results, run_id)))
    else:
        show_results(results)
    raise typer.Exit(exit_code(results))


def exit_code(results: Sequence[Reconciliation]) -> int:
    """Return the gravest exit code among `results`."""
    return min((result.exit_code for result in results), key=_GRAVITY.index, default=0)


def _repaired(
    contract: Contract,
    results: Sequence[Reconciliation],
    source: Connection,
    warehouse: Connection,
    request: ReconcileRequest,
    run_id: str,
) -> list[Reconciliation]:
    """Repair what differs and compare those tables again."""
    specs = {spec.label: spec for spec in contract.tables}
    done = []
    for result in results:
        if result.error is None and result.total + result.pending:
            done.append(_repair_one(specs[result.table], result, source, warehouse, request, run_id))
        else:
            done.append(result)
    return done


def _repair_one(
    spec: TableSpec,
    found: Reconciliation,
    source: Connection,
    warehouse: Connection,
    request: ReconcileRequest,
    run_id: str,
) -> Reconciliation:
    try:
        outcome = repair_table(spec, found, source, warehouse, run_id=run_id)
    except (psycopg2.Error, HavenError) as error:
        reason = as_haven_error(error) if isinstance(error, psycopg2.Error) else error
        return replace(found, error=str(reason), error_code=reason.exit_code)
    log.info(f"  {spec.label}: {outcome.rows_moved:,} rows repaired", run_id=run_id)
    (after,) = reconcile_tables(Contract((spec,), ()), source, warehouse, request, run_id=run_id)
    return replace(after, repaired_rows=outcome.rows_moved)


def brief(result: Reconciliation) -> dict[str, object]:
    """Return a result without keys and values, for summaries that others may read."""
    return {name: value for name, value in result.as_dict().items() if name != "named"}


def _as_json(results: Sequence[Reconciliation], run_id: str) -> dict[str, object]:
    return {
        "run_id": run_id,
        "status": "failed" if exit_code(results) else "ok",
        "tables": [result.as_dict() for result in results],
    }


def say_done(result: Reconciliation) -> None:
    """Log one finished table."""
    log.info(f"  {result.table}: {result.status}, {result.source_rows:,} rows, {result.seconds:.2f} s", **brief(result))


def show_results(results: Sequence[Reconciliation]) -> None:
    """Print one row per table, then one line for each that differs or failed."""
    table = Table(box=None, pad_edge=False)
    table.add_column("table")
    for name in ("source", "raw", "missing", "extra", "different", "pending", "match %", "seconds"):
        table.add_column(name, justify="right")
    for r in results:
        counts = (r.source_rows, r.raw_rows, r.missing, r.extra, r.different, r.pending)
        pct = "-" if r.match_pct is None else f"{r.match_pct.normalize():f}"
        table.add_row(r.table, *(f"{n:,}" for n in counts), pct, f"{r.seconds:.2f}")
    wide_console().print(table)
    for r in results:
        if r.repaired_rows:
            typer.echo(f"{r.table}: {r.repaired_rows:,} rows repaired")
        for line in remarks(r):
            typer.echo(line)
        for line in explain(r):
            log.error(line, table=r.table, exit_code=r.exit_code)


def remarks(result: Reconciliation) -> list[str]:
    """Return what is worth knowing about one table and no error."""
    if result.is_unstable:
        return [
            f"{result.table}: no stable result: the source's view gives other rows each time it is read; order "
            "what it puts together, or load the tables beneath it"
        ]
    if result.deletes_not_followed:
        return [f"{result.table}: deletes not followed: {result.deletes_not_followed:,} (`deletes: ignore`)"]
    return []


def explain(result: Reconciliation) -> list[str]:
    """Return what to tell about one table: nothing if it matches, else what differs and what to do."""
    if result.error is not None:
        return [f"error: {result.error}"]
    lines = []
    if result.lacking:
        lines.append(f"error: {result.table}: raw lacks {', '.join(result.lacking)}: run `haven load {result.table}`")
    if result.total:
        lines.append(f"error: {result.table}: {_what(result)}; {_mend(result)}")
    for difference in result.named[:SHOWN_KEYS]:
        for name, (source, raw) in difference.values.items():
            lines.append(f"  {_key(difference, result)} {name}: source {source!r}, raw {raw!r}")
    return lines


def _what(result: Reconciliation) -> str:
    parts = []
    for kind in ("missing", "extra", "different"):
        number = getattr(result, kind)
        if not number or (kind == "extra" and result.keeps_deleted):
            continue
        keys = [_key(d, result) for d in result.named if d.kind == kind and d.key is not None]
        text = f"{number:,} {kind}"
        if keys:
            text += f" ({'; '.join(keys[:SHOWN_KEYS])}{'; …' if number > SHOWN_KEYS else ''})"
        if kind == "different" and result.columns:
            text += f" in {', '.join(result.columns)}"
        parts.append(text)
    return ", ".join(parts)


def _mend(result: Reconciliation) -> str:
    if not result.key_columns:
        return f"no key to repair by: run `haven load {result.table} --full`"
    return f"run `haven reconcile {result.table} --repair`"


def _key(difference: Difference, result: Reconciliation) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(result.key_columns, difference.key or (), strict=True))
