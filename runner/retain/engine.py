"""Enforces retention policies, in batches that are committed one by one.

First the cutoff is noted, which the loader obeys: rows of the source behind it are not there for it, so neither a load
nor a comparison brings them back. A call that is killed leaves raw with rows too many, which the next one removes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection

from runner.access.owner import as_owner
from runner.errors import ConfigError
from runner.load.reading import length_in_seconds
from runner.load.state import next_load_id
from runner.retain.policy import Policy

BATCH_ROWS = 50_000
# What is asked to go sooner was meant otherwise: a minus, a unit that is missing.
SHORTEST_KEEP_S = 86_400


@dataclass(frozen=True)
class Retained:
    """What was, or would be, done to one table; `kept_from` is the cutoff."""

    table: str
    kept_from: str
    marked_rows: int = 0
    deleted_rows: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return asdict(self)


def apply_policy(session: PgConnection, policy: Policy, *, is_dry_run: bool) -> Retained:
    """Enforce one policy; a dry run only counts. The caller holds the source's lock.

    Raises ConfigError (the YAML does not fit the table) or psycopg2.Error (committed batches stay).
    """
    kept_from = _cutoff(session, policy)
    expired, gone = _conditions(policy, kept_from)
    if is_dry_run:
        marked = _count(session, policy, expired) if policy.is_raw else 0
        return Retained(policy.label, kept_from, marked, _count(session, policy, gone))
    if policy.is_raw:
        _note(session, policy, kept_from, 0)
    marked = _in_batches(session, policy, expired, is_marking=True) if policy.is_raw else 0
    deleted = _in_batches(session, policy, gone, is_marking=False)
    if marked + deleted:
        _note(session, policy, kept_from, marked + deleted)
    return Retained(policy.label, kept_from, marked, deleted)


def _cutoff(session: PgConnection, policy: Policy) -> str:
    """Return the cutoff as text: midnight (UTC), `keep` ago, and never behind an earlier one.

    Raises ConfigError if `keep` or `purge_after` is no length of time, or so short that it must be an error.
    """
    where = f"retention of {policy.label}"
    with session, session.cursor() as cursor:
        length_in_seconds(cursor, f"{where}: purge_after", policy.purge_after)
        if length_in_seconds(cursor, f"{where}: keep", policy.keep) < SHORTEST_KEEP_S:
            raise ConfigError(f"{where}: keep is {policy.keep!r}; it must be a day at least")
        return str(
            as_owner(
                cursor,
                "ops.retentions",
                "select to_jsonb(greatest(date_trunc('day', now()) - %s::interval, (select max(kept_from) "
                "from ops.retentions where schema_name = %s and table_name = %s and %s))::text)",
                (policy.keep, policy.schema, policy.table, policy.is_raw),
            )
        )


def _conditions(policy: Policy, kept_from: str) -> tuple[sql.Composed, sql.Composed]:
    """Return the condition for rows that become tombstones, and the one for rows that are deleted."""
    names = {
        "column": sql.Identifier(policy.column),
        "cutoff": sql.Literal(kept_from),
        "raw": policy.name,
        "purge_after": sql.Literal(policy.purge_after),
    }
    expired = sql.SQL("{column} < {cutoff}::timestamptz and _deleted_at is null").format(**names)
    if not policy.is_raw:
        return expired, sql.SQL("{column} < {cutoff}::timestamptz").format(**names)
    # Not those of the newest load: models take a table whose newest load is gone for one that was made anew.
    gone = sql.SQL(
        "{column} < {cutoff}::timestamptz and _deleted_at < now() - {purge_after}::interval "
        "and _load_id < (select max(newest._load_id) from {raw} as newest)"
    ).format(**names)
    return expired, gone


def _count(session: PgConnection, policy: Policy, where: sql.Composed) -> int:
    with session, session.cursor() as cursor:
        query = sql.SQL("select to_jsonb(count(*)) from {} where {}").format(policy.name, where)
        return int(as_owner(cursor, policy.name.as_string(cursor), query) or 0)


def _in_batches(
    session: PgConnection, policy: Policy, where: sql.Composed, *, is_marking: bool
) -> int:
    total = 0
    while True:
        with session, session.cursor() as cursor:
            some = sql.SQL("ctid = any(array(select ctid from {} where {} limit {}))").format(
                policy.name, where, sql.Literal(BATCH_ROWS)
            )
            if is_marking:
                # A load id for each batch: a model may be built between two of them.
                change = sql.SQL(
                    "update {} set _deleted_at = now(), _loaded_at = now(), _load_id = {} where {}"
                ).format(policy.name, sql.Literal(next_load_id(cursor)), some)
            else:
                change = sql.SQL("delete from {} where {}").format(policy.name, some)
            counted = sql.SQL(
                "with changed as ({} returning 1) select to_jsonb(count(*)) from changed"
            ).format(change)
            rows = int(as_owner(cursor, policy.name.as_string(cursor), counted) or 0)
        total += rows
        if rows < BATCH_ROWS:
            return total


def _note(session: PgConnection, policy: Policy, kept_from: str, rows: int) -> None:
    with session, session.cursor() as cursor:
        as_owner(
            cursor,
            "ops.retentions",
            "insert into ops.retentions (schema_name, table_name, column_name, kept_from, changed_rows) "
            "select %(schema)s, %(table)s, %(column)s, %(kept_from)s, %(rows)s "
            "where %(rows)s > 0 or not exists (select from ops.retentions where schema_name = %(schema)s "
            "and table_name = %(table)s and kept_from >= %(kept_from)s::timestamptz)",
            {
                "schema": policy.schema,
                "table": policy.table,
                "column": policy.column,
                "kept_from": kept_from,
                "rows": rows,
            },
        )
