"""Makes schema ops and brings it up to date, by numbered migrations (`migrations/0001_….sql`), each applied once.

A migration that was released is never changed; what is to be different comes as the next one.
"""

from __future__ import annotations

from importlib import resources

from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

# First half of every advisory lock Haven takes: 'HAVN' in ASCII, so that others' locks do not meet ours.
LOCK_SPACE = 0x4841564E
_SETUP_LOCK = 0


def prepare(session: PgConnection) -> None:
    """Apply the migrations that are missing, in one transaction; two runs may start at once. Raises psycopg2.Error.

    The schema's comment says how many it has.
    """
    folder = resources.files("runner.ops").joinpath("migrations")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    with session, session.cursor() as cursor:
        if _applied(cursor) >= len(files):
            return
        cursor.execute("select pg_advisory_xact_lock(%s, %s)", (LOCK_SPACE, _SETUP_LOCK))
        for file in files[_applied(cursor) :]:
            cursor.execute(file.read_text(encoding="utf-8"))
        comment = f"The runner's own state (migration {len(files)})."
        cursor.execute("comment on schema ops is %s", (comment,))


def _applied(cursor: PgCursor) -> int:
    cursor.execute(
        "select coalesce(substring(obj_description(to_regnamespace('ops'), 'pg_namespace') "
        "from 'migration ([0-9]+)')::integer, 0)"
    )
    return int(cursor.fetchone()[0])  # type: ignore[index]
