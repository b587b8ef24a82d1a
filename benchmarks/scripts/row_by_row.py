"""Loads the first rows of the source with psycopg2: executemany, execute_values, or inserts of BATCH rows.

Usage: row_by_row.py executemany|execute_values|batches ROWS
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from itertools import chain

import psycopg2
from psycopg2.extras import execute_values

from benchmarks.by_hand import COPY, KEY_AFTER
from benchmarks.table import COLUMNS, KEY, NAME, NAMES

PAGE, BATCH = 1000, 100
INSERT = f"insert into {COPY} ({NAMES}) values "
ONE = f"({', '.join(['%s'] * len(COLUMNS))})"


def main() -> None:
    """Load, then make the key, in one transaction."""
    how, rows = sys.argv[1:]
    with (
        closing(psycopg2.connect(os.environ["SOURCE_URL"])) as source,
        closing(psycopg2.connect(os.environ["WAREHOUSE_URL"])) as warehouse,
        source.cursor("origin") as origin,
        warehouse,
        warehouse.cursor() as target,
    ):
        origin.execute(f"select {NAMES} from {NAME} where {KEY} <= {rows}")
        while page := origin.fetchmany(PAGE):
            if how == "executemany":
                target.executemany(INSERT + ONE, page)
            elif how == "execute_values":
                execute_values(target, INSERT + "%s", page, page_size=PAGE)
            else:
                for batch in (page[start : start + BATCH] for start in range(0, len(page), BATCH)):
                    target.execute(INSERT + ", ".join([ONE] * len(batch)), list(chain(*batch)))
        target.execute(KEY_AFTER)


if __name__ == "__main__":
    main()
