"""Looks for a person's own texts where the YAML does not know them: every text and JSON column of every table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner.erase.places import Place

# What tells one person from others by itself: names as such; else addresses of mail, phone numbers, words with numbers
# (streets) and whole sentences. A city or a state would be found in what has nothing to do with the person.
SHORTEST = 6
_TELLING = re.compile(r"@|(\d\D*){7}|[a-z].*\d|\d.*[a-z]|.{20}", re.DOTALL)
_LARGEST_FILE = 256 << 20

_TEXT_COLUMNS = """
select pg_namespace.nspname, pg_class.relname,
    array_agg(pg_attribute.attname order by pg_attribute.attnum),
    array_agg(format_type(pg_attribute.atttypid, pg_attribute.atttypmod) order by pg_attribute.attnum)
from pg_attribute
inner join pg_class on pg_attribute.attrelid = pg_class.oid
inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
inner join pg_type on pg_attribute.atttypid = pg_type.oid
where pg_class.relkind = 'r' and pg_class.relpersistence <> 't'
    and pg_attribute.attnum > 0 and not pg_attribute.attisdropped and pg_attribute.attgenerated = ''
    and pg_namespace.nspname not in ('pg_catalog', 'information_schema')
    and pg_namespace.nspname !~ '^pg_toast'
    and format_type(pg_attribute.atttypid, null) ~ '^(text|character varying|character|jsonb?|xml|citext)'
group by 1, 2
order by 1, 2
"""


def identifying_values(
    cursor: PgCursor, found: Sequence[tuple[Place, dict[str, bool]]], key: str
) -> tuple[str, ...]:
    """Return the person's texts in their places, trimmed and in lower case; of JSON and arrays, each string."""
    values: set[str] = set()
    for place, columns in found:
        for name in columns:
            cursor.execute(
                sql.SQL(
                    "select distinct lower(trim(part.value #>> '{{}}')) from (select to_jsonb({column}) as value "
                    "from {table} where {key_column} = {key} and {column} is not null) as held "
                    "cross join lateral jsonb_path_query(held.value, 'strict $.**') as part (value) "
                    "where jsonb_typeof(part.value) = 'string'"
                ).format(
                    column=sql.Identifier(name),
                    table=place.name,
                    key_column=sql.Identifier(place.person_column),
                    key=sql.Literal(key),
                )
            )
            values.update(
                value
                for (value,) in cursor.fetchall()
                if len(value) >= SHORTEST and (name in place.names or _TELLING.search(value))
            )
    return tuple(sorted(values))


def pattern_of(values: Sequence[str]) -> str:
    """Return the regular expression that finds any of `values`, also as JSON writes it."""
    forms = {form for value in values for form in (value, json.dumps(value)[1:-1])}
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    return "|".join(re.sub(r"([^\w\s@])", r"\\\1", form) for form in longest_first)


def other_places(
    cursor: PgCursor, places: Sequence[Place]
) -> Iterator[tuple[sql.Identifier, list[tuple[str, str]]]]:
    """Yield each other table of the warehouse that this role may change, with its text columns and their types."""
    known = {(place.schema, place.table) for place in places}
    cursor.execute(_TEXT_COLUMNS)
    for schema, table, names, types in cursor.fetchall():
        if (schema, table) not in known:
            yield sql.Identifier(schema, table), list(zip(names, types, strict=True))


def count_hits(
    cursor: PgCursor, table: sql.Identifier, columns: Sequence[tuple[str, str]], pattern: str
) -> int:
    """Return the rows in which the pattern finds something. Raises psycopg2.Error."""
    cursor.execute(
        sql.SQL("select count(*) from {} where {}").format(table, _hits(columns, pattern))
    )
    return int(cursor.fetchone()[0])  # type: ignore[index]


def _hits(columns: Sequence[tuple[str, str]], pattern: str) -> sql.Composed:
    return sql.SQL(" or ").join(
        sql.SQL("{}::text ~* {}").format(sql.Identifier(name), sql.Literal(pattern))
        for name, _ in columns
    )


def redact(
    cursor: PgCursor, table: sql.Identifier, columns: Sequence[tuple[str, str]], pattern: str
) -> int:
    """Put `[erased]` in the place of what the pattern finds; return the rows changed. Raises psycopg2.Error."""
    wanted = sql.Literal(pattern)
    changes = [
        sql.SQL("{0} = regexp_replace({0}::text, {1}, '[erased]', 'gi')::{2}").format(
            sql.Identifier(name), wanted, sql.SQL(kind)
        )
        for name, kind in columns
    ]
    cursor.execute(
        sql.SQL("update {} set {} where {}").format(
            table, sql.SQL(", ").join(changes), _hits(columns, pattern)
        )
    )
    return cursor.rowcount


def files_that_hold(folder: Path, values: Sequence[str]) -> list[Path]:
    """Return the files in `folder` that hold one of `values` in any case, as it is or as JSON writes it."""
    if not values or not folder.is_dir():
        return []
    wanted = re.compile(
        "|".join(re.escape(form) for value in values for form in (value, json.dumps(value)[1:-1])),
        re.IGNORECASE,
    )
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.stat().st_size <= _LARGEST_FILE
        and wanted.search(path.read_text(encoding="utf-8", errors="ignore"))
    ]
