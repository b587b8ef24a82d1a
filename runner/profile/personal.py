"""Decides which columns are personal, by what the YAML says, by their names, types and values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from runner.profile.catalog import SourceColumn
from runner.profile.result import ColumnProfile, Reference, Spread
from runner.profile.values import Values
from runner.report.masking import PiiRules

# From this share of the values on, a column counts as what they look like.
_LOOKS_LIKE = 0.5
_LOOKS_LIKE_NAMES = 0.9
_ADDRESS_TYPES = ("inet", "cidr", "macaddr", "macaddr8")


def personal_by_name(column: SourceColumn, rules: PiiRules, declared: bool | None) -> str | None:
    """Return why `column` is personal, judged without its values, or None.

    Args:
        declared: what `meta.pii` of this very column says; None if nothing.
    """
    if declared:
        return "marked as personal in the YAML"
    if rules.masks(column.name):
        return "its name is that of personal data"
    if column.type_name in _ADDRESS_TYPES and declared is None:
        return "network addresses may be personal"
    return None


def personal_by_values(values: Values, rules: PiiRules, column: SourceColumn) -> str | None:
    """Return why `column` looks personal by its values, or None; the YAML's `pii: false` wins."""
    if column.name.lower() in rules.harmless:
        return None
    if values.email_share >= _LOOKS_LIKE:
        return "values look like e-mail addresses"
    if values.phone_share >= _LOOKS_LIKE:
        return "values look like phone numbers"
    if values.person_share >= _LOOKS_LIKE_NAMES:
        return "values look like names"
    if values.has_personal_keys:
        return "its JSON has keys of personal data"
    return None


def masked(column: ColumnProfile, reason: str) -> ColumnProfile:
    """Return `column` without anything that gives a value away; counts stay."""
    spread = column.spread and Spread(None, None, None, None, None, column.spread.outliers)
    return replace(
        column, personal=reason, min=None, max=None, avg=None, stddev=None, spread=spread, top=(),
        histogram=(),
    )  # fmt: skip


def mask_references(
    columns: dict[str, tuple[ColumnProfile, ...]], references: Iterable[tuple[str, Reference]]
) -> dict[str, tuple[ColumnProfile, ...]]:
    """Mask columns that refer to personal ones, of any table; both are named by their tables' labels."""
    found = {(label, c.name): c for label, own in columns.items() for c in own}
    pairs = [
        ((label, mine), (reference.to_table, theirs))
        for label, reference in references
        for mine, theirs in zip(reference.columns, reference.to_columns, strict=True)
    ]
    is_changed = True
    while is_changed:
        is_changed = False
        for mine, theirs in pairs:
            is_open = mine in found and not found[mine].personal
            if is_open and theirs in found and found[theirs].personal:
                found[mine] = masked(found[mine], "it refers to personal data")
                is_changed = True
    return {label: tuple(found[label, c.name] for c in own) for label, own in columns.items()}
