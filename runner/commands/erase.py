"""`haven erase`: forget a person everywhere in the warehouse, and keep them forgotten."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from runner.build_claim import claimed_build
from runner.commands.load import new_run_id
from runner.connect import connect, explained
from runner.contract import raw_schemas, read_contract
from runner.erase.engine import erase_person, forget_statistics, note_files
from runner.erase.places import plan_of
from runner.erase.suppression import folds_case
from runner.errors import UnreachableError
from runner.load.sessions import set_lock_timeout
from runner.load.state import recorded_run
from runner.manifest import read_manifest
from runner.settings import Connection, Settings, load_settings

# Where the project writes what may quote data.
_FOLDERS = ("target", "logs")


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
    manifest = read_manifest(settings)
    plan = plan_of(manifest, kind)
    source, warehouse = settings.connection("source"), settings.connection("warehouse")
    run_id = new_run_id()
    with (
        recorded_run(
            source,
            warehouse,
            run_id=run_id,
            command="erase",
            raw_schemas=raw_schemas(manifest),
        ) as record,
        claimed_build(settings, run_id=run_id, command="erase"),
    ):
        plan["is_folded"] = _folds_case(source, manifest, kind)
        name = f"haven erase {run_id}"
        with closing(connect(warehouse, application_name=name)) as session, explained():
            set_lock_timeout(session, settings.whole_number("HAVEN_LOCK_TIMEOUT", 60))
            done = erase_person(session, plan, key, run_id=run_id, is_dry_run=dry_run)
            # After the commit: whenever this is killed, the next call finds what it left.
            done.removed_files = _remove_files(settings, is_dry_run=dry_run)
            if not dry_run:
                note_files(session, run_id, len(done.removed_files))
                forget_statistics(session, done)
        record.is_ok = True
    if as_json:
        typer.echo(json.dumps({**done.as_dict(), "dry_run": dry_run, "run_id": run_id}))
        return
    would = "would be " if dry_run else ""
    for table, rows in done.changed.items():
        typer.echo(f"{table:<40} {rows:>8,} rows {would}changed")
    if done.removed_files:
        typer.echo(
            f"{len(done.removed_files)} files in target and logs {would}removed (builds write them anew)"
        )
    if not done.changed:
        typer.echo(
            f"no row that the project knows {'holds' if dry_run else 'held'} anything of this person any more"
        )
    for task in done.tasks:
        typer.echo(f"to do: {task}")


def _folds_case(source: Connection, manifest: dict[str, Any], kind: str) -> bool:
    """Return whether the source takes two spellings of this kind's key for one; False if it cannot be asked."""
    try:
        with closing(connect(source)) as session, session.cursor() as cursor:
            return any(
                folds_case(cursor, spec, spec.person[1])
                for spec in read_contract(manifest).tables
                if spec.person and spec.person[0] == kind
            )
    except UnreachableError:
        return False


def _remove_files(settings: Settings, *, is_dry_run: bool) -> list[str]:
    """Remove whatever dbt and reports have written in the project: any of it may quote any person."""
    project = settings.project_dir
    files = [
        path
        for folder in _FOLDERS
        for path in sorted((project / folder).rglob("*"))
        if path.is_symlink() or not path.is_dir()
    ]
    if not is_dry_run:
        for path in files:
            path.unlink(missing_ok=True)
    return [str(path.relative_to(project)) for path in files]
