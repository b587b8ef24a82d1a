"""`haven alert`: tell who has to know what is wrong, what still is, and what is over."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from runner import log
from runner.alerts import Delivery, Digest, deliver, receivers, silence, tell
from runner.errors import ConfigError, HavenError
from runner.settings import ALERT_PREFIX, Settings, load_settings

_TEST = "This is a test of `haven alert`: nothing is wrong."


def alert(
    test: Annotated[bool, typer.Option("--test", help="Send each receiver a test message.")] = False,
    mute: Annotated[
        str | None,
        typer.Option("--silence", help="Tell nobody of problems whose id or subject matches this regular expression."),
    ] = None,
    hours: Annotated[float, typer.Option(min=0.1, help="How long to be silent.")] = 24,
    reason: Annotated[str, typer.Option(help="Why to be silent.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    project_dir: Annotated[Path | None, typer.Option(help="The dbt project.")] = None,
) -> None:
    """Tell the receivers of problems: new ones, reminders, and those that are over."""
    settings = load_settings(project_dir)
    if mute is not None:
        silence(settings, mute, hours=hours, reason=reason)
        typer.echo(f"silent for {hours:g} hours: {mute}")
        return
    addresses = receivers(settings)
    if not addresses:
        raise ConfigError(
            f"no receiver has an address: set {ALERT_PREFIX}<RECEIVER> for one of seeds/reference/alert_routes.csv, "
            f"such as {ALERT_PREFIX}TEAM=slack://…"
        )
    if test:
        deliveries = deliver([Digest(name, "a test", "info", _TEST) for name in addresses], addresses)
        without: list[str] = []
    else:
        deliveries, without = tell(settings, addresses)
    if as_json:
        typer.echo(json.dumps({"deliveries": [asdict(d) for d in deliveries], "without_address": without}))
    else:
        say_deliveries(deliveries, without)
        if not deliveries and not without:
            typer.echo("alert      nothing to tell")
    raise typer.Exit(1 if any(d.error for d in deliveries) else 0)


def tell_after_run(settings: Settings, error: str | None = None) -> list[Delivery]:
    """Tell the receivers at the end of a run; what goes wrong is said, and no failure of the run.

    `error` is what ended it before the warehouse could know of it.
    """
    without: list[str] = []
    try:
        addresses = {} if settings.schema_prefix else receivers(settings)
        if error is None:
            deliveries, without = tell(settings, addresses)
        else:
            body = f"## haven run\n- critical: haven run ends\n  {error}"
            deliveries = deliver([Digest(name, "1 critical", "failure", body) for name in addresses], addresses)
    except HavenError as wrong:
        log.info(f"alerts were not told: {wrong}")
        return []
    say_deliveries(deliveries, without if deliveries else [])
    return deliveries


def say_deliveries(deliveries: list[Delivery], without: list[str]) -> None:
    """Print one line per message, and one per receiver that cannot be told."""
    for one in deliveries:
        told = f"NOT told, again next time: {one.error}" if one.error else "told"
        typer.echo(f"alert      {one.receiver}: {one.title}; {told}", err=True)
    for name in without:
        typer.echo(f"alert      {name}: has no address; set {ALERT_PREFIX}{name.upper()}", err=True)
