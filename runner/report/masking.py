"""Keeps personal data out of reports.

A column is masked if any node's `meta.pii` says so, or if its name is that of personal data (seed `personal_data`) and
no node says `pii: false`. Text that is shown as it is loses its e-mail addresses.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from runner.artifacts import Manifest
from runner.personal_data import personal_kind, values_of

MASK = "•••"
MAX_TEXT_CHARS = 200
Value = str | int | float | bool | None

_COUNTS = frozenset({"n_records", "num_rows", "row_count", "count"})
_EMAIL = re.compile(values_of("email"))
_KEY_DETAIL = re.compile(r"(Key \([^)]*\)=)\(.*?\)(?= |$)", re.MULTILINE)
_ROW_DETAIL = re.compile(r"(Failing row contains )\(.*\)", re.DOTALL)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class PiiRules:
    """Column names that `meta.pii` calls personal or harmless, and those the project describes."""

    personal: frozenset[str]
    harmless: frozenset[str]
    documented: frozenset[str]

    def masks(self, column: str, *, tested_column: str | None = None) -> bool:
        """Tell whether `column` of a failing row is hidden.

        dbt's tests rename the tested column (`unique_field`, `value_field`, `from_field`); when it
        is personal, so is every column of the sample that the project does not describe.
        """
        name = column.lower()
        if name in self.personal:
            return True
        hides_all = tested_column is not None and self.masks(tested_column)
        if hides_all and name not in self.documented | _COUNTS:
            return True
        return name not in self.harmless and personal_kind(column) is not None


def pii_rules(manifest: Manifest) -> PiiRules:
    """Collect `meta.pii` of every column in the manifest, packages included."""
    said: list[tuple[str, bool | None]] = [
        (name.lower(), pii)
        for node in manifest.nodes.values()
        for name, pii in node.column_pii.items()
    ]
    personal = frozenset(name for name, pii in said if pii)
    return PiiRules(
        personal=personal,
        harmless=frozenset(name for name, pii in said if pii is False) - personal,
        documented=frozenset(
            name.lower()
            for node in manifest.nodes.values()
            if node.package_name == manifest.project_name
            for name in node.column_pii
        ),
    )


def mask_text(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return `text` without colours, e-mail addresses, key values of a constraint, a row's values, and secrets."""
    text = _ROW_DETAIL.sub(rf"\1({MASK})", text)
    text = _KEY_DETAIL.sub(rf"\1({MASK})", _EMAIL.sub(MASK, _ANSI.sub("", text)))
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def shown_value(value: object, *, masked: bool) -> Value:
    """Return a value as JSON can hold it; null stays null: it tells of no one."""
    if value is None or masked:
        return None if value is None else MASK
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)  # JSON has no NaN and no infinity
    if isinstance(value, bytes | memoryview):
        return f"({len(value)} bytes)"
    # Dates and times print as ISO 8601, numerics with all their digits.
    text = mask_text(str(value))
    return text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - 1] + "…"
