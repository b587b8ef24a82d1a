"""`haven access`: roles and their rights in the warehouse."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Annotated

import typer

from runner.access.apply import apply_roles, roles_sql
from runner.build_claim import claimed_build
from runner.commands.load import new_run_id
from runner.connect import connect, explained
from runner.settings import load_settings


def access(
    show_sql: Annotated[bool, typer.Option("--print", help="Print the SQL, for psql, instead of running it.")] = False,
) -> None:
    """Create or update the roles of the warehouse and what each may do; safe to call again.

    The key of masked values comes from HAVEN_MASK_SECRET; without it, a random one is made once.
    """
    if show_sql:
        typer.echo(roles_sql())
        return
    settings = load_settings()
    # The shared schemas': a developer's have no rights of others.
    shared = replace(settings, values={**settings.values, "HAVEN_TARGET": "prod"})
    claim = claimed_build(shared, run_id=new_run_id(), command="access")
    with closing(connect(settings.connection("warehouse"))) as session, claim, explained():
        apply_roles(session, settings.values.get("HAVEN_MASK_SECRET"))
    typer.echo("roles and rights are in place; quality.ops_access_rights lists them after a build")
