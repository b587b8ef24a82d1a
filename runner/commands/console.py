"""The console that summaries are printed on."""

from __future__ import annotations

from rich.console import Console


def wide_console(width: int = 140) -> Console:
    """Return a console of at least `width` characters: no number is cut short, a narrow terminal wraps lines."""
    return Console(width=max(Console().width, width))
