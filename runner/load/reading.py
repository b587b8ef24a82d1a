"""Decides which rows of the source a load reads: first, full, by watermark, or a window that is read again."""

from __future__ import annotations

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner.catalog import Table
from runner.contract import DEFAULT_LOOKBACK, TableSpec
from runner.errors import ConfigError
from runner.load.outcome import LoadRequest, Mode

TIME_TYPES = ("timestamp", "date")
NUMBER_TYPES = ("smallint", "integer", "bigint", "numeric")


def kept_from(warehouse: PgCursor, spec: TableSpec) -> str | None:
    """Return the time from which on rows are kept, if `haven retain` has ever removed older ones."""
    if spec.retention_column is None:
        return None
    warehouse.execute(
        "select max(kept_from)::text from ops.retentions where schema_name = %s and table_name = %s",
        (spec.raw_schema, spec.raw_table),
    )
    row = warehouse.fetchone()
    return row[0] if row else None


def stored_watermark(warehouse: PgCursor, spec: TableSpec) -> str | None:
    """Return the watermark of the table's last load as text; None if there is none of that column."""
    warehouse.execute(
        "select watermark from ops.watermarks "
        "where source_name = %s and table_name = %s and watermark_column = %s",
        (spec.source_name, spec.name, spec.watermark),
    )
    row = warehouse.fetchone()
    return row[0] if row else None


def reading(
    source: PgCursor,
    spec: TableSpec,
    request: LoadRequest,
    raw: Table | None,
    stored: str | None,
    watermark_type: str | None,
) -> tuple[Mode, sql.Composable | None]:
    """Return the mode and the condition on the rows to read (None: all of them).

    Raises ConfigError if `--since`, `--until` or the lookback is no value of the watermark's type.
    """
    if raw is None:
        return "first", None
    if spec.watermark is None or watermark_type is None:
        return "full", None
    column, kind = sql.Identifier(spec.watermark), sql.SQL(watermark_type)
    if request.since is not None or request.until is not None:
        parts = []
        for name, operator, value in (
            ("since", ">=", request.since),
            ("until", "<", request.until),
        ):
            if value is not None:
                _check_value(source, f"--{name}", value, watermark_type)
                parts.append(
                    sql.SQL("{} {} {}::{}").format(
                        column, sql.SQL(operator), sql.Literal(value), kind
                    )
                )
        return "backfill", sql.SQL(" and ").join(parts)
    if request.full or stored is None:
        return "full", None
    low = sql.SQL("{}::{} - {}").format(
        sql.Literal(stored), kind, _lookback(source, spec, watermark_type)
    )
    # A row without a watermark is read each time: nothing else would ever tell that it changed.
    return "incremental", sql.SQL("({0} >= {1} or {0} is null)").format(column, low)


def _lookback(source: PgCursor, spec: TableSpec, watermark_type: str) -> sql.Composable:
    if watermark_type.startswith(TIME_TYPES):
        _check_value(
            source, f"{spec.file}: table {spec.label}: lookback", spec.lookback, "interval"
        )
        return sql.SQL("{}::interval").format(sql.Literal(spec.lookback))
    if spec.lookback == DEFAULT_LOOKBACK:
        # The default is a time; a numeric watermark has no overlap unless asked.
        return sql.Literal(0)
    _check_value(source, f"{spec.file}: table {spec.label}: lookback", spec.lookback, "numeric")
    return sql.SQL("{}::numeric").format(sql.Literal(spec.lookback))


def timeout(source: PgCursor, spec: TableSpec) -> float:
    """Return the table's timeout in seconds. Raises ConfigError if it is no time, or none at all."""
    where = f"{spec.file}: table {spec.label}: timeout"
    _check_value(source, where, spec.timeout, "interval")
    source.execute("select extract(epoch from %s::interval)", (spec.timeout,))
    seconds = float(source.fetchone()[0])  # type: ignore[index]
    if seconds <= 0:
        raise ConfigError(f"{where} is {spec.timeout!r}; it must be longer than nothing")
    return seconds


def _check_value(source: PgCursor, where: str, value: str, kind: str) -> None:
    try:
        source.execute("savepoint value")
        source.execute(sql.SQL("select %s::{}").format(sql.SQL(kind)), (value,))
        source.execute("release savepoint value")
    except psycopg2.DataError as error:
        source.execute("rollback to savepoint value")
        raise ConfigError(f"{where} is {value!r}, which is no {kind}") from error
