"""Loads one table with pandas, in an environment of its own: read_sql in chunks, to_sql, then the key.

Usage: pandas_load.py SOURCE SCHEMA TARGET KEY ROWS (0: all)
"""

from __future__ import annotations

import os
import sys

import pandas
import sqlalchemy


def main() -> None:
    """Append chunk by chunk to a table that pandas makes itself."""
    source, schema, target, key, rows = sys.argv[1:]
    url = {
        name: os.environ[name].replace("postgresql:", "postgresql+psycopg2:", 1)
        for name in ("SOURCE_URL", "WAREHOUSE_URL")
    }
    reader = sqlalchemy.create_engine(url["SOURCE_URL"]).connect()
    limit = f" where {key} <= {rows}" if rows != "0" else ""
    chunks = pandas.read_sql(
        sqlalchemy.text(f"select * from {source}{limit}"),
        reader.execution_options(stream_results=True),
        chunksize=20_000,
        coerce_float=False,
    )
    with sqlalchemy.create_engine(url["WAREHOUSE_URL"]).begin() as writer:
        writer.execute(sqlalchemy.text(f"create schema if not exists {schema}"))
        for number, chunk in enumerate(chunks):
            chunk.to_sql(
                target, writer, schema=schema, index=False, method="multi", chunksize=1000,
                if_exists="append" if number else "replace",
            )  # fmt: skip
        writer.execute(sqlalchemy.text(f"alter table {schema}.{target} add primary key ({key})"))


if __name__ == "__main__":
    main()
