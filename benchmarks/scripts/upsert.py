"""A careful hand-written increment in one Python process: binary COPY through a pipe, one upsert in key order.

Usage: upsert.py QUERY COPY MERGE [TABLE KEY]

With a source table and its key, deleted rows are found too: all keys are copied and compared.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import closing

import psycopg2
from psycopg2.extensions import cursor as PgCursor


def main() -> None:
    """Stage the rows of QUERY like COPY and run MERGE, in one transaction."""
    query, copy, merge, *sweep = sys.argv[1:]
    with (
        closing(psycopg2.connect(os.environ["SOURCE_URL"])) as source,
        closing(psycopg2.connect(os.environ["WAREHOUSE_URL"])) as warehouse,
        source.cursor() as origin,
        warehouse,
        warehouse.cursor() as target,
    ):
        _stage(origin, query, target, "stage", f"select * from {copy}")
        target.execute(merge)
        if sweep:
            table, key = sweep
            _stage(origin, f"select {key} from {table}", target, "keys", f"select {key} from {copy}")
            gone = f"not exists (select from keys where keys.{key} = held.{key})"
            target.execute(f"delete from {copy} as held where {gone}")


def _stage(origin: PgCursor, query: str, target: PgCursor, into: str, shape: str) -> None:
    """Copy the rows of `query` into a new temp table `into` of the columns of `shape`."""
    target.execute(f"create temp table {into} on commit drop as {shape} limit 0")
    read_end, write_end = os.pipe()

    def read() -> None:
        with os.fdopen(write_end, "wb") as out:
            origin.copy_expert(f"copy ({query}) to stdout (format binary)", out, 1 << 18)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(read_end, "rb") as rows:
        target.copy_expert(f"copy {into} from stdin (format binary)", rows, 1 << 18)
    reader.join()
    target.execute(f"analyze {into}")


if __name__ == "__main__":
    main()
