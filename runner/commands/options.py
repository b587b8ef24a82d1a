"""Options that take several values after one flag, as dbt's do: `--select a b`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class ListsLikeDbt(TyperCommand):
    """A command without positional arguments: what follows an option that may be repeated belongs to it."""

    # Any: the types of these are private to Typer.
    def parse_args(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        """Give each value its own flag, which is what Click understands."""
        lists = {name for p in self.params if getattr(p, "multiple", False) for name in p.opts}
        spread: list[str] = []
        flag, has_value = "", False
        for arg in args:
            if arg.startswith("-"):
                name, equals, _ = arg.partition("=")
                flag, has_value = (name if name in lists else ""), bool(equals)
            elif flag and has_value:
                spread.append(flag)
            else:
                has_value = True
            spread.append(arg)
        return super().parse_args(ctx, spread)
