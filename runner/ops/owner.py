"""Runs statements as the owner of the table they are about: an operator's rights are not for code that others wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

_MACRO = Path(__file__).resolve().parents[2] / "macros" / "sessions" / "as_owner_function.sql"


@cache
def _as_owner_function() -> str:
    """Return the SQL of the macro as_owner_function, which has no Jinja inside."""
    return re.sub(r"{%.*?%}", "", _MACRO.read_text(encoding="utf-8"))


def prepare_operator(cursor: PgCursor) -> None:
    """Make pg_temp.as_owner for this session, in which names mean PostgreSQL's own objects. Raises psycopg2.Error."""
    cursor.execute("set search_path to pg_catalog, pg_temp")
    cursor.execute(_as_owner_function())


def as_owner(
    cursor: PgCursor, table: str, statement: str | sql.Composable, args: Sequence[object] | Mapping[str, object] = ()
) -> str | int | bool | None:
    """Run one statement as the owner of `table`; return the first value of a query, as JSON has it.

    Raises psycopg2.Error, also where the session's role may not act for the owner.
    """
    text = cursor.mogrify(statement, args or None).decode()
    cursor.execute(
        "select relowner = current_user::regrole from pg_catalog.pg_class where oid = pg_catalog.to_regclass(%s)",
        (table,),
    )
    if cursor.fetchone() == (False,):
        prepare_operator(cursor)
        text = cursor.mogrify("select pg_temp.as_owner(to_regclass(%s), %s)", (table, text.strip())).decode()
    cursor.execute(text)
    row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None
