"""`haven deps`: install the dbt packages, and say which were used."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from runner.errors import ConfigError
from runner.packages import ensure_packages


def deps(
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="Use the small built-in subset; no network, no Elementary.")
    ] = False,
    source_dir: Annotated[
        Path | None, typer.Option("--from", help="Folder with unpacked dbt packages, one per subfolder.")
    ] = None,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Ask the hub again although packages are installed.")
    ] = False,
    hub_timeout_s: Annotated[
        float, typer.Option("--hub-timeout", min=1.0, help="Seconds the download may take.")
    ] = 20.0,
    project_dir: Annotated[Path, typer.Option(help="The dbt project.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Install the dbt packages of packages.yml: from the hub, the cache or offline_packages.

    Packages that are installed already are left alone. One line says which were used and why.
    """
    if sum((offline, source_dir is not None, upgrade)) > 1:
        raise ConfigError("--offline, --from and --upgrade exclude each other; give one")
    outcome = ensure_packages(
        project_dir,
        offline=offline,
        source_dir=source_dir,
        upgrade=upgrade,
        hub_timeout_s=hub_timeout_s,
        say=lambda line: typer.echo(line, err=True),
    )
    typer.echo(json.dumps(asdict(outcome)) if as_json else outcome.reason)
