"""`haven up`, `down`, `status`, `env`: the embedded databases and how other programs reach them."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from runner import embedded
from runner.embedded import place
from runner.settings import DBT_PASSWORD, find_home, load_settings, with_client_check


def up() -> None:
    """Start the source and the warehouse on this machine; the first time, make them."""
    home = find_home(Path.cwd())
    for cluster in embedded.up(home):
        typer.echo(f"{cluster.side:<10} {cluster.state} on 127.0.0.1:{cluster.port}")


def down(
    delete: Annotated[bool, typer.Option("--delete", help="Also remove both databases and their data.")] = False,
) -> None:
    """Stop the databases that `haven up` started."""
    embedded.down(find_home(Path.cwd()), delete=delete)
    typer.echo("databases are down" + (" and removed" if delete else ""))


def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say whether the databases of `haven up` run, and where."""
    clusters = embedded.status(find_home(Path.cwd()))
    if as_json:
        typer.echo(json.dumps([asdict(cluster) for cluster in clusters]))
        return
    if not clusters:
        typer.echo("no databases here yet: `haven up` makes them")
    for cluster in clusters:
        pid = f", pid {cluster.pid}" if cluster.pid else ""
        typer.echo(f"{cluster.side:<10} {cluster.state} on 127.0.0.1:{cluster.port}{pid}")


def env(
    side: Annotated[str, typer.Option("--psql", help="Which side plain psql shall connect to.")] = "warehouse",
) -> None:
    """Print exports for dbt, psql and other clients: eval "$(haven env)"."""
    settings = load_settings()
    warehouse = settings.connection("warehouse")
    exports = {**warehouse.as_env(), "HAVEN_TARGET": settings.target}
    # What .env says of a developer's schemas: plain dbt reads no .env.
    exports |= {k: settings.values[k] for k in ("HAVEN_SCHEMA", "HAVEN_RAW") if k in settings.values}
    exports["DBT_PROFILES_DIR"] = str(settings.home)
    exports["DBT_PROJECT_DIR"] = str(settings.project_dir)
    exports["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"
    exports[DBT_PASSWORD] = exports.pop("HAVEN_WAREHOUSE_PASSWORD")
    if settings.values.get("HAVEN_SOURCE_HOST"):
        exports |= settings.connection("source").as_env()
        # `haven` itself knows it; what else is started from this shell has no need of it.
        del exports["HAVEN_SOURCE_PASSWORD"]
    chosen = settings.connection("source" if side == "source" else "warehouse")
    exports |= {
        "PGHOST": chosen.host,
        "PGPORT": str(chosen.port),
        "PGUSER": chosen.user,
        "PGPASSWORD": chosen.password,
        "PGDATABASE": chosen.dbname,
        "PGSSLMODE": chosen.sslmode,
        "PGTZ": "UTC",
        "PGOPTIONS": with_client_check(""),
    }
    for name, value in exports.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    if embedded.status(settings.home):
        # psql and pg_dump of the embedded servers' own version, behind any the user has.
        typer.echo(f'export PATH="$PATH":{shlex.quote(str(place.binaries()))}')
