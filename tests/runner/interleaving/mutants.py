"""The bound broken on purpose: histories that do not find these would prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final
from unittest.mock import patch

from runner.load import marks


def _sql(**changes: tuple[str, str]) -> Callable[[], AbstractContextManager[Any]]:
    """Return what replaces the old text by the new in each of the named statements."""
    broken = {}
    for name, (old, new) in changes.items():
        text = getattr(marks, name)
        assert old in text
        broken[name] = text.replace(old, new)
    return lambda: patch.multiple(marks, **broken)


MUTANTS: Final[dict[str, Callable[[], AbstractContextManager[Any]]]] = {
    "the highest mark is taken without waiting": (
        lambda: patch.object(marks._Open, "still", lambda self, candidate: ())
    ),
    "only transactions with an xid are waited for": _sql(
        _OPEN=("('virtualxid', 'transactionid')", "('transactionid')")
    ),
    "a candidate is safe one load later, whoever is open": (
        lambda: patch.object(
            marks._Open, "still", lambda self, candidate: tuple(self.names) if candidate.xmax == self.xmax else ()
        )
    ),
    # Either alone is mended by the other: a mark that lies above all rows is followed by a read of everything.
    "clocks are taken for what they show, a mark above all rows is believed": _sql(
        _CLOCK=("select min((", "select max(("), _PROBE=("coalesce(found.highest < {stored}::{kind}, true)", "false")
    ),
}
