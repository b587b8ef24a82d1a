"""Streams a table into a Parquet file: a cursor of the server, a batch of rows at a time, memory stays flat.

A file appears whole or not at all: it is written beside its place and renamed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection

from runner.errors import ConfigError, DataError
from runner.features.columns import Column, read_columns
from runner.features.tables import ExportTable

# Rows per batch, and per row group of the file.
BATCH_ROWS = 16_384


@dataclass(frozen=True)
class Window:
    """As-of dates to export: from `since` on, up to but without `until`; None is open."""

    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class Exported:
    """A written file."""

    model: str
    path: Path
    rows: int


def export_table(session: PgConnection, table: ExportTable, path: Path, window: Window) -> Exported:
    """Write the table's rows in `window` to `path`, ordered by entity and as-of date.

    Raises:
        ConfigError: the table is not built, lacks a column its YAML names, or `path` cannot be written.
        DataError: there is no row in the window, or a value that Parquet cannot hold.
    """
    try:
        columns = read_columns(session, table)
        names = {column.field.name for column in columns}
        if not columns:
            raise ConfigError(
                f"{table.schema}.{table.name} is not there: run `dbt build --select +{table.model}`"
            )
        if missing := sorted({table.entity, table.as_of} - names):
            raise ConfigError(f"{table.model} has no column {', '.join(missing)}: mend its YAML")
        with _whole_file(path) as unfinished:
            rows = _write(session, table, columns, window, unfinished)
            if not rows:
                raise DataError(_nothing(session, table, window))
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror}; choose another --output"
        ) from None
    except (pa.ArrowException, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{table.model}: a value does not fit into Parquet ({reason}): infinite dates and NaN do not; "
            "leave them out of the model"
        ) from None
    return Exported(table.model, path, rows)


def _write(
    session: PgConnection,
    table: ExportTable,
    columns: tuple[Column, ...],
    window: Window,
    path: Path,
) -> int:
    """Write all rows and return how many."""
    schema = pa.schema([column.field for column in columns], metadata={"model": table.model})
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in _batches(session, _query(table, columns, window)):
            *values, finite = zip(*rows, strict=True)
            if not all(finite):
                raise ValueError(
                    "an infinite date"
                )  # which psycopg2 would make one of the year 9999
            arrays = [
                pa.array(these, type=column.field.type)
                for column, these in zip(columns, values, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(rows)
    return count


def _batches(session: PgConnection, query: sql.Composable) -> Iterator[list[tuple[Any, ...]]]:
    with session.cursor(name="haven_export") as cursor:
        cursor.itersize = BATCH_ROWS
        cursor.execute(query)
        while rows := cursor.fetchmany(BATCH_ROWS):
            yield rows


def _query(table: ExportTable, columns: tuple[Column, ...], window: Window) -> sql.Composable:
    as_of, relation = sql.Identifier(table.as_of), sql.Identifier(table.schema, table.name)
    conditions: list[sql.Composable] = [sql.SQL("true")]
    if window.since is not None:
        conditions.append(sql.SQL("{} >= {}").format(as_of, sql.Literal(window.since)))
    if window.until is not None:
        conditions.append(sql.SQL("{} < {}").format(as_of, sql.Literal(window.until)))
    finite: list[sql.Composable] = [sql.SQL("true")]
    finite += [
        sql.SQL("isfinite({}) is not false").format(column.expression)
        for column in columns
        if pa.types.is_temporal(column.field.type)
    ]
    return sql.SQL("select {}, {} from {} where {} order by {}, {}").format(
        sql.SQL(", ").join(column.expression for column in columns),
        sql.SQL(" and ").join(finite),
        relation,
        sql.SQL(" and ").join(conditions),
        sql.Identifier(table.entity),
        as_of,
    )


def _nothing(session: PgConnection, table: ExportTable, window: Window) -> str:
    """Say that the window holds nothing, and what the table does hold."""
    with session.cursor() as cursor:
        cursor.execute(
            sql.SQL("select min({0}), max({0}) from {1}").format(
                sql.Identifier(table.as_of), sql.Identifier(table.schema, table.name)
            )
        )
        oldest, newest = cursor.fetchone() or (None, None)
    if newest is None:
        return f"{table.model} is empty: run `dbt build --select +{table.model}`"
    return (
        f"{table.model} has no row with {table.as_of} from {window.since or 'the start'} "
        f"to before {window.until or 'the end'}: it holds {oldest} to {newest}"
    )


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`, and rename what was written there once the block has succeeded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_only(session: PgConnection) -> None:
    """Let the session see one moment of all tables, so that features and labels of one export agree."""
    session.set_session(
        isolation_level=psycopg2.extensions.ISOLATION_LEVEL_REPEATABLE_READ, readonly=True
    )
