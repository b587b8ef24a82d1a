"""Decides what a load of one table will do: its columns, its key, what it reads. Nothing is moved here."""

from __future__ import annotations

from dataclasses import dataclass, replace

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from runner.catalog import Column, Table, read_table, schemas_with
from runner.connect import explained, is_connection_error
from runner.contract import DEFAULT_LOOKBACK, Contract, TableSpec
from runner.erase.suppression import suppressed
from runner.errors import ConfigError, DataError, HavenError
from runner.load.drift import Drift, find_drift, noted_changes
from runner.load.outcome import LoadRequest, Mode, TableOutcome
from runner.load.statements import META_COLUMNS

_TIME_TYPES = ("timestamp", "date")
_NUMBER_TYPES = ("smallint", "integer", "bigint", "numeric")
# PostgreSQL 17, as server_version_num counts.
_INFINITE_INTERVALS = 170000
MAX_COLUMNS = 1600


@dataclass(frozen=True)
class TablePlan:
    """What one load will do. `condition` limits the rows read (None: all); `is_sweeping` compares keys.

    `drift` is how raw's columns must change before. The whole load may take `timeout_s` seconds. `kept_from`: rows
    that are older, by the retention's column, are not there for the loader.
    """

    spec: TableSpec
    mode: Mode
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    condition: sql.Composable | None
    watermark_from: str | None
    watermark_type: str | None
    is_sweeping: bool
    drift: Drift
    rows_estimate: int
    size_bytes: int
    timeout_s: float
    kept_from: str | None = None

    @property
    def table(self) -> sql.Identifier:
        """Return the source table's quoted name."""
        return sql.Identifier(self.spec.source_schema, self.spec.source_table)

    @property
    def source(self) -> sql.Composable:
        """Return what is read of the source table: all of it, or what `haven retain` has left."""
        if self.kept_from is None:
            return self.table
        return sql.SQL(
            "(select * from {0} where {1} >= {2}::timestamptz or {1} is null) as kept"
        ).format(
            self.table, sql.Identifier(str(self.spec.retention_column)), sql.Literal(self.kept_from)
        )

    @property
    def raw(self) -> sql.Identifier:
        """Return the raw table's quoted name."""
        return sql.Identifier(self.spec.raw_schema, self.spec.raw_table)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns that are loaded."""
        return tuple(column.name for column in self.columns)

    @property
    def is_time(self) -> bool:
        """Return whether the watermark is a time, so that a time can bound it."""
        return (self.watermark_type or "").startswith(_TIME_TYPES)


def plan_table(
    source: PgCursor, warehouse: PgCursor, spec: TableSpec, request: LoadRequest
) -> TablePlan:
    """Return the plan for one table.

    Raises:
        ConfigError: the YAML names a column, key or value that does not fit the table.
        DataError: the source has no such table, or raw cannot take its columns any more.
    """
    found = read_table(source, spec.source_schema, spec.source_table)
    if found is None:
        raise DataError(_where_it_went(source, spec))
    if found.is_filtered:
        raise ConfigError(
            f"{spec.file}: table {spec.label}: row-level security hides rows of {spec.source_schema}."
            f"{spec.source_table} from the role that reads it: grant the role BYPASSRLS, or load a view "
            "whose owner sees every row"
        )
    columns = _columns(spec, found)
    if (
        source.connection.server_version
        >= _INFINITE_INTERVALS
        > warehouse.connection.server_version
    ):
        columns = tuple(
            replace(c, refuses_infinity=c.raw_type.startswith("interval")) for c in columns
        )
    key = spec.primary_key or found.primary_key
    _check_columns(spec, found, "primary_key", key)
    loaded = {column.name for column in columns}
    for name in (*key, *filter(None, (spec.watermark,))):
        if name not in loaded and name in found.names:
            raise ConfigError(
                f"{spec.file}: table {spec.label}: column {name!r} is needed as key or watermark "
                "but left out by `columns` or `exclude`"
            )
    columns = suppressed(columns, spec, key, warehouse)
    raw = read_table(warehouse, spec.raw_schema, spec.raw_table)
    _check_key(spec, key, found, raw)
    if spec.retention_column:
        _check_columns(spec, found, "retention", (spec.retention_column,))
    watermark_type = None
    if spec.watermark:
        _check_columns(spec, found, "watermark", (spec.watermark,))
        watermark_type = found.type_of(spec.watermark)
        if not watermark_type.startswith(_TIME_TYPES + _NUMBER_TYPES):
            raise ConfigError(
                f"{spec.file}: table {spec.label}: watermark {spec.watermark!r} has type "
                f"{watermark_type}; it must be a timestamp, a date or a number"
            )
    noted = noted_changes(warehouse, spec) if raw else {}
    drift = find_drift(spec, columns, key, raw, noted)
    stored = _stored_watermark(warehouse, spec) if raw else None
    mode, condition = _reading(source, spec, request, raw, stored, watermark_type)
    return TablePlan(
        spec=spec,
        mode=mode,
        columns=columns,
        key=key,
        condition=condition,
        watermark_from=stored,
        watermark_type=watermark_type,
        is_sweeping=mode in ("incremental", "backfill") and spec.deletes == "sweep",
        drift=drift,
        rows_estimate=found.rows,
        size_bytes=found.size_bytes,
        timeout_s=_timeout(source, spec),
        kept_from=_kept_from(warehouse, spec),
    )


def _where_it_went(source: PgCursor, spec: TableSpec) -> str:
    """Return the line for a table that is not there."""
    name = f"the source has no table {spec.source_schema}.{spec.source_table}"
    elsewhere = schemas_with(source, spec.source_table)
    if elsewhere:
        return (
            f"{name}, but there is one in {', '.join(elsewhere)}: if it was moved, set `source_schema` "
            f"in {spec.file}"
        )
    return f"{name}: was it dropped or renamed? Mend or remove it in {spec.file}"


def _columns(spec: TableSpec, found: Table) -> tuple[Column, ...]:
    _check_columns(spec, found, "columns", spec.columns)
    _check_columns(spec, found, "exclude", spec.exclude)
    wanted = spec.columns or found.names
    chosen = tuple(c for c in found.columns if c.name in wanted and c.name not in spec.exclude)
    for column in chosen:
        if column.name in META_COLUMNS:
            raise ConfigError(
                f"{spec.file}: table {spec.label}: column {column.name!r} has a name that raw keeps "
                "for itself; leave it out with `exclude`"
            )
    if not found.columns:
        raise ConfigError(
            f"{spec.file}: table {spec.label}: {spec.source_schema}.{spec.source_table} has no column, "
            "so there is nothing to load; remove it"
        )
    if not chosen:
        raise ConfigError(f"{spec.file}: table {spec.label}: no column is left to load")
    if len(chosen) > MAX_COLUMNS - len(META_COLUMNS):
        raise ConfigError(
            f"{spec.file}: table {spec.label}: it has {len(chosen)} columns, but a table holds "
            f"{MAX_COLUMNS} and raw needs {len(META_COLUMNS)} for itself: leave some out with `exclude`"
        )
    return chosen


def _check_columns(spec: TableSpec, found: Table, key: str, names: tuple[str, ...]) -> None:
    for name in names:
        if name not in found.names:
            raise ConfigError(
                f"{spec.file}: table {spec.label}: {key} names column {name!r}, which "
                f"{spec.source_schema}.{spec.source_table} does not have; "
                f"it has {', '.join(found.names)}"
            )


def _check_key(spec: TableSpec, key: tuple[str, ...], found: Table, raw: Table | None) -> None:
    if spec.strategy == "incremental" and not key:
        raise ConfigError(
            f"{spec.file}: table {spec.label}: strategy incremental needs a key, and the source's "
            f"{found.kind} declares none; name one with `primary_key`, or use strategy full"
        )
    if raw is not None and raw.primary_key != key:
        now = f"the key is ({', '.join(key)})" if key else f"the source's {found.kind} has no key"
        before = f"with ({', '.join(raw.primary_key)})" if raw.primary_key else "without a key"
        raise ConfigError(
            f"{spec.file}: table {spec.label}: {now} but {spec.raw_schema}.{spec.raw_table} was loaded "
            f"{before}; name the old one with `primary_key` if it still holds, or change raw's primary "
            "key by hand, or drop raw's table and load it anew"
        )


def _kept_from(warehouse: PgCursor, spec: TableSpec) -> str | None:
    """Return the time from which on rows are kept, if `haven retain` has ever removed older ones."""
    if spec.retention_column is None:
        return None
    warehouse.execute(
        "select max(kept_from)::text from ops.retentions where schema_name = %s and table_name = %s",
        (spec.raw_schema, spec.raw_table),
    )
    row = warehouse.fetchone()
    return row[0] if row else None


def _stored_watermark(warehouse: PgCursor, spec: TableSpec) -> str | None:
    warehouse.execute(
        "select watermark from ops.watermarks "
        "where source_name = %s and table_name = %s and watermark_column = %s",
        (spec.source_name, spec.name, spec.watermark),
    )
    row = warehouse.fetchone()
    return row[0] if row else None


def _reading(
    source: PgCursor,
    spec: TableSpec,
    request: LoadRequest,
    raw: Table | None,
    stored: str | None,
    watermark_type: str | None,
) -> tuple[Mode, sql.Composable | None]:
    """Return the mode and the condition on the rows to read."""
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
    if watermark_type.startswith(_TIME_TYPES):
        _check_value(
            source, f"{spec.file}: table {spec.label}: lookback", spec.lookback, "interval"
        )
        return sql.SQL("{}::interval").format(sql.Literal(spec.lookback))
    if spec.lookback == DEFAULT_LOOKBACK:
        # The default is a time; a numeric watermark has no overlap unless asked.
        return sql.Literal(0)
    _check_value(source, f"{spec.file}: table {spec.label}: lookback", spec.lookback, "numeric")
    return sql.SQL("{}::numeric").format(sql.Literal(spec.lookback))


def _timeout(source: PgCursor, spec: TableSpec) -> float:
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


def plan_all(
    contract: Contract, source: PgConnection, warehouse: PgConnection, request: LoadRequest
) -> tuple[list[TablePlan], list[TableOutcome]]:
    """Return the plans of all tables, and the outcomes of those that cannot be loaded. Moves nothing."""
    plans: list[TablePlan] = []
    failures = [
        TableOutcome(p.label, strategy="?", mode=None, error=p.message, exit_code=2)
        for p in contract.problems
    ]
    with warehouse, warehouse.cursor() as target, source.cursor() as origin:
        for spec in contract.tables:
            # What goes wrong with one table must not end the transactions the others are planned in.
            for cursor in (target, origin):
                cursor.execute("savepoint plan")
            try:
                with explained():
                    plans.append(plan_table(origin, target, spec, request))
            except HavenError as error:
                if is_connection_error(error):
                    raise
                failures.append(not_planned(spec, error))
                for cursor in (target, origin):
                    cursor.execute("rollback to savepoint plan")
    return plans, failures


def not_planned(spec: TableSpec, error: HavenError) -> TableOutcome:
    """Return the outcome of a table that could not even be planned, or was not reached."""
    return TableOutcome(
        spec.label, spec.strategy, mode=None, error=str(error), exit_code=error.exit_code
    )
