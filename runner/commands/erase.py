"""`haven erase`: forget a person everywhere in the warehouse, and keep them forgotten."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import psycopg2
import typer

from runner.commands.load import new_run_id
from runner.connect import connect, explained
from runner.erase.engine import Erasure, erase_person
from runner.erase.places import find_places
from runner.erase.search import files_that_hold
from runner.load.state import recorded_run
from runner.manifest import read_manifest
from runner.settings import Settings, load_settings

# What the project writes that may quote data, below its folder.
_FOLDERS = ("target/reports", "target/haven", "logs")


def erase(
    kind: Annotated[str, typer.Argument(help="Kind of person, as `meta.person` calls it.")],
    key: Annotated[str, typer.Argument(help="Their key in the source.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what would be changed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    project_dir: Annotated[Path | None, typer.Option(help="The dbt project to look at.")] = None,
) -> None:
    """Erase a person: raw, snapshots, marts, failing rows, logs and reports; later loads leave them out."""
    settings = load_settings(project_dir)
    places = find_places(read_manifest(settings), kind)
    source, warehouse = settings.connection("source"), settings.connection("warehouse")
    run_id = new_run_id()
    with recorded_run(source, warehouse, run_id=run_id, command="erase") as record:
        name = f"haven erase {run_id}"
        with closing(connect(warehouse, application_name=name)) as session, explained():
            done = erase_person(session, places, key, run_id=run_id, is_dry_run=dry_run)
            _remove_files(settings, done, is_dry_run=dry_run)
            if done.removed_files and not dry_run:
                _note_files(session, run_id, len(done.removed_files))
        record.is_ok = True
    if as_json:
        typer.echo(json.dumps({**done.as_dict(), "dry_run": dry_run, "run_id": run_id}))
        return
    would = "would be " if dry_run else ""
    for table, rows in done.changed.items():
        typer.echo(f"{table:<40} {rows:>8,} rows {would}changed")
    for path in done.removed_files:
        typer.echo(f"{path} {would}removed (`haven report` writes reports anew)")
    if not done.changed and not done.removed_files:
        typer.echo("nothing of this person was left")
    for task in done.tasks:
        typer.echo(f"to do: {task}")


def _remove_files(settings: Settings, done: Erasure, *, is_dry_run: bool) -> None:
    """Remove the project's files that quote the person."""
    for folder in _FOLDERS:
        for path in files_that_hold(settings.project_dir / folder, done.values):
            done.removed_files.append(str(path.relative_to(settings.project_dir)))
            if not is_dry_run:
                path.unlink()


def _note_files(session: psycopg2.extensions.connection, run_id: str, count: int) -> None:
    with session, session.cursor() as cursor:
        cursor.execute(
            "update ops.erasures set removed_files = %s where run_id = %s", (count, run_id)
        )
