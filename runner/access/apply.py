"""Applies roles.sql to the warehouse, and hands it the key of the hash that masks values."""

from __future__ import annotations

import hashlib
import io
from importlib import resources

import psycopg2.errors
from psycopg2.extensions import connection as PgConnection

from runner.ops import LOCK_SPACE

# Of the advisory locks that Haven takes: two runs of roles.sql would meet in the catalog.
_ACCESS_LOCK = 1


def roles_sql() -> str:
    """Return the text of roles.sql."""
    return resources.files("runner.access").joinpath("roles.sql").read_text(encoding="utf-8")


def apply_roles(session: PgConnection, secret: str | None = None, *, only_if_changed: bool = False) -> None:
    """Create or update roles, schemas and rights in one transaction; set the hash's key if there is a `secret`.

    `only_if_changed`: nothing is done where this very roles.sql was applied before. Raises psycopg2.Error: the
    session's role may not do this.
    """
    text = roles_sql()
    comment = f"Masking and row security (roles.sql {hashlib.sha256(text.encode()).hexdigest()[:12]})."
    for has_more in (True, True, False):
        try:
            _apply(session, text, comment, secret, only_if_changed=only_if_changed)
            return
        except psycopg2.errors.DeadlockDetected:  # with a reader or a maker of the same objects
            if not has_more:
                raise


def _apply(session: PgConnection, text: str, comment: str, secret: str | None, *, only_if_changed: bool) -> None:
    with session, session.cursor() as cursor:
        # Whoever may make schemas can make functions, too: names mean PostgreSQL's own.
        cursor.execute("set search_path to pg_catalog, pg_temp")
        cursor.execute("select obj_description(to_regnamespace('privacy'), 'pg_namespace')")
        if only_if_changed and cursor.fetchone() == (comment,):
            return
        cursor.execute("select pg_advisory_xact_lock(%s, %s)", (LOCK_SPACE, _ACCESS_LOCK))
        cursor.execute(text)
        cursor.execute("comment on schema privacy is %s", (comment,))
        if secret:
            # What is copied is in no log and no pg_stat_activity, as a statement and its parameters may be.
            cursor.execute("create temporary table haven_secret (secret text) on commit drop")
            quoted = '"{}"'.format(secret.replace('"', '""'))
            cursor.copy_expert("copy pg_temp.haven_secret from stdin (format csv)", io.StringIO(quoted))
            cursor.execute("select privacy.set_hash_key(secret) from pg_temp.haven_secret")
