"""Decides which rows of a table are read: all, or a sample that is the same each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner.profile.catalog import SourceColumn, SourceTable

SEED = 1729
_HASH_RANGE = 1 << 20


@dataclass(frozen=True)
class Scan:
    """The rows a profile reads: `relation` goes after FROM, the table's alias is `t`.

    `rows` is the table's exact count, `profiled_rows` how many of them are read.
    """

    relation: sql.Composable
    rows: int
    profiled_rows: int
    method: str | None = None

    @property
    def is_sampled(self) -> bool:
        """Return whether rows are left out."""
        return self.method is not None

    @property
    def scale(self) -> float:
        """Return by how much a count of the sample is to be multiplied."""
        return self.rows / self.profiled_rows if self.profiled_rows else 1.0


def whole(table: SourceTable) -> sql.Composed:
    """Return the table with alias `t`, to go after FROM."""
    return sql.SQL("{} as t").format(table.identifier)


def choose_scan(
    cursor: PgCursor, table: SourceTable, columns: Sequence[SourceColumn], sample_rows: int
) -> Scan:
    """Return the scan of `table`: a sample of about `sample_rows` rows if it has more (0: never).

    Tables are sampled by blocks, so that only the blocks sampled are read. Views and foreign tables have none:
    there a hash of the row decides, which must read all of them.
    """
    relation = whole(table)
    cursor.execute(sql.SQL("select count(*) from {}").format(relation))
    rows = _count(cursor)
    if not sample_rows or rows <= sample_rows:
        return Scan(relation, rows, rows)
    share = sample_rows / rows
    if table.kind in ("view", "foreign table"):
        method = f"rows by hash, about {share:.2%}"
        relation = sql.SQL(
            "(select * from {} where hashtextextended(row({})::text, {}) & {} < {}) as t"
        ).format(
            relation,
            sql.SQL(", ").join(column.ref for column in columns),
            sql.Literal(SEED),
            sql.Literal(_HASH_RANGE - 1),
            sql.Literal(int(share * _HASH_RANGE)),
        )
    else:
        method = f"blocks, about {share:.2%}"
        relation = sql.SQL("{} tablesample system ({}) repeatable ({})").format(
            relation, sql.Literal(100 * share), sql.Literal(SEED)
        )
    cursor.execute(sql.SQL("select count(*) from {}").format(relation))
    return Scan(relation, rows, _count(cursor), method)


def _count(cursor: PgCursor) -> int:
    row = cursor.fetchone()
    assert row is not None  # noqa: S101 (an aggregate without GROUP BY always answers one row)
    return int(row[0])
