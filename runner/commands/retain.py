"""`haven retain`: remove what is older than its table's retention allows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from runner.build_claim import claimed_build
from runner.commands.load import new_run_id
from runner.contract import raw_schemas, retention_column
from runner.manifest import read_manifest
from runner.operation import call_macro
from runner.ops import recorded_run
from runner.settings import load_settings


def retain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be removed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    project_dir: Annotated[Path | None, typer.Option(help="The dbt project to look at.")] = None,
) -> None:
    """Enforce `config.meta.retention` of the sources YAML: mark old rows of raw as deleted, later delete them."""
    settings = load_settings(project_dir)
    manifest = read_manifest(settings)
    for node in manifest["sources"].values():
        retention_column(node)
    source, warehouse = settings.connection("source"), settings.connection("warehouse")
    run_id = new_run_id()
    with (
        recorded_run(source, warehouse, run_id=run_id, command="retain", raw_schemas=raw_schemas(manifest)) as record,
        claimed_build(settings, run_id=run_id, command="retain"),
    ):
        args = {"run_id": run_id, "is_dry_run": dry_run}
        answer = call_macro(settings, manifest, "apply_retention", args)
        record.is_ok = True
        record.summary = {"retained": answer["tables"]}
    if as_json:
        typer.echo(json.dumps({**answer, "dry_run": dry_run}))
        return
    would = "would be " if dry_run else ""
    for table in answer["tables"]:
        typer.echo(
            f"{table['table']:<32} kept from {table['kept_from'][:10]}: {table['marked_rows']:,} rows {would}"
            f"marked as deleted, {table['deleted_rows']:,} {would}deleted"
        )
    if not answer["tables"]:
        typer.echo("no source of this project has a `retention`")
