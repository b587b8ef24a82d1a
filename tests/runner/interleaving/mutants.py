"""The bound broken on purpose: histories that do not find these would prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final
from unittest.mock import patch

from runner.load import marks


def _sql(name: str, old: str, new: str) -> Callable[[], AbstractContextManager[Any]]:
    text = getattr(marks, name)
    assert old in text
    return lambda: patch.object(marks, name, text.replace(old, new))


MUTANTS: Final[dict[str, Callable[[], AbstractContextManager[Any]]]] = {
    "the highest mark is taken without waiting": (
        lambda: patch.object(marks._Open, "still", lambda self, candidate: ())
    ),
    "only transactions with an xid are waited for": _sql(
        "_OPEN", "('virtualxid', 'transactionid')", "('transactionid')"
    ),
    "a candidate is safe one load later, whoever is open": (
        lambda: patch.object(
            marks._Open,
            "still",
            lambda self, candidate: tuple(self.names) if candidate.xmax == self.xmax else (),
        )
    ),
    "clocks are taken for what they show": _sql("_CLOCK", "select min((", "select max(("),
}
