"""`haven retain`: remove what is older than its table's retention allows."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from runner.build_claim import claimed_build
from runner.commands.load import new_run_id
from runner.connect import connect, explained
from runner.contract import raw_schemas
from runner.load.state import recorded_run
from runner.manifest import read_manifest
from runner.retain.engine import apply_policy
from runner.retain.policy import find_policies
from runner.settings import load_settings


def retain(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what would be removed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    project_dir: Annotated[Path | None, typer.Option(help="The dbt project to look at.")] = None,
) -> None:
    """Enforce `config.meta.retention` of the sources YAML: mark old rows of raw as deleted, later delete them."""
    settings = load_settings(project_dir)
    manifest = read_manifest(settings)
    policies = find_policies(manifest)
    source, warehouse = settings.connection("source"), settings.connection("warehouse")
    run_id = new_run_id()
    results = []
    with (
        recorded_run(
            source,
            warehouse,
            run_id=run_id,
            command="retain",
            raw_schemas=raw_schemas(manifest),
        ) as record,
        claimed_build(settings, run_id=run_id, command="retain"),
    ):
        name = f"haven retain {run_id}"
        with closing(connect(warehouse, application_name=name)) as session, explained():
            for policy in policies:
                results.append(apply_policy(session, policy, is_dry_run=dry_run))
        record.is_ok = True
        record.summary = {"retained": [result.as_dict() for result in results]}
    if as_json:
        typer.echo(json.dumps({"tables": [r.as_dict() for r in results], "dry_run": dry_run}))
        return
    would = "would be " if dry_run else ""
    for result in results:
        typer.echo(
            f"{result.table:<32} kept from {result.kept_from[:10]}: {result.marked_rows:,} rows {would}"
            f"marked as deleted, {result.deleted_rows:,} {would}deleted"
        )
    if not results:
        typer.echo("no source of this project has a `retention`")
