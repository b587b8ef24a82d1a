"""Finds keys: what the source declares, and columns that are unique and never null all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner.profile.catalog import SourceColumn, SourceTable
from runner.profile.result import ColumnProfile, Key
from runner.profile.scan import Scan, whole

# Fewer rows prove nothing: almost any column of them is unique.
MIN_ROWS = 5
MAX_COLUMNS = 3
MAX_COMBINATIONS = 20


def find_keys(
    cursor: PgCursor, table: SourceTable, scan: Scan, columns: Sequence[ColumnProfile]
) -> tuple[Key, ...]:
    """Return declared keys first, then inferred ones.

    Inferred are single columns; and only if the table has no key of one column, minimal combinations of two or three.
    Times, fractions, booleans and documents are no keys on their own: they are unique by chance.
    """
    names = {column.name for column in columns}
    keys = [Key(key, is_declared=True) for key in table.keys if names.issuperset(key)]
    if scan.rows < MIN_ROWS:
        return tuple(keys)
    own = {column.name: table.column(column.name) for column in columns}
    seen = {key.columns for key in keys}
    full = [c for c in columns if c.nulls == 0 and (c.distinct or 0) > 1]
    keys += [
        Key((c.name,), is_declared=False, is_proven=not scan.is_sampled)
        for c in full
        if (c.name,) not in seen
        and c.distinct == scan.profiled_rows
        and c.distinct_basis != "statistics"
        and _names_rows(own[c.name])
    ]
    if keys or scan.is_sampled:
        return tuple(keys)
    return tuple(_combined(cursor, table, scan, full, own))


def _names_rows(column: SourceColumn) -> bool:
    return column.is_comparable and (
        column.kind == "text" or column.is_whole_number or column.type_name == "uuid"
    )


def _combined(
    cursor: PgCursor,
    table: SourceTable,
    scan: Scan,
    full: Sequence[ColumnProfile],
    own: Mapping[str, SourceColumn],
) -> list[Key]:
    distinct = {
        c.name: c.distinct or 0
        for c in full
        if _names_rows(own[c.name]) or own[c.name].kind == "time"
    }
    found: list[tuple[str, ...]] = []
    tried = 0
    for size in range(2, MAX_COLUMNS + 1):
        # The fewest values that can suffice come first: a tight combination is the likelier key.
        likely = sorted(
            (product, names)
            for names in combinations(distinct, size)
            if (product := _product(distinct, names)) >= scan.rows
        )
        for _, names in likely:
            if tried == MAX_COMBINATIONS:
                return [Key(key, is_declared=False) for key in found]
            if not any(set(key) <= set(names) for key in found):
                tried += 1
                if _is_unique(cursor, table, names):
                    found.append(names)
    return [Key(key, is_declared=False) for key in found]


def _product(distinct: Mapping[str, int], names: Sequence[str]) -> int:
    product = 1
    for name in names:
        product *= distinct[name]
    return product


def _is_unique(cursor: PgCursor, table: SourceTable, names: Sequence[str]) -> bool:
    cursor.execute(
        sql.SQL(
            "select not exists (select 1 from {} group by {} having count(*) > 1 limit 1)"
        ).format(whole(table), sql.SQL(", ").join(sql.Identifier("t", name) for name in names))
    )
    return cursor.fetchone() == (True,)


def count_duplicates(
    cursor: PgCursor, scan: Scan, columns: Sequence[SourceColumn], keys: Sequence[Key]
) -> int | None:
    """Return how many rows equal an earlier one in every column; None for a sample, which cannot tell.

    A table with a key has none, so nothing is read.
    """
    if any(key.is_proven for key in keys):
        return 0
    if scan.is_sampled:
        return None
    cursor.execute(
        sql.SQL(
            "select count(*) from (select 1 from {} group by md5(row({})::text)) as found"
        ).format(scan.relation, sql.SQL(", ").join(column.ref for column in columns))
    )
    (different,) = cursor.fetchone() or (0,)
    return scan.rows - int(different)
