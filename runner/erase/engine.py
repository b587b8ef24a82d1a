"""Erases one person from the warehouse: erase.sql does it, in one transaction with its audit row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection
from psycopg2.extras import Json

from runner.access.owner import as_owner, prepare_operator
from runner.errors import ConfigError, DataError

# What no call can see or change. It is said each time: nobody can know from here whether it was done.
STANDING = (
    "backups made before this erasure still hold the person: let them expire, and after restoring one, "
    "run the same `haven erase` again before anyone reads it",
    "replicas follow by themselves; archived WAL and the servers' logs hold what was there before: let them expire",
    "other checkouts and machines: remove their folders `target` and `logs`, exported features, and pages handed on",
    "the source itself: erase the person in the application, too",
)


@dataclass
class Erasure:
    """What an erasure did, or would do: rows by table, whether they were on the list, what is left to do."""

    kind: str
    key_hash: str
    was_suppressed: bool
    changed: dict[str, int]
    tasks: list[str]
    removed_files: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return what may be shown."""
        return {name: value for name, value in asdict(self).items() if name != "tables"}


def erase_person(
    session: PgConnection, plan: Mapping[str, Any], key: str, *, run_id: str, is_dry_run: bool
) -> Erasure:
    """Erase the person `key` from the warehouse and write the audit row; a dry run rolls all of it back.

    The caller holds the source's lock, so that no load is under way.

    Raises:
        ConfigError: the key's column can hold no such key.
        DataError: nobody has this key.
        psycopg2.Error: nothing was changed.
    """
    kind = plan["kind"]
    with session.cursor() as cursor:
        prepare_operator(cursor)
        cursor.execute(resources.files("runner.erase").joinpath("erase.sql").read_text("utf-8"))
        cursor.execute(
            "select pg_temp.erase(%s, %s, %s)", (Json({**plan, "standing": STANDING}), key, run_id)
        )
        found = cursor.fetchone()[0]  # type: ignore[index]
    if is_dry_run or "refused" in found:
        session.rollback()
    else:
        session.commit()
    if found.get("refused") == "spelling":
        raise ConfigError(f"{key!r} is no key of a {kind}: keys are of type {found['type']}")
    if "refused" in found:
        raise DataError(f"nobody in the warehouse is {kind} {key}: is the key right?")
    return Erasure(
        kind, found["key_hash"], found["was_suppressed"], found["changed"],
        [task["text"] for task in found["tasks"]], tables=found["analyze"] or [],
    )  # fmt: skip


def forget_statistics(session: PgConnection, done: Erasure) -> None:
    """Vacuum and analyze the person's tables: the planner's statistics and dead rows still hold the values.

    PostgreSQL does both as the table's owner. What cannot be done now becomes a task.
    """
    session.autocommit = True
    with session.cursor() as cursor:
        for table in done.tables:
            try:
                cursor.execute(sql.SQL("vacuum (analyze) {}").format(sql.SQL(table)))
            except psycopg2.Error as error:
                done.tasks.append(
                    f"{table}: `vacuum (analyze)` failed ({error.pgcode}); do it by hand"
                )
    session.autocommit = False


def note_files(session: PgConnection, run_id: str, count: int) -> None:
    """Write into the audit row how many files were removed."""
    with session, session.cursor() as cursor:
        as_owner(
            cursor,
            "ops.erasures",
            "update ops.erasures set removed_files = %s where run_id = %s",
            (count, run_id),
        )
