"""The command line: wires the commands and maps expected failures to exit codes (DESIGN section 8)."""

from __future__ import annotations

import errno
import signal
import sys
import time
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from runner import log
from runner.commands.options import ListsLikeDbt
from runner.connect import let_servers_choose_zone
from runner.errors import HavenError

# Command and the module it is in, in the order that --help shows.
_COMMANDS = {
    "up": "databases",
    "down": "databases",
    "status": "databases",
    "env": "databases",
    "demo": "demo",
    "deps": "deps",
    "discover": "discover",
    "load": "load",
    "reconcile": "reconcile",
    "run": "run",
    "report": "report",
    "alert": "alert",
    "profile": "profile",
    "features": "features",
    "doctor": "doctor",
    "access": "access",
    "erase": "erase",
    "retain": "retain",
}
# Those with options that take several values, and no positional arguments.
_LISTS_LIKE_DBT = ("run", "report")


class _Commands(TyperGroup):
    """Imports a command's module when it is asked for: a load need not wait for what draws pages."""

    # Any: the types of these are private to Typer.
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401
        if cmd_name not in _COMMANDS:
            for name in _COMMANDS:  # to be suggested
                self.get_command(ctx, name)
        elif cmd_name not in self.commands:
            module = import_module(f"runner.commands.{_COMMANDS[cmd_name]}")
            group = getattr(module, "app", None)
            if group is None:
                group = typer.Typer(add_completion=False)
                takes_lists = cmd_name in _LISTS_LIKE_DBT
                group.command(cls=ListsLikeDbt if takes_lists else None)(getattr(module, cmd_name))
            command = typer.main.get_command(group)
            command.name = cmd_name
            self.add_command(command)
        return self.commands.get(cmd_name)


app = typer.Typer(
    name="haven",
    cls=_Commands,
    help="Load a PostgreSQL application database into a dbt warehouse, build it, test it, report on it.",
    epilog="Exit codes: 0 success, 1 data or quality failure, 2 usage or settings, "
    "3 a database is unreachable, 75 another run holds the lock, 129 closed terminal, 130 Ctrl-C, 143 SIGTERM.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# What a full disk or a folder of somebody else's says.
_FILE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
# A signal that comes twice within this time was sent twice by one sender (to a process and to its group).
_SAME_SIGNAL_S = 1.0


class Interrupted(BaseException):
    """The user or the scheduler wants the command to end. No KeyboardInterrupt, which Typer would swallow."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number

    def __str__(self) -> str:
        """Return which signal it was."""
        return f"stopped by {signal.Signals(self.exit_code - 128).name}"


def _end_on_signals() -> None:
    """Let Ctrl-C, SIGTERM and a closed terminal end the command in good order; asked a second time, it ends at once."""
    first: list[float] = []

    def handle(number: int, _frame: object) -> None:
        now = time.monotonic()
        if not first:
            first.append(now)
            raise Interrupted(number)
        if now - first[0] > _SAME_SIGNAL_S:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and a shell's `&` want it
            signal.signal(number, handle)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 (30 ms)

        typer.echo(f"haven {version('haven-warehouse')}")
        raise typer.Exit


@app.callback()
def root(
    log_json: Annotated[bool, typer.Option("--log-json", help="Progress as JSON lines on stderr.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Set up logging before any command runs."""
    log.configure(as_json=log_json)


def main() -> None:
    """Run the command line; an expected failure ends in one line on stderr and its exit code."""
    _end_on_signals()
    let_servers_choose_zone()
    try:
        app()
    except HavenError as error:
        log.error(f"error: {error}", exit_code=error.exit_code)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in _FILE_ERRORS:
            raise
        log.error(f"error: {error.filename or 'a file'} cannot be written or read: {error.strerror}", exit_code=2)
        sys.exit(2)
    except Interrupted as stopped:
        log.error("stopped: nothing half-done was kept, the next run goes on from here", exit_code=stopped.exit_code)
        sys.exit(stopped.exit_code)


if __name__ == "__main__":
    main()
