"""Which changes of a column's type lose nothing, so that raw's column can follow the source's.

The rule: every value of the old type is a value of the new one, and PostgreSQL's own cast gives the value that the
same `alter table` gave the source. What is not in this table is refused; docs/decisions/0008 has the close calls.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Types as format_type spells them: numeric(10,2), timestamp(3) without time zone, character varying(5)[].
_FORM = re.compile(
    r"(?P<name>.+?)(\((?P<size>\d+)(,(?P<scale>-?\d+))?\))?"
    r"(?P<zone> with(out)? time zone)?(?P<array>\[\])?"
)
# A type may grow into these, or into itself with more room.
_WIDER: dict[str, tuple[str, ...]] = {
    "smallint": ("integer", "bigint", "numeric", "real", "double precision"),
    "integer": ("bigint", "numeric", "double precision"),
    "bigint": ("numeric",),
    "oid": ("bigint",),
    "real": ("double precision",),
    "numeric": ("numeric",),
    "character": ("character", "character varying", "text"),
    "bpchar": ("text",),
    "character varying": ("character varying", "text"),
    "name": ("character varying", "text"),
    "text": ("character varying",),
    "bit": ("bit varying",),
    "bit varying": ("bit varying",),
    "cidr": ("inet",),
    "date": ("timestamp without time zone",),
    **{
        name: (name,)
        for name in (
            "timestamp without time zone",
            "timestamp with time zone",
            "time without time zone",
            "time with time zone",
            "interval",
        )
    },
}
_DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}
# The digits of a second, the only size that these types have; without one it is the largest.
_FULL_PRECISION = 6
_NAME_LENGTH = 63
_MOST_DIGITS = 1000


@dataclass(frozen=True)
class _Type:
    """A type's name and its limits. `size` is a length, a number of digits or a precision; None means no limit."""

    name: str
    size: int | None
    scale: int
    is_array: bool


def _parse(text: str) -> _Type:
    match = _FORM.fullmatch(text)
    assert match is not None, text  # noqa: S101 - the pattern takes any text that is not empty
    size = match["size"]
    return _Type(
        name=match["name"].strip('"') + (match["zone"] or ""),
        size=None if size is None else int(size),
        scale=int(match["scale"] or 0),
        is_array=match["array"] is not None,
    )


def is_widening(old: str, new: str) -> bool:
    """Return whether a column of type `old` can become `new` (both as format_type spells them) without any loss."""
    before, after = _parse(old), _parse(new)
    if before.is_array != after.is_array or after.name not in _WIDER.get(before.name, ()):
        return False
    if after.name == "numeric":
        return _numeric_fits(before, after)
    if after.name.startswith(("time", "interval")):
        return before.name == "date" or _precision(before) <= _precision(after)
    if after.size is None:
        return True
    room = _NAME_LENGTH if before.name == "name" else before.size
    return room is not None and room <= after.size


def _precision(kind: _Type) -> int:
    return _FULL_PRECISION if kind.size is None else kind.size


def _numeric_fits(before: _Type, after: _Type) -> bool:
    """A numeric needs as many digits before the point and as many behind it; one without limits takes all."""
    if after.size is None:
        return True
    digits = _DIGITS.get(before.name, before.size)
    if digits is None:
        return False
    return after.size - after.scale >= digits - before.scale and after.scale >= before.scale


def common_type(old: str, new: str) -> str | None:
    """Return the numeric type that just holds all values of both, if both are numbers with a limited size."""
    before, after = _parse(old), _parse(new)
    digits = [_DIGITS.get(kind.name, kind.size) for kind in (before, after)]
    if (
        before.is_array != after.is_array
        or any(kind.name != "numeric" and kind.name not in _DIGITS for kind in (before, after))
        or digits[0] is None
        or digits[1] is None
    ):
        return None
    scale = max(before.scale, after.scale)
    whole = max(digits[0] - before.scale, digits[1] - after.scale)
    if not 0 < whole + scale <= _MOST_DIGITS:
        return None
    return f"numeric({whole + scale},{scale}){'[]' if before.is_array else ''}"
