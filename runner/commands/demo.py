"""`haven demo init` and `haven demo tick`: the demo marketplace's application database."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Annotated, Any

import typer

from runner import demo
from runner.connect import connect
from runner.settings import load_settings

app = typer.Typer(help="Fill the demo source and let its days pass.", no_args_is_help=True, add_completion=False)


@app.command()
def init(
    scale: Annotated[float, typer.Option(min=0.001, help="1 is about 50,000 sales.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same rows.")] = 1,
    reset: Annotated[bool, typer.Option("--reset", help="Drop the demo's tables first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make the demo's tables in the source and fill them; planted faults are counted."""
    with closing(connect(load_settings().connection("source"))) as session:
        _show(demo.init(session, scale=scale, seed=seed, reset=reset), as_json)


@app.command()
def tick(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Let one day pass: new, changed, deleted and late rows."""
    with closing(connect(load_settings().connection("source"))) as session:
        _show(demo.tick(session), as_json)


def _show(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result, default=str))
        return
    for name, value in result.items():
        shown = (
            ", ".join(f"{k} {v:,}" if isinstance(v, int) else f"{k} {v}" for k, v in value.items())
            if isinstance(value, dict)
            else value
        )
        typer.echo(f"{name}: {shown}")
