"""Fills the HTML templates. Everything a page needs is inside it: no network, no second file."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"
DASH = "\N{EN DASH}"
STATUS_WORDS = {
    "fail": "Failed",
    "error": "Error",
    "warn": "Warning",
    "not_run": "Not run",
    "skipped": "Skipped",
    "pass": "Passed",
}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = shown_number
    environment.filters["moment"] = shown_moment
    environment.filters["gist"] = gist
    environment.globals["status_words"] = STATUS_WORDS
    return environment


def render(template: str, **values: object) -> str:
    """Return the page. Values are escaped; the templates mark no value as safe."""
    return _environment().get_template(template).render(**values)


def shown_number(value: object, digits: int = 0) -> str:
    """Return a number with thousands separators, a dash for anything that is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return DASH
    return f"{value:,.{digits}f}"


def shown_moment(value: object) -> str:
    """Return an ISO 8601 moment as `2026-03-01 04:05 UTC`; other text as it is, None as a dash."""
    if not value:
        return DASH
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return str(value)
    offset = moment.utcoffset()
    zone = " UTC" if not offset else f" {moment:%z}"
    return f"{moment:%Y-%m-%d %H:%M}{zone}"


def gist(message: str) -> str:
    """Return the telling line of a dbt message: dbt's first line only says where it happened."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[1] if len(lines) > 1 and " Error in " in lines[0] else "".join(lines[:1])
