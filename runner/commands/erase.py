"""`haven erase`: forget a person everywhere in the warehouse, and keep them forgotten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import psycopg2
import typer

from runner.build_claim import claimed_build
from runner.commands.load import new_run_id
from runner.connect import connect
from runner.contract import raw_schemas, read_contract
from runner.errors import UnreachableError
from runner.load.suppression import folds_case
from runner.manifest import read_manifest
from runner.operation import call_macro
from runner.ops import note_removed_files, recorded_run
from runner.personal_data import personal_kinds
from runner.settings import Connection, Settings, load_settings

# Where the project writes what may quote data.
_FOLDERS = ("target", "logs")


def erase(
    kind: Annotated[str, typer.Argument(help="Kind of person, as `meta.person` calls it.")],
    key: Annotated[str, typer.Argument(help="Their key in the source.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be changed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    project_dir: Annotated[Path | None, typer.Option(help="The dbt project to look at.")] = None,
) -> None:
    """Erase a person: raw, snapshots, marts, failing rows, logs and reports; later loads leave them out."""
    settings = load_settings(project_dir)
    manifest = read_manifest(settings)
    source, warehouse = settings.connection("source"), settings.connection("warehouse")
    run_id = new_run_id()
    with (
        recorded_run(source, warehouse, run_id=run_id, command="erase", raw_schemas=raw_schemas(manifest)) as record,
        claimed_build(settings, run_id=run_id, command="erase"),
    ):
        args = {
            "kind": kind,
            "run_id": run_id,
            "lock_timeout_s": settings.whole_number("HAVEN_LOCK_TIMEOUT", 60),
            "is_folded": _folds_case(source, manifest, kind),
            "is_dry_run": dry_run,
            # Those that the loader goes by, whether or not the seed was built since it was changed.
            "kinds": [{"kind": one.kind, "column_names": one.column_names} for one in personal_kinds()],
        }
        answer = call_macro(settings, manifest, "erase_person", args, key=key)
        tasks = [task["text"] for task in answer["tasks"]]
        # After the commit: whenever this is killed, the next call finds what it left.
        removed = _remove_files(settings, is_dry_run=dry_run)
        if not dry_run:
            tasks += finish(warehouse, run_id, len(removed), answer["afterwards"] or {})
        record.is_ok = True
    changed = answer["changed"]
    if as_json:
        shown = {name: answer[name] for name in ("key_hash", "was_suppressed", "changed")}
        shown |= {"kind": kind, "tasks": tasks, "removed_files": removed}
        typer.echo(json.dumps({**shown, "dry_run": dry_run, "run_id": run_id}))
        return
    would = "would be " if dry_run else ""
    for table, rows in changed.items():
        typer.echo(f"{table:<40} {rows:>8,} rows {would}changed")
    if removed:
        typer.echo(f"{len(removed)} files in target and logs {would}removed (builds write them anew)")
    if not changed:
        typer.echo(f"no row that the project knows {'holds' if dry_run else 'held'} anything of this person any more")
    for task in tasks:
        typer.echo(f"to do: {task}")


def finish(warehouse: Connection, run_id: str, files: int, statements: Mapping[str, str]) -> list[str]:
    """Note how many files were removed; run what cannot be part of a transaction, by table. Return what failed."""
    failed = []
    with closing(connect(warehouse, application_name=f"haven erase {run_id}")) as session:
        note_removed_files(session, run_id, files)
        session.autocommit = True
        for table, statement in statements.items():
            try:
                with session.cursor() as cursor:
                    cursor.execute(statement)
            except psycopg2.Error as error:
                failed.append(f"{table}: `{statement}` failed ({error.pgcode}); do it by hand")
    return failed


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
