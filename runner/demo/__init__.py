"""The demo marketplace: fills a source database, and lets its days pass.

All rows are made by the SQL files beside this module; here is only what they cannot know: whether
the database is empty, the demo's own, or somebody else's. Each call is one transaction.
"""

from __future__ import annotations

import math
from importlib import resources
from typing import Any, Final

import psycopg2.errors
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from runner.errors import ConfigError

FILL_FILES: Final = (
    "schema.sql",
    "foundation.sql",
    "reference.sql",
    "generators.sql",
    "generate_catalog.sql",
    "generate_products.sql",
    "generate_sales.sql",
    "generate_payments.sql",
    "generate_traffic.sql",
)
TICK_FILES: Final = (
    "tick_plan.sql",
    "tick_market.sql",
    "tick_changes.sql",
    "tick_deletes.sql",
    "tick_inserts.sql",
    "tick_traffic.sql",
    "tick_late.sql",
)

LARGEST_SEED: Final = 2**63 - 1


class DemoError(ConfigError):
    """The demo cannot be made or moved on in this database as asked; the message says what to do."""


def init(connection: PgConnection, scale: float, seed: int, reset: bool = False) -> dict[str, Any]:
    """Make the demo's tables and fill them, unless they are there with the same seed and scale.

    Args:
        connection: session in the source database; committed at the end, rolled back on error.
        scale: size; 1 is about 50,000 orders and 500,000 listing views.
        seed: the same seed and scale give the same rows.
        reset: drop the demo's own tables first, and nothing else.

    Returns:
        `created`, `seed`, `scale`, `day` (the demo's today), `tick`, `rows` (rows per table) and
        `planted` (number of faulty rows per kind, as of now).

    Raises:
        DemoError: wrong scale or seed; the demo is there with another seed or scale; the database
            holds tables of somebody else, or something of somebody else hangs on the demo's.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise DemoError(f"the scale must be a number above 0, not {scale}")
    if not -LARGEST_SEED <= seed <= LARGEST_SEED:
        raise DemoError(f"the seed must be a whole number of at most 63 bits, not {seed}")
    with connection, connection.cursor() as cursor:
        _begin(cursor)
        if reset:
            _drop(cursor)
        if _exists(cursor):
            cursor.execute("select seed, scale from haven_demo.state")
            if cursor.fetchone() != (seed, scale):
                raise DemoError(
                    "the demo is already there with another seed or scale: pass --reset to"
                    " drop its tables and make it anew"
                )
            return {"created": False} | _numbers(cursor)
        _refuse_foreign(cursor)
        cursor.execute(
            "select set_config('haven_demo.seed', %s, true), set_config('haven_demo.scale', %s, true)",
            (str(seed), repr(float(scale))),
        )
        for name in FILL_FILES:
            cursor.execute(_read(name))
        return {"created": True} | _numbers(cursor)


def tick(connection: PgConnection) -> dict[str, Any]:
    """Let one day pass: new, changed, deleted and late rows, the same for a seed and day.

    Returns:
        `tick`, `day`, rows `inserted`, `updated` and `deleted` per table, `late` (rows of each kind
        that arrive late), `scd2` (changed rows of the tables with a history, without new ones) and
        `planted` (as `init` returns it; late payments add to it).

    Raises:
        DemoError: there is no demo in this database.
    """
    with connection, connection.cursor() as cursor:
        _begin(cursor)
        if not _exists(cursor):
            raise DemoError("there is no demo in this database: run `haven demo init` first")
        for name in TICK_FILES:
            cursor.execute(_read(name))
        return _only_value(cursor)


def _begin(cursor: PgCursor) -> None:
    """Fix what the SQL files rely on, and keep other demo commands out until the end."""
    cursor.execute(
        "set local search_path = public; set local timezone = 'UTC'; set local work_mem = '128MB';"
        " set local jit = off; set local client_min_messages = warning;"
        " select pg_advisory_xact_lock(hashtextextended('haven demo', 0))"
    )


def _exists(cursor: PgCursor) -> bool:
    cursor.execute("select to_regclass('haven_demo.state') is not null")
    return cursor.fetchone() == (True,)


def _drop(cursor: PgCursor) -> None:
    if not _exists(cursor):
        return
    try:
        cursor.execute(_read("drop.sql"))
    except psycopg2.errors.DependentObjectsStillExist as error:
        detail = " ".join((error.diag.message_detail or "").split())
        raise DemoError(f"the demo's tables are in use by others; drop those first: {detail}") from None


def _refuse_foreign(cursor: PgCursor) -> None:
    cursor.execute(_read("foreign_relations.sql"))
    names = [name for (name,) in cursor.fetchall()]
    if names:
        raise DemoError(
            f"the database is not empty and not the demo's (it holds {', '.join(names)}):"
            " point HAVEN_SOURCE_DBNAME at an empty one"
        )


def _numbers(cursor: PgCursor) -> dict[str, Any]:
    cursor.execute(_read("numbers.sql"))
    return _only_value(cursor)


def _only_value(cursor: PgCursor) -> dict[str, Any]:
    """Return the JSON object that the last statement answered."""
    [(value,)] = cursor.fetchall()
    result: dict[str, Any] = value
    return result


def _read(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
