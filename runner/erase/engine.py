"""Erases one person: by key where the YAML knows them, by value everywhere else; all of it one transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from runner.erase.places import Place, copies_of
from runner.erase.search import count_hits, identifying_values, other_places, pattern_of, redact
from runner.erase.suppression import suppress
from runner.errors import DataError
from runner.load.state import next_load_id

BACKUPS = (
    "backups made before this erasure still hold the person: let them expire, and after restoring one, "
    "run the same `haven erase` again before anyone reads it"
)

_COLUMNS = """
select attname, attnotnull
from pg_attribute
where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
    and exists (select from pg_class where oid = attrelid and relkind in ('r', 'p'))
"""


@dataclass
class Erasure:
    """What an erasure did, or would do: rows by table, whether the person was on the list before, what is left to do.

    `values` are the person's own texts, for looking through files; they are kept nowhere.
    """

    kind: str
    key_hash: str = ""
    was_suppressed: bool = False
    changed: dict[str, int] = field(default_factory=dict)
    removed_files: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    values: tuple[str, ...] = field(default=(), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return what may be shown: everything but the person's values."""
        return {name: value for name, value in asdict(self).items() if name != "values"}


def erase_person(
    session: PgConnection,
    places: Sequence[Place],
    key: str,
    *,
    run_id: str,
    is_dry_run: bool,
) -> Erasure:
    """Erase the person `key` from the warehouse and write the audit row; a dry run rolls all of it back.

    The caller holds the source's lock, so that no load is under way.

    Raises:
        DataError: nobody has this key.
        psycopg2.Error: nothing was changed.
    """
    done = Erasure(places[0].person_kind)
    with session.cursor() as cursor:
        everywhere = [*places, *copies_of(cursor, places)]
        found = [(place, columns) for place in everywhere if (columns := _present(cursor, place))]
        is_known = any(_is_there(cursor, place, key) for place, _ in found)
        done.key_hash, is_new = suppress(cursor, done.kind, key)
        done.was_suppressed = not is_new
        if not is_known and is_new:
            session.rollback()
            raise DataError(f"nobody in the warehouse is {done.kind} {key}: is the key right?")
        done.values = identifying_values(cursor, found, key)
        for place, columns in found:
            rows = _erase_at(cursor, place, columns, key, run_id)
            if rows:
                done.changed[place.label] = done.changed.get(place.label, 0) + rows
        done.values = _their_own(cursor, found, done.values)
        if done.values:
            _erase_elsewhere(cursor, [place for place, _ in found], done)
        if done.changed or is_new:
            done.tasks.append(BACKUPS)
        cursor.execute(
            "insert into ops.erasures (person_kind, key_hash, run_id, changed_rows, open_tasks) "
            "values (%s, %s, %s, %s, %s)",
            (done.kind, done.key_hash, run_id, json.dumps(done.changed), json.dumps(done.tasks)),
        )
    if is_dry_run:
        session.rollback()
    else:
        session.commit()
    return done


def _erase_elsewhere(cursor: PgCursor, places: Sequence[Place], done: Erasure) -> None:
    """Redact the person's texts where no YAML knows them; in raw, which has to stay as the source is, only tell."""
    pattern = pattern_of(done.values)
    raw_schemas = {place.schema for place in places if place.is_raw}
    for table, columns in other_places(cursor, places):
        label = ".".join(table.strings)
        if table.strings[0] in raw_schemas:
            if rows := count_hits(cursor, table, columns, pattern):
                done.tasks.append(
                    f"{label} holds the person's texts in {rows} rows: mark the column in the YAML "
                    f"(`meta.person`, `meta.pii`) and erase again"
                )
        elif rows := redact(cursor, table, columns, pattern):
            done.changed[label] = rows


def _present(cursor: PgCursor, place: Place) -> dict[str, bool]:
    """Return the place's columns that are there, with whether each refuses nulls; none for a view."""
    cursor.execute(_COLUMNS, (place.name.as_string(cursor),))
    there = dict(cursor.fetchall())
    if place.person_column not in there:
        return {}
    return {name: there[name] for name in place.columns if name in there}


def _mine(place: Place, key: str) -> sql.Composed:
    # Without a type of its own, the literal takes the column's, and an index can be used.
    return sql.SQL("{} = {}").format(sql.Identifier(place.person_column), sql.Literal(key))


def _is_there(cursor: PgCursor, place: Place, key: str) -> bool:
    cursor.execute(
        sql.SQL("select exists (select from {} where {})").format(place.name, _mine(place, key))
    )
    return cursor.fetchone() == (True,)


def _erase_at(
    cursor: PgCursor, place: Place, columns: dict[str, bool], key: str, run_id: str
) -> int:
    """Make the person's columns null; in raw as a load of its own, so that models compute the rows anew."""
    for name, is_not_null in columns.items():
        if is_not_null:
            cursor.execute(
                sql.SQL("alter table {} alter column {} drop not null").format(
                    place.name, sql.Identifier(name)
                )
            )
    changes = [sql.SQL("{} = null").format(sql.Identifier(name)) for name in columns]
    load_id = next_load_id(cursor) if place.is_raw else None
    if load_id is not None:
        changes.append(sql.SQL("_loaded_at = now(), _load_id = {}").format(sql.Literal(load_id)))
    filled = sql.SQL(" or ").join(
        sql.SQL("{} is not null").format(sql.Identifier(name)) for name in columns
    )
    cursor.execute(
        sql.SQL("update {} set {} where {} and ({})").format(
            place.name, sql.SQL(", ").join(changes), _mine(place, key), filled
        )
    )
    rows = cursor.rowcount
    if rows and load_id is not None:
        cursor.execute(
            "insert into ops.table_loads (load_id, run_id, source_name, table_name, raw_schema, "
            "raw_table, strategy, mode, status, started_at, finished_at, rows_updated) "
            "select %s, %s, coalesce(max(source_name), '-'), coalesce(max(table_name), %s), %s, %s, "
            "coalesce(max(strategy), 'full'), 'repair', 'ok', now(), clock_timestamp(), %s "
            "from ops.table_loads where raw_schema = %s and raw_table = %s",
            (
                load_id, run_id, place.table, place.schema, place.table, rows, place.schema,
                place.table,
            ),
        )  # fmt: skip
    return rows


def _their_own(
    cursor: PgCursor, found: Sequence[tuple[Place, dict[str, bool]]], values: tuple[str, ...]
) -> tuple[str, ...]:
    """Return those of `values` that nobody else has: a common name elsewhere says nothing about this person."""
    own = set(values)
    for place, columns in found:
        for name in columns:
            if not own:
                return ()
            cursor.execute(
                sql.SQL(
                    "select value from unnest(%s) as value where exists ("
                    "select from {} where position(value in lower({}::text)) > 0)"
                ).format(place.name, sql.Identifier(name)),
                (sorted(own),),
            )
            own -= {row[0] for row in cursor.fetchall()}
    return tuple(sorted(own))
