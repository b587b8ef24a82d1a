"""Loads the first rows of the source with psycopg2's insert helpers: executemany, execute_values, batches by hand.

Usage: row_by_row.py HOW ROWS
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from typing import Any

import psycopg2
from psycopg2.extensions import cursor as PgCursor
from psycopg2.extras import execute_values

from benchmarks.by_hand import COPY, KEY_AFTER
from benchmarks.table import COLUMNS, KEY, NAME, NAMES

PAGE = 1000
BATCH = 100
ONE = "(" + ", ".join(["%s"] * len(COLUMNS)) + ")"


def _pages(cursor: PgCursor, rows: int) -> Iterator[list[tuple[Any, ...]]]:
    cursor.itersize = PAGE
    cursor.execute(f"select {NAMES} from {NAME} where {KEY} <= {rows}")
    while page := cursor.fetchmany(PAGE):
        yield page


def _insert(cursor: PgCursor, how: str, page: list[tuple[Any, ...]]) -> None:
    if how == "executemany":
        cursor.executemany(f"insert into {COPY} ({NAMES}) values {ONE}", page)
    elif how == "execute_values":
        execute_values(cursor, f"insert into {COPY} ({NAMES}) values %s", page, page_size=PAGE)
    else:
        for start in range(0, len(page), BATCH):
            batch = page[start : start + BATCH]
            values = ", ".join([ONE] * len(batch))
            cursor.execute(f"insert into {COPY} ({NAMES}) values {values}", list(chain(*batch)))


def main() -> None:
    """Load, then make the key, in one transaction."""
    how, rows = sys.argv[1], int(sys.argv[2])
    with (
        closing(psycopg2.connect(os.environ["SOURCE_URL"])) as source,
        closing(psycopg2.connect(os.environ["WAREHOUSE_URL"])) as warehouse,
        source.cursor("origin") as origin,
        warehouse,
        warehouse.cursor() as target,
    ):
        for page in _pages(origin, rows):
            _insert(target, how, page)
        target.execute(KEY_AFTER)


if __name__ == "__main__":
    main()
