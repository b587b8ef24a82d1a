"""A careful hand-written increment in one Python process: binary COPY through a pipe, one upsert in key order.

Usage: upsert.py QUERY COPY MERGE
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import closing

import psycopg2


def main() -> None:
    """Stage the rows of QUERY like COPY and run MERGE, in one transaction."""
    query, copy, merge = sys.argv[1:]
    read_end, write_end = os.pipe()
    with (
        closing(psycopg2.connect(os.environ["SOURCE_URL"])) as source,
        closing(psycopg2.connect(os.environ["WAREHOUSE_URL"])) as warehouse,
        source.cursor() as origin,
        warehouse,
        warehouse.cursor() as target,
    ):

        def read() -> None:
            with os.fdopen(write_end, "wb") as out:
                origin.copy_expert(f"copy ({query}) to stdout (format binary)", out, 1 << 18)

        target.execute(f"create temp table stage on commit drop as select * from {copy} limit 0")
        reader = threading.Thread(target=read)
        reader.start()
        with os.fdopen(read_end, "rb") as rows:
            target.copy_expert("copy stage from stdin (format binary)", rows, 1 << 18)
        reader.join()
        target.execute("analyze stage")
        target.execute(merge)


if __name__ == "__main__":
    main()
