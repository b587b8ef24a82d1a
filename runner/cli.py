"""The command line: wires the commands and maps expected failures to exit codes (DESIGN section 8)."""

from __future__ import annotations

import signal
import sys
import time
from importlib.metadata import version
from typing import Annotated

import typer

from runner import log
from runner.commands.databases import down, env, status, up
from runner.commands.demo import app as demo_app
from runner.commands.deps import deps
from runner.commands.doctor import doctor
from runner.commands.load import load
from runner.commands.profile import profile
from runner.commands.reconcile import reconcile
from runner.commands.report import report
from runner.commands.run import run
from runner.errors import HavenError

app = typer.Typer(
    name="haven",
    help="Load a PostgreSQL application database into a dbt warehouse, build it, test it, report on it.",
    epilog="Exit codes: 0 well, 1 data or quality failure, 2 usage or settings, "
    "3 a database is unreachable, 75 another run holds the lock, 130 Ctrl-C, 143 SIGTERM.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# A signal that comes twice within this time was sent twice by one sender (to a process and to its group).
_SAME_SIGNAL_S = 1.0


class Interrupted(BaseException):
    """The user or the scheduler wants the command to end. No KeyboardInterrupt, which Typer would swallow."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def _end_on_signals() -> None:
    """Let Ctrl-C and SIGTERM end the command in good order; asked a second time, it ends at once."""
    first: list[float] = []

    def handle(number: int, _frame: object) -> None:
        now = time.monotonic()
        if not first:
            first.append(now)
            raise Interrupted(number)
        if now - first[0] > _SAME_SIGNAL_S:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and a shell's `&` want it
            signal.signal(number, handle)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"haven {version('haven-warehouse')}")
        raise typer.Exit


@app.callback()
def root(
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Progress as JSON lines on stderr.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Set up logging before any command runs."""
    log.configure(as_json=log_json)


app.command()(up)
app.command()(down)
app.command()(status)
app.command()(env)
app.add_typer(demo_app, name="demo")
app.command()(deps)
app.command()(load)
app.command()(reconcile)
app.command()(run)
app.command()(report)
app.command()(profile)
app.command()(doctor)


def main() -> None:
    """Run the command line; an expected failure ends in one line on stderr and its exit code."""
    _end_on_signals()
    try:
        app()
    except HavenError as error:
        log.error(f"error: {error}", exit_code=error.exit_code)
        sys.exit(error.exit_code)
    except Interrupted as stopped:
        log.error(
            "stopped: nothing half-done was kept, the next run goes on from here",
            exit_code=stopped.exit_code,
        )
        sys.exit(stopped.exit_code)


if __name__ == "__main__":
    main()
