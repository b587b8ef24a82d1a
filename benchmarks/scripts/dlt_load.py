"""Loads one table with dlt, in dlt's own environment: pyarrow, parquet, ADBC.

Usage: dlt_load.py SCHEMA TABLE TARGET replace|merge KEY WATERMARK
"""

from __future__ import annotations

import os
import sys

import dlt
from dlt.sources.sql_database import sql_table


def main() -> None:
    """Run the pipeline; its state in DLT_DATA_DIR tells it what a merge has seen already."""
    schema, name, target, mode, key, watermark = sys.argv[1:]
    source = os.environ["SOURCE_URL"].replace("postgresql:", "postgresql+psycopg2:", 1)
    resource = sql_table(
        credentials=source,
        schema=schema,
        table=name,
        backend="pyarrow",
        chunk_size=100_000,
        reflection_level="full_with_precision",
        incremental=dlt.sources.incremental(watermark) if mode == "merge" else None,
        primary_key=key,
    )
    pipeline = dlt.pipeline(
        f"{target}_{mode}", destination=dlt.destinations.postgres(os.environ["WAREHOUSE_URL"]), dataset_name="peer"
    )
    disposition = {"disposition": "merge", "strategy": "upsert"} if mode == "merge" else mode
    pipeline.run(
        resource, table_name=target, write_disposition=disposition, primary_key=key, loader_file_format="parquet"
    )


if __name__ == "__main__":
    main()
