"""`haven access`: roles and their rights in the warehouse."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from runner.access.apply import apply_roles, roles_sql
from runner.connect import connect, explained
from runner.settings import load_settings


def access(
    show_sql: Annotated[
        bool, typer.Option("--print", help="Print the SQL, for psql, instead of running it.")
    ] = False,
) -> None:
    """Create or mend the roles of the warehouse and what each may do; safe to call again.

    The key of masked values comes from HAVEN_MASK_SECRET; without it, a random one is made once.
    """
    if show_sql:
        typer.echo(roles_sql())
        return
    settings = load_settings()
    with closing(connect(settings.connection("warehouse"))) as session, explained():
        apply_roles(session, settings.values.get("HAVEN_MASK_SECRET"))
    typer.echo("roles and rights are in place; quality.ops_access_rights lists them after a build")
