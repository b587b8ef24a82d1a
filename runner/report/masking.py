"""Keeps personal data and secrets out of messages; macro `masked_message` does the same for what dbt keeps.

Failing rows are masked where they are read, in SQL (macros/results/save_failing_rows.sql).
"""

from __future__ import annotations

import re

from runner.personal_data import values_of

MASK = "•••"
_EMAIL = re.compile(values_of("email"))
_KEY_DETAIL = re.compile(r"(Key \([^)]*\)=)\(.*?\)(?= |$)", re.MULTILINE)
_ROW_DETAIL = re.compile(r"(Failing row contains )\(.*\)", re.DOTALL)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def mask_text(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return `text` without colours, e-mail addresses, key values of a constraint, a row's values, and secrets."""
    text = _ROW_DETAIL.sub(rf"\1({MASK})", text)
    text = _KEY_DETAIL.sub(rf"\1({MASK})", _EMAIL.sub(MASK, _ANSI.sub("", text)))
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text
