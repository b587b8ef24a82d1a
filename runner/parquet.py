"""Writes models with an as-of date (features, labels, training sets) as Parquet files.

A cursor of the server gives a batch of rows at a time, so memory stays flat. A file appears whole or not at all: it is
written beside its place and renamed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection

from runner.catalog import Column, read_table
from runner.errors import ConfigError, DataError

# Keys of config.meta that make a model exportable; each holds `entity` and `as_of`, names of columns.
FEATURE_KEYS = ("feature_table", "label_table", "training_set")
# Rows per batch, and per row group of the file.
_BATCH_ROWS = 16_384
_MOST_DIGITS_128 = 38
_MOST_DIGITS_256 = 76
_TYPES = {
    "boolean": pa.bool_(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "text": pa.string(),
    "character varying": pa.string(),
    "character": pa.string(),
    "bpchar": pa.string(),
    "date": pa.date32(),
    "timestamp without time zone": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True)
class ExportTable:
    """One exportable model: where it is, and what its rows are of."""

    model: str
    schema: str
    name: str
    entity: str
    as_of: str
    descriptions: Mapping[str, str]


def find_tables(manifest: Mapping[str, Any], wanted: Sequence[str]) -> tuple[ExportTable, ...]:
    """Return the exportable models of dbt's manifest, by name; only `wanted` ones if any are named.

    Raises ConfigError if there are none, a wanted one is not among them, or its YAML is incomplete.
    """
    found = {}
    for node in manifest["nodes"].values():
        name, meta = node["name"], node["config"].get("meta", {})
        for kind in FEATURE_KEYS if node["resource_type"] == "model" else ():
            if kind not in meta:
                continue
            if missing := [key for key in ("entity", "as_of") if key not in meta[kind]]:
                file, lacks = node["original_file_path"], ", ".join(missing)
                raise ConfigError(f"{file}: {name}: config.meta.{kind} lacks {lacks}")
            told = {column: said["description"] for column, said in node["columns"].items()}
            entity, as_of = meta[kind]["entity"], meta[kind]["as_of"]
            found[name] = ExportTable(name, node["schema"], node["alias"], entity, as_of, told)
    if not found:
        raise ConfigError(
            f"the project has no model to export: give one config.meta.{FEATURE_KEYS[0]} with entity and as_of"
        )
    if unknown := sorted(set(wanted) - set(found)):
        raise ConfigError(f"cannot export {', '.join(unknown)}: choose from {', '.join(sorted(found))}")
    return tuple(found[name] for name in sorted(set(wanted) or found))


def export_table(session: PgConnection, table: ExportTable, path: Path, since: date | None, until: date | None) -> int:
    """Write the table's rows with an as-of date from `since` to before `until` to `path`; return how many.

    They are ordered by entity and as-of date; None is open.

    Raises:
        ConfigError: the table is not built, lacks a column its YAML names, or `path` cannot be written.
        DataError: there is no such row, or a value that Parquet cannot hold.
    """
    with session.cursor() as cursor:
        there = read_table(cursor, table.schema, table.name)
    if there is None:
        raise ConfigError(f"{table.schema}.{table.name} is not there: run `dbt build --select +{table.model}`")
    if missing := sorted({table.entity, table.as_of} - set(there.names)):
        raise ConfigError(f"{table.model} has no column {', '.join(missing)}: correct its YAML")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = _write(session, table, there.columns, unfinished, since, until)
        if not rows:
            raise DataError(_nothing(session, table, since, until))
        unfinished.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; choose another --output") from None
    except (pa.ArrowException, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{table.model}: a value does not fit into Parquet ({reason}): infinite dates and NaN do not; "
            "leave them out of the model"
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)
    return rows


def _write(
    session: PgConnection,
    table: ExportTable,
    columns: Sequence[Column],
    path: Path,
    since: date | None,
    until: date | None,
) -> int:
    """Write all rows and return how many. What Parquet has no equal type for becomes text."""
    fields: list[pa.Field] = []
    selected: list[sql.Composable] = []
    finite: list[sql.Composable] = [sql.SQL("true")]
    for column in columns:
        kind, expression = arrow_type(column.raw_type), sql.Identifier(column.name)
        selected.append(sql.SQL("{}" if kind else "{}::text").format(expression))
        if kind and pa.types.is_temporal(kind):
            finite.append(sql.SQL("isfinite({}) is not false").format(expression))
        about = table.descriptions.get(column.name, "").strip()
        metadata = {"description": about} if about else None
        fields.append(pa.field(column.name, kind or pa.string(), not column.is_not_null, metadata))
    query = sql.SQL(
        "select {}, {} from {} where (%(since)s::date is null or {as_of} >= %(since)s) "
        "and (%(until)s::date is null or {as_of} < %(until)s) order by {}, {as_of}"
    ).format(
        sql.SQL(", ").join(selected),
        sql.SQL(" and ").join(finite),
        sql.Identifier(table.schema, table.name),
        sql.Identifier(table.entity),
        as_of=sql.Identifier(table.as_of),
    )
    schema = pa.schema(fields, metadata={"model": table.model})
    count = 0
    with session.cursor(name="haven_export") as cursor, pq.ParquetWriter(path, schema, compression="zstd") as writer:
        cursor.itersize = _BATCH_ROWS
        cursor.execute(query, {"since": since, "until": until})
        while rows := cursor.fetchmany(_BATCH_ROWS):
            *values, are_finite = zip(*rows, strict=True)
            if not all(are_finite):  # psycopg2 would make an infinite date one of the year 9999
                raise ValueError("an infinite date")
            arrays = [pa.array(v, field.type) for v, field in zip(values, fields, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(rows)
    return count


def _nothing(session: PgConnection, table: ExportTable, since: date | None, until: date | None) -> str:
    """Say that no row has such a date, and which dates the table does hold."""
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
        f"{table.model} has no row with {table.as_of} from {since or 'the start'} "
        f"to before {until or 'the end'}: it holds {oldest} to {newest}"
    )


def arrow_type(raw_type: str) -> pa.DataType | None:
    """Return the Parquet type that holds every value of a PostgreSQL type exactly, None if there is none.

    A numeric needs its precision and scale: without them it may hold more digits than any decimal type.
    """
    if numeric := re.fullmatch(r"numeric\((\d+),(\d+)\)", raw_type):
        precision, scale = int(numeric[1]), int(numeric[2])
        if not scale <= precision <= _MOST_DIGITS_256:
            return None
        decimal = pa.decimal128 if precision <= _MOST_DIGITS_128 else pa.decimal256
        return decimal(precision, scale)
    return _TYPES.get(re.sub(r"\(\d+\)", "", raw_type))
