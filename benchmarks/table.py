"""The table that is loaded: orders-like, about 100 bytes a row, with a null now and then; and how a copy is checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

NAME, KEY, WATERMARK = "big", "id", "updated_at"
COLUMNS = {
    "id": "bigint",
    "customer_id": "bigint",
    "amount": "numeric(12,2)",
    "status": "text",
    "quantity": "integer",
    "is_gift": "boolean",
    "note": "text",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
}
NAMES = ", ".join(COLUMNS)
# Changes come after all rows of the fill, one hour of changes a round.
FIRST_CHANGE, STEP = datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1)


@dataclass(frozen=True)
class Shape:
    """Row count and checksum of a table, to tell a true copy from a false one."""

    rows: int
    checksum: str


def ddl(relation: str, *, key: bool = False) -> str:
    """Return the DDL of `relation` with the table's columns, as a person would write it."""
    parts = [f"{name} {kind}{'' if name == 'note' else ' not null'}" for name, kind in COLUMNS.items()]
    if key:
        parts.append(f"primary key ({KEY})")
    return f"create table {relation} ({', '.join(parts)})"


def fill(relation: str, rows: int) -> str:
    """Return SQL that makes and fills a source table; the same rows each time."""
    return f"""
    {ddl(relation, key=True)};
    insert into {relation}
    select
        n, n * 7919::bigint % 50000, (n * 31::bigint % 100000) / 100.0,
        (array['paid', 'shipped', 'delivered'])[n % 3 + 1], (n % 7 + 1)::int, n % 11 = 0,
        case when n % 5 > 0 then 'note number ' || n end,
        '2024-01-01 00:00+00'::timestamptz + n * interval '1 second',
        '2024-01-01 00:10+00'::timestamptz + n * interval '1 second'
    from generate_series(1, {rows}) as n;
    create index on {relation} ({WATERMARK});
    """


def change(relation: str, round_number: int) -> str:
    """Return SQL that changes about 1 % of the rows, at random places, within that round's hour."""
    return (
        f"update {relation} set amount = amount + 1, status = 'changed', {WATERMARK} = "
        f"'{round_start(round_number)}'::timestamptz + random() * interval '{STEP}' "
        f"where abs(hashint8extended({KEY}, {round_number}) % 100) = 0"
    )


def round_start(round_number: int) -> str:
    """Return when the changes of that round begin, in ISO 8601."""
    return (FIRST_CHANGE + round_number * STEP).isoformat()


def changed_since(round_number: int) -> str:
    """Return the condition on the rows of that round, which a hand-written script would keep."""
    return f"{WATERMARK} >= '{round_start(round_number)}'::timestamptz"


def checksum(relation: str, where: str = "true") -> str:
    """Return a query for row count and checksum; values are cast to the source's types first."""
    cells = ", ".join(f"{name}::{kind}" for name, kind in COLUMNS.items())
    return (
        f"select count(*), coalesce(sum(hashtextextended(row({cells})::text, 0)), 0)::text "
        f"from {relation} where {where}"
    )
