"""`haven profile`: what the source tables hold; for a terminal, as JSON, as a page and as a data dictionary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from runner import log
from runner.artifacts import load_manifest
from runner.commands.console import wide_console
from runner.contract import read_contract
from runner.manifest import read_manifest
from runner.profile import ProfileRequest, TableProfile, profile_tables
from runner.profile.dictionary import write_dictionary
from runner.profile.document import document
from runner.profile.page import write_page
from runner.profile.terminal import show
from runner.report.masking import pii_rules
from runner.settings import Settings, load_settings

WIDTH = 160
SAMPLE_ROWS = 1_000_000


def profile(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Tables to profile: `table` or `source.table`.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole profile as JSON.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(help="Where the page goes (default: target/reports/profile.html)."),
    ] = None,
    dictionary: Annotated[
        Path | None, typer.Option(help="Write the data dictionary, in Markdown, to this file.")
    ] = None,
    sample: Annotated[
        int,
        typer.Option(
            min=0, help="Read about N rows of tables that have more; 0 reads all.", metavar="N"
        ),
    ] = SAMPLE_ROWS,
    project_dir: Annotated[
        Path | None, typer.Option(help="The dbt project whose sources are profiled.")
    ] = None,
) -> None:
    """Profile source tables: values, keys, references, growth. Personal data is masked everywhere."""
    settings = load_settings(project_dir)
    manifest = read_manifest(settings)
    target = settings.target_dir
    request = ProfileRequest(
        contract=read_contract(manifest, settings.project_dir),
        manifest=manifest,
        rules=pii_rules(load_manifest(target)),
        sample_rows=sample,
        only=tables or [],
    )
    found = profile_tables(
        request,
        settings.connection("source"),
        settings.connection("warehouse") if _has_warehouse(settings) else None,
        _tell,
    )
    made = document(found)
    page = html or target / "reports" / "profile.html"
    write_page(made, page, project=manifest["metadata"]["project_name"])
    if dictionary:
        write_dictionary(made, dictionary)
    if as_json:
        typer.echo(json.dumps(made, ensure_ascii=False, allow_nan=False))
    else:
        show(made["tables"], wide_console(WIDTH))
        for path in filter(None, (page, dictionary)):
            typer.echo(f"written to {path}")
    for one in found:
        if one.error:
            log.error(f"error: {one.error}", table=one.label, exit_code=one.exit_code)
    # The gravest code wins: unreachable, then settings, then data.
    raise typer.Exit(max((one.exit_code for one in found), default=0))


def _has_warehouse(settings: Settings) -> bool:
    return bool(settings.values.get("HAVEN_WAREHOUSE_HOST"))


def _tell(done: TableProfile) -> None:
    if not done.error:
        log.info(f"  {done.label}: {done.rows:,} rows, {done.seconds:.2f} s", table=done.label)
