"""`haven profile`: builds the profiles of loaded tables with dbt (`macros/profiles`) and shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from psycopg2 import sql

from runner import log
from runner.artifacts.results import RUN_ID_VARIABLE
from runner.build_claim import LOCKED, BuildClaim, claimed_build
from runner.commands.console import wide_console
from runner.commands.load import new_run_id
from runner.connect import connect, explained, is_connection_message
from runner.contract import read_contract
from runner.dbt import dbt_message, run_dbt
from runner.errors import ConfigError, DataError, LockedError, UnreachableError
from runner.manifest import read_manifest
from runner.report.data_dictionary import write_dictionary
from runner.report.profile_page import show, write_page
from runner.settings import Settings, load_settings

SCHEMA_VERSION = "2.0"
WIDTH = 160
_SELECTED = ("personal_data", "column_profiles", "profile_changes", "latest_profiles")


def profile(
    tables: Annotated[list[str] | None, typer.Argument(help="Tables to profile: `table` or `source.table`.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the profiles as JSON.")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Where the page goes (default: target/reports/profile.html).")
    ] = None,
    dictionary: Annotated[
        Path | None, typer.Option(help="Write the data dictionary, in Markdown, to this file.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=0, help="Read about N rows of tables that have more; 0 reads all.", metavar="N")
    ] = None,
    project_dir: Annotated[Path | None, typer.Option(help="The dbt project whose loaded tables are profiled.")] = None,
) -> None:
    """Profile loaded tables, as raw has them: nulls, distinct values, ranges, outliers. Personal data is hidden."""
    settings = load_settings(project_dir)
    manifest = read_manifest(settings)
    contract = read_contract(manifest, settings.project_dir).select(tables or [])
    view = _latest_profiles(manifest)
    run_id, started_at = new_run_id(), datetime.now(UTC)
    found = {}
    if contract.tables:
        with claimed_build(settings, run_id=run_id, command="profile") as claim:
            _build(settings, claim, [spec.label for spec in contract.tables], sample)
        found = _read(settings, view, started_at)
    errors = {problem.label: (problem.message, 2) for problem in contract.problems}
    for spec in contract.tables:
        if spec.label not in found:
            place = f"{spec.raw_schema}.{spec.raw_table}"
            lacks = f"{spec.label}: the warehouse has no {place} with columns: run `haven load {spec.label}`"
            errors[spec.label] = (lacks, 1)
    nodes = {f"{n['source_name']}.{n['name']}": n for n in manifest["sources"].values()}
    made: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "status": "failed" if errors else "ok",
        "tables": [
            {"label": label, "error": errors[label][0]}
            if label in errors
            else {"label": label, "error": None} | _described(found[label], node, manifest)
            for label, node in nodes.items()
            if label in errors or label in found
        ],
    }
    page = html or settings.target_dir / "reports" / "profile.html"
    write_page(made, page, project=manifest["metadata"]["project_name"])
    if dictionary:
        write_dictionary(made, manifest, dictionary)
    if as_json:
        typer.echo(json.dumps(made, ensure_ascii=False, allow_nan=False))
    else:
        show(made["tables"], wide_console(WIDTH))
        for path in filter(None, (page, dictionary)):
            typer.echo(f"written to {path}")
    for label, (message, exit_code) in errors.items():
        log.error(f"error: {message}", table=label, exit_code=exit_code)
    # The gravest code wins: settings, then data.
    raise typer.Exit(max((code for _, code in errors.values()), default=0))


def _latest_profiles(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Return schema and name of the view that is shown. Raises ConfigError if the project has no such model."""
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and node["name"] == "latest_profiles":
            return node["schema"], node["alias"]
    raise ConfigError(
        "this project has no model `latest_profiles`: copy `models/quality/profiles`, `macros/profiles`, "
        "`macros/privacy/personal_data.sql` and `seeds/reference/personal_data.csv` from Haven"
    )


def _build(settings: Settings, claim: BuildClaim, labels: Sequence[str], sample_rows: int | None) -> None:
    """Have dbt profile these tables; artifacts of the last run stay as they are, as reports are made from them.

    Raises:
        DataError: a table cannot be profiled; the message is dbt's own.
        LockedError: others build the same schemas.
        UnreachableError: the connection broke.
    """
    chosen = {"HAVEN_PROFILE_TABLES": json.dumps(labels)}
    if sample_rows is not None:
        chosen["HAVEN_PROFILE_SAMPLE"] = str(sample_rows)
    log.info(f"dbt profiles {len(labels)} tables")
    args = ["build", "--quiet", "--no-write-json", "--exclude-resource-types", "test", "unit_test"]
    outcome = run_dbt(
        [*args, "--select", *_SELECTED],
        project_dir=settings.project_dir,
        env={**settings.child_env(), **claim.env, **chosen, RUN_ID_VARIABLE: claim.run_id},
    )
    if outcome.returncode:
        said = dbt_message(outcome.output, settings.project_dir)
        if LOCKED in said:
            raise LockedError(next(line.strip() for line in said.splitlines() if LOCKED in line))
        if is_connection_message(said):
            raise UnreachableError(f"dbt lost the warehouse: {said}", is_transient=True)
        raise DataError(f"dbt could not profile: {said}")


def _read(settings: Settings, view: tuple[str, str], since: datetime) -> dict[str, dict[str, Any]]:
    """Return the profiles made since then, as JSON values, by `source.table`."""
    user, password = settings.transformer
    login = replace(settings.connection("warehouse"), user=user, password=password)
    query = sql.SQL("select to_jsonb(latest) from {} as latest where profiled_at >= %s")
    with closing(connect(login)) as session, explained(), session.cursor() as cursor:
        cursor.execute(query.format(sql.Identifier(*view)), (since,))
        return {f"{p['source_name']}.{p['table_name']}": p for (p,) in cursor.fetchall()}


def _described(found: dict[str, Any], node: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the profile with what the YAML says of table and columns: in the source, or where a model reads it."""
    readers = [n for n in manifest["nodes"].values() if n["resource_type"] == "model"]
    texts: dict[str, str] = {}
    for one in [*(n for n in readers if node["unique_id"] in n["depends_on"]["nodes"]), node]:
        texts |= {k: c["description"] for k, c in one["columns"].items() if c["description"]}
    columns = [c | {"description": texts.get(c["name"], "")} for c in found.pop("profiled_columns")]
    return found | {"description": node["description"], "columns": columns}
