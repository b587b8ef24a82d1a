"""One query for each column: how many values it has, which are frequent, and how they spread (see `spread`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner.personal_data import values_of
from runner.profile.basics import WIDE_BYTES, Basics
from runner.profile.catalog import SourceColumn
from runner.profile.result import Bin, Spread, TextFacts, TopValue
from runner.profile.scan import Scan
from runner.profile.spread import read_spread, spread_ctes

TOP_VALUES = 5
MAX_VALUE_CHARS = 500

_EMAIL = f"^{values_of('email')}$"
_PERSONAL_KEY = r'"[^"]*(e?mail|name|phone|address|street|birth)[^"]*"[[:space:]]*:'


@dataclass(frozen=True)
class Values:
    """What the groups of equal values of one column tell. Shares are of the rows with a value, 0 to 1."""

    distinct: int
    top: tuple[TopValue, ...] = ()
    text: TextFacts | None = None
    spread: Spread | None = None
    histogram: tuple[Bin, ...] = ()
    email_share: float = 0.0
    phone_share: float = 0.0
    person_share: float = 0.0
    has_personal_keys: bool = False


def read_values(
    cursor: PgCursor,
    scan: Scan,
    column: SourceColumn,
    basics: Basics,
    *,
    shows_values: bool,
    has_spread: bool,
) -> Values:
    """Return what the values of `column` are; one scan.

    Args:
        shows_values: whether top values are read at all; not of columns known to be personal.
        has_spread: whether quartiles and histogram are made, of a number or time; not of a key.
    """
    found = None
    if has_spread and column.kind in ("number", "time"):
        cursor.execute("savepoint spread")
        try:
            found = _ask(cursor, scan, column, basics, shows_values=shows_values, has_spread=True)
        except psycopg2.errors.NumericValueOutOfRange:
            # Numbers so large that no fence can be put around them.
            cursor.execute("rollback to savepoint spread")
    if found is None:
        found = _ask(cursor, scan, column, basics, shows_values=shows_values, has_spread=False)
    spread, histogram = read_spread(column, found.get("spread"), found.get("bins"))
    facts = found.get("text") or {}
    rows = max(basics.values, 1)
    return Values(
        distinct=int(found["distinct"]),
        top=tuple(TopValue(*pair) for pair in found.get("top") or ()),
        text=_text_facts(facts, int(found["distinct"])) if facts else None,
        spread=spread,
        histogram=histogram,
        email_share=(facts.get("emails") or 0) / rows,
        phone_share=(facts.get("phones") or 0) / rows,
        person_share=(facts.get("people") or 0) / rows,
        has_personal_keys=bool(found.get("keys")),
    )


def _ask(
    cursor: PgCursor,
    scan: Scan,
    column: SourceColumn,
    basics: Basics,
    *,
    shows_values: bool,
    has_spread: bool,
) -> dict[str, Any]:
    is_wide = basics.widest > WIDE_BYTES and column.kind in ("text", "other")
    parts = [_groups(scan, column, is_wide=is_wide)]
    wanted: dict[str, sql.Composable] = {"distinct": sql.SQL("(select count(*) from facts)")}
    if shows_values and not is_wide:
        wanted["top"] = _top(column)
    if column.kind == "text":
        wanted["text"] = _TEXT
    if column.type_name in ("json", "jsonb"):
        wanted["keys"] = sql.SQL("(select coalesce(bool_or(has_key), false) from facts)")
    if has_spread:
        parts.append(spread_ctes(column))
        wanted["spread"] = sql.SQL("(select to_json(measured) from measured)")
        wanted["bins"] = sql.SQL("(select json_agg(json_build_array(bucket, n)) from bins)")
    cursor.execute(
        sql.SQL("with {} select {}").format(
            sql.SQL(", ").join(parts), sql.SQL(", ").join(wanted.values())
        )
    )
    return dict(zip(wanted, cursor.fetchone() or (), strict=True))


def _groups(scan: Scan, column: SourceColumn, *, is_wide: bool) -> sql.Composed:
    """Return the CTE `facts`: a row for each different value, `n` its rows, and what is to be known of it.

    Wide values (documents) are told apart by their MD5, so that no large value is kept.
    """
    text = sql.SQL("{}::text").format(column.ref) if is_wide else sql.SQL("value::text")
    traits = [
        sql.SQL("{} as {}").format(sql.SQL(expression).format(text=text), sql.Identifier(name))
        for name, expression in _traits(column).items()
    ]
    where = sql.SQL("from {} where {} is not null group by 1").format(scan.relation, column.ref)
    if not is_wide:
        return sql.SQL(
            "groups as materialized (select {} as value, count(*) as n {}), "
            "facts as materialized (select {} from groups)"
        ).format(column.value, where, sql.SQL(", ").join([sql.SQL("value"), sql.SQL("n"), *traits]))
    hashed = column.ref if column.type_name == "bytea" else text
    positions = sql.SQL("").join(sql.SQL(f", {at + 3}") for at in range(len(traits)))
    return sql.SQL("facts as materialized (select {} {}{})").format(
        sql.SQL(", ").join(
            [sql.SQL("md5({}) as value").format(hashed), sql.SQL("count(*) as n"), *traits]
        ),
        where,
        positions,
    )


def _traits(column: SourceColumn) -> dict[str, str]:
    if column.type_name in ("json", "jsonb"):
        return {"has_key": f"{{text}} ~* {_quoted(_PERSONAL_KEY)}"}
    if column.kind != "text":
        return {}
    blanks = r"E' \t\n\r\f\v'"
    return {
        "length": "char_length({text})",
        "is_blank": f"btrim({{text}}, {blanks}) = ''",
        "is_untrimmed": f"btrim({{text}}, {blanks}) <> {{text}}",
        "is_email": f"{{text}} ~ {_quoted(_EMAIL)}",
        "is_phone": f"{{text}} ~ {_quoted(values_of('phone'))}",
        "is_person": f"{{text}} ~ {_quoted(values_of('name'))}",
        "folded": "md5(lower({text}))",
    }


def _quoted(pattern: str) -> str:
    """Return a pattern as an SQL string for a template: quotes doubled, braces kept from `format`."""
    return "'" + pattern.replace("'", "''").replace("{", "{{").replace("}", "}}") + "'"


_TEXT = sql.SQL(
    """(
    select json_build_object(
        'min', min(length), 'max', max(length),
        'blank', coalesce(sum(n) filter (where is_blank), 0),
        'untrimmed', coalesce(sum(n) filter (where is_untrimmed), 0),
        'emails', sum(n) filter (where is_email),
        'phones', sum(n) filter (where is_phone),
        'people', sum(n) filter (where is_person),
        'folded', count(distinct folded)
    )
    from facts
)"""
)


def _text_facts(found: dict[str, Any], distinct: int) -> TextFacts:
    return TextFacts(
        min_length=found["min"],
        max_length=found["max"],
        blank=int(found["blank"]),
        untrimmed=int(found["untrimmed"]),
        is_mixed_case=int(found["folded"]) < distinct,
    )


def _top(column: SourceColumn) -> sql.Composed:
    # Ties go by bytes for text: collations differ between machines.
    order = 'value::text collate "C"' if column.kind == "text" else "value"
    return sql.SQL(
        """(
        select json_agg(json_build_array(left(value::text, {}), n))
        from (select value, n from facts order by n desc, {} limit {}) as first
    )"""
    ).format(sql.Literal(MAX_VALUE_CHARS), sql.SQL(order), sql.Literal(TOP_VALUES))
