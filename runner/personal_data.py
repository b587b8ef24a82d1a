"""What is taken for personal data: the project's seed `personal_data`, as the macros of `macros/privacy` read it."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SEED = Path(__file__).resolve().parents[1] / "seeds" / "reference" / "personal_data.csv"
# Names of things, and of facts about personal data.
HARMLESS = ("harmless", "fact")


@dataclass(frozen=True)
class PersonalKind:
    """One kind, such as `email`; `values` is a regular expression that PostgreSQL and Python both read."""

    kind: str
    column_names: str
    values: str


@cache
def personal_kinds() -> tuple[PersonalKind, ...]:
    """Return the kinds in the order in which their names are tried."""
    with SEED.open(encoding="utf-8", newline="") as file:
        return tuple(
            PersonalKind(row["kind"], row["column_names"], row["column_values"]) for row in csv.DictReader(file)
        )


def personal_kind(column: str) -> str | None:
    """Return the kind of personal data of which `column` has the name, or None; as macro `personal_kind` does."""
    words = re.sub(r"([A-Z]+)([A-Z][a-z])|([a-z0-9])([A-Z])", r"\1\3_\2\4", column)
    words = re.sub(r"[^a-z0-9]+", "_", words.lower())
    for kind in personal_kinds():
        if kind.column_names and re.search(f"(^|_)({kind.column_names})(_|[0-9]|$)", words):
            return None if kind.kind in HARMLESS else kind.kind
    return None


def values_of(kind: str) -> str:
    """Return the regular expression for values of `kind`."""
    return next(found.values for found in personal_kinds() if found.kind == kind)
