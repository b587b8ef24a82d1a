"""`haven discover`: writes the sources YAML of a database, or adds to it what is new."""

from __future__ import annotations

import gc
import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ

from runner.artifacts.files import write_whole
from runner.connect import connect, explained
from runner.discover.describe import Entry, add_to, described, read_schemas, slug
from runner.discover.yaml_file import YamlFile
from runner.packages.project import read_yaml
from runner.settings import load_settings

_HEAD = """\
# Made by `haven discover`; yours from now on. Called again, it adds what is new and changes nothing that stands here.
"""


def discover(
    schema: Annotated[list[str] | None, typer.Option(help="A schema to read, or several (default: all).")] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            help="The YAML to write or add to (default: the project's that describes some of these tables, else "
            "models/staging/DATABASE/_DATABASE__sources.yml)."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was added as JSON.")] = False,
    project_dir: Annotated[Path | None, typer.Option(help="The dbt project.")] = None,
) -> None:
    """Read the source's catalog, and write what there is and how it is best loaded into the sources YAML."""
    # All that is made here is kept to the end: looking for garbage takes half of the time for a thousand tables.
    gc.disable()
    settings = load_settings(project_dir)
    target = settings.connection("source")
    with closing(connect(target)) as session, explained():
        session.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        with session.cursor() as cursor:
            schemas = read_schemas(cursor, schema or [])
    file = YamlFile(into) if into else _file_of(settings.project_dir, schemas, slug(target.dbname))
    added = add_to(file, schemas, target.dbname)
    is_new = bool(added["tables"] or added["columns"])
    if is_new:
        mode = file.path.stat().st_mode & 0o777 if file.path.exists() else 0o666
        text = ("" if file.text else _HEAD) + file.merged()
        write_whole(file.path.resolve(), text, mode=mode)
    if as_json:
        typer.echo(json.dumps({"file": str(file.path), **added}))
        return
    for label in (*added["tables"], *added["columns"]):
        typer.echo(f"added       {label}")
    for label, problem in added["problems"].items():
        typer.echo(f"not loaded  {label}: {problem}")
    if is_new:
        typer.echo(f"written to {file.path}: look at it, then run `haven load`")
    else:
        typer.echo("the schemas hold no table" if not schemas else f"nothing new for {file.path}")


def _file_of(project: Path, schemas: dict[str, list[Entry]], name: str) -> YamlFile:
    """Return the project's YAML that describes some of the tables, else the one that a new source belongs in."""
    folder = project / (read_yaml(project / "dbt_project.yml").get("model-paths") or ["models"])[0]
    for path in sorted(folder.rglob("*.y*ml")):
        if "sources:" in path.read_text("utf-8", "replace"):
            file = YamlFile(path)
            if described(file, schemas):
                return file
    return YamlFile(folder / "staging" / name / f"_{name}__sources.yml")
