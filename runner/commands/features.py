"""`haven features export`: feature tables, labels and training sets as Parquet files."""

from __future__ import annotations

import importlib.util
import json
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from runner import log
from runner.commands.options import ListsLikeDbt
from runner.connect import connect, explained
from runner.errors import ConfigError
from runner.manifest import read_manifest
from runner.settings import load_settings

app = typer.Typer(help="Take features, labels and training sets out.", no_args_is_help=True, add_completion=False)

_SUFFIX = ".parquet"


@app.callback()
def root() -> None:
    """Keep `export` a command of its own, beside those to come."""


@app.command(cls=ListsLikeDbt)
def export(
    model: Annotated[list[str] | None, typer.Option(help="Model to export; may be given again. Default: all.")] = None,
    as_of: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only this as-of date.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="As-of dates from this day on.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="As-of dates before this day.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder, or a .parquet file for one model. Default: target/features.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    project_dir: Annotated[Path | None, typer.Option(help="The dbt project.")] = None,
) -> None:
    """Write one Parquet file per model; an old file of the same name is replaced."""
    if as_of and (since or until):
        raise ConfigError("--as-of is one day, --since and --until are a range: give one of both")
    if since and until and since >= until:
        raise ConfigError("--since must be before --until")
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError("Parquet needs pyarrow: run `make setup`, or `pip install pyarrow`")
    from runner.parquet import export_table, find_tables  # noqa: PLC0415 (an extra)

    settings = load_settings(project_dir)
    tables = find_tables(read_manifest(settings), model or [])
    folder = output or settings.target_dir / "features"
    is_file = folder.suffix == _SUFFIX
    if is_file and len(tables) > 1:
        raise ConfigError(f"{folder} is one file: name one --model, or a folder as --output")
    if as_of:
        since, until = as_of, as_of + timedelta(days=1)
    done = []
    with closing(connect(settings.connection("warehouse"))) as session, explained():
        # One moment of all tables, so that features and labels of one export agree.
        session.set_session(isolation_level="REPEATABLE READ", readonly=True)
        for table in tables:
            path = folder if is_file else folder / f"{table.model}{_SUFFIX}"
            rows = export_table(session, table, path, since and since.date(), until and until.date())
            log.info(f"{table.model}: {rows:,} rows in {path}")
            done.append({"model": table.model, "path": str(path), "rows": rows})
    if as_json:
        typer.echo(json.dumps({"files": done}))
