"""PostgreSQL's types as Parquet stores them: exactly, or as text where Parquet has no equal type."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection

from runner.features.tables import ExportTable

_MOST_DIGITS_128 = 38
_MOST_DIGITS_256 = 76

_TYPES = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bpchar": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True)
class Column:
    """One column: how it is read, and what it becomes."""

    expression: sql.Composable
    field: pa.Field


def read_columns(session: PgConnection, table: ExportTable) -> tuple[Column, ...]:
    """Return the columns of the table in their order; none if there is no such table."""
    with session.cursor() as cursor:
        cursor.execute(
            "select a.attname, t.typname, a.atttypmod, a.attnotnull from pg_attribute a "
            "join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace "
            "join pg_type t on t.oid = a.atttypid "
            "where n.nspname = %s and c.relname = %s and a.attnum > 0 and not a.attisdropped "
            "order by a.attnum",
            (table.schema, table.name),
        )
        found = cursor.fetchall()
    return tuple(
        _column(name, arrow_type(typname, typmod), not not_null, table)
        for name, typname, typmod, not_null in found
    )


def _column(
    name: str, known_type: pa.DataType | None, is_nullable: bool, table: ExportTable
) -> Column:
    expression: sql.Composable = sql.Identifier(name)
    if known_type is None:
        expression = sql.SQL("{}::text").format(expression)
    description = table.descriptions.get(name, "").strip()
    return Column(
        expression,
        pa.field(
            name,
            known_type or pa.string(),
            nullable=is_nullable,
            metadata={"description": description} if description else None,
        ),
    )


def arrow_type(typname: str, typmod: int) -> pa.DataType | None:
    """Return the Parquet type that holds every value of a PostgreSQL type exactly, None if there is none.

    A numeric needs its precision and scale: without them it may hold more digits than any decimal type.
    """
    if typname != "numeric":
        return _TYPES.get(typname)
    if typmod < 0:
        return None
    precision = (typmod - 4) >> 16 & 0xFFFF
    scale = ((typmod - 4) & 0x7FF ^ 1024) - 1024  # 11 bits with a sign
    if not 0 <= scale <= precision <= _MOST_DIGITS_256:
        return None
    if precision <= _MOST_DIGITS_128:
        return pa.decimal128(precision, scale)
    return pa.decimal256(precision, scale)
