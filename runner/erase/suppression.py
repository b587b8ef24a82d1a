"""The list of erased people: salted hashes of their keys, which the query on the source compares with its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from psycopg2.extensions import cursor as PgCursor

from runner.catalog import Column, Erased
from runner.contract import TableSpec


def suppressed(
    columns: Sequence[Column], spec: TableSpec, key: Sequence[str], warehouse: PgCursor
) -> tuple[Column, ...]:
    """Return the table's columns, those of erased people to be read as nulls. Raises psycopg2.Error.

    Key and watermark are never among them: they decide what is loaded.
    """
    if spec.person is None:
        return tuple(columns)
    kind, person_column, names = spec.person
    warehouse.execute(
        "select min(salt), array_agg(key_hash order by key_hash) from ops.suppressions "
        "where person_kind = %s having count(*) > 0",
        (kind,),
    )
    row = warehouse.fetchone()
    if row is None:
        return tuple(columns)
    erased = Erased(person_column, row[0], tuple(row[1]))
    kept = {*key, spec.watermark, person_column}
    return tuple(
        replace(c, erased=erased, is_not_null=False)
        if c.name in names and c.name not in kept
        else c
        for c in columns
    )


def suppress(warehouse: PgCursor, kind: str, key: str) -> tuple[str, bool]:
    """Put a person on the list; return the hash, and whether it is new there. Raises psycopg2.Error."""
    warehouse.execute(
        """
        with salts as (
            select coalesce(
                (select salt from ops.suppressions limit 1),
                gen_random_uuid()::text
            ) as salt
        ),
        added as (
            insert into ops.suppressions (person_kind, key_hash, salt)
            select %(kind)s, encode(sha256(convert_to(salt || %(key)s, 'UTF8')), 'hex'), salt from salts
            on conflict do nothing
            returning key_hash
        )
        select encode(sha256(convert_to(salt || %(key)s, 'UTF8')), 'hex'), exists (select from added)
        from salts
        """,
        {"kind": kind, "key": key},
    )
    row = warehouse.fetchone()
    return row[0], row[1]  # type: ignore[index]
