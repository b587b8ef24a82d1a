"""Decides what a load of one table will do: its columns, its key, what it reads. Nothing is moved here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from runner.catalog import Column, Table, schemas_with
from runner.connect import explained, is_connection_error
from runner.contract import Contract, TableSpec
from runner.errors import ConfigError, DataError, HavenError
from runner.load.catalogs import Catalogs, read_catalogs, supported
from runner.load.columns import check_columns, check_key, chosen_columns
from runner.load.drift import Drift, find_drift, fitted, renamed_raw
from runner.load.identity import Identity, check_origin, identity_of
from runner.load.marks import MARK_TYPES, TIME_TYPES, Probed
from runner.load.outcome import LoadRequest, Mode, TableOutcome
from runner.load.row_filter import kept_from, mode_and_filter, timeout
from runner.load.suppression import check_people, suppressed

# PostgreSQL 17, as server_version_num counts.
_INFINITE_INTERVALS = 170000


@dataclass(frozen=True)
class TablePlan:
    """What one load will do. `condition` limits the rows read (None: all); `is_sweeping` compares keys.

    `drift` is how raw's columns must change before. The whole load may take `timeout_s` seconds. `kept_from`: rows
    that are older, by the retention's column, are not there for the loader. `compared_whole` says why an incremental
    table is read whole. `identity` is what the source's table is, None if that is known already. More than
    `max_deleted_share` of its rows may not go; `may_lose_values`: those that are gone may, to a new type. `probed` is
    what is known of its marks. `is_key_sure`: the source itself keeps the key unique.
    """

    spec: TableSpec
    kind: str
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
    probed: Probed | None = None
    compared_whole: str | None = None
    identity: Identity | None = None
    is_rebuilding: bool = False
    may_lose_values: bool = False
    max_deleted_share: float = 1.0
    is_key_sure: bool = True

    @property
    def table(self) -> sql.Identifier:
        """Return the source table's quoted name."""
        return sql.Identifier(self.spec.source_schema, self.spec.source_table)

    @property
    def source(self) -> sql.Composable:
        """Return what is read of the source table: all of it, or what `haven retain` has left."""
        if self.kept_from is None:
            return self.table
        return sql.SQL("(select * from {0} where {1} >= {2}::timestamptz or {1} is null) as kept").format(
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
    def note(self) -> str | None:
        """Return why the load reads more than was asked for, if it does."""
        if self.compared_whole:
            return f"{self.compared_whole}: comparing every row"
        if self.mode != "full" or self.probed is None or not self.probed.is_below:
            return None
        return (
            f"the source's highest {self.spec.watermark} ({self.probed.highest or 'none'}) is below the stored mark "
            f"({self.watermark_from}): reading the whole table"
        )

    @property
    def is_time(self) -> bool:
        """Return whether the watermark is a time, so that a time can bound it."""
        return (self.watermark_type or "").startswith(TIME_TYPES)


def _source_table(source: PgCursor, spec: TableSpec, seen: Catalogs) -> Table:
    """Return the source's table. Raises DataError or ConfigError if it cannot be read whole."""
    found = seen.source.get((spec.source_schema, spec.source_table))
    if found is None:
        raise DataError(_where_it_went(source, spec))
    if not found.is_filled:
        name = sql.Identifier(spec.source_schema, spec.source_table).as_string(source)
        raise DataError(
            f"{spec.label} is a materialized view that was never filled: run `refresh materialized view "
            f"{name}` in the source, then load again"
        )
    if found.is_filtered:
        raise ConfigError(
            f"{spec.file}: table {spec.label}: row-level security hides rows of {spec.source_schema}."
            f"{spec.source_table} from the role that reads it: grant the role BYPASSRLS, or load a view "
            "whose owner sees every row"
        )
    return found


def plan_table(
    source: PgCursor,
    warehouse: PgCursor,
    spec: TableSpec,
    request: LoadRequest,
    seen: Catalogs | None = None,
    probed: Probed | None = None,
) -> TablePlan:
    """Return the plan for one table; `seen` is what `read_catalogs` gave for several.

    Raises:
        ConfigError: the YAML names a column, key or value that does not fit the table, or the source is another one.
        DataError: the source has no such table, or raw cannot take its columns any more.
    """
    if seen is None:
        seen = read_catalogs(source, warehouse, [spec])
        if not request.accept_source:
            check_origin([spec], seen.origin, seen.identities)
    found = _source_table(source, spec, seen)
    columns = supported(chosen_columns(spec, found), seen)
    if source.connection.server_version >= _INFINITE_INTERVALS > warehouse.connection.server_version:
        columns = tuple(replace(c, refuses_infinity=c.raw_type.startswith("interval")) for c in columns)
    key = spec.primary_key or found.primary_key
    check_columns(spec, found, "primary_key", key)
    loaded = {column.name for column in columns}
    for name in (*key, *filter(None, (spec.watermark,))):
        if name not in loaded and name in found.names:
            raise ConfigError(
                f"{spec.file}: table {spec.label}: column {name!r} is needed as key or watermark "
                "but left out by `columns` or `exclude`"
            )
    now = identity_of(found, seen.origin)
    before = seen.identities.get((spec.raw_schema, spec.raw_table))
    # Where raw cannot follow, a new name only matters for what may be erased.
    moved = before.renamed_to(now) if before is not None and spec.person else {}
    columns = suppressed(columns, spec, key, moved, warehouse, source)
    raw, renamed = _followed(seen.raw.get((spec.raw_schema, spec.raw_table)), before, now)
    check_key(spec, key, found, raw, is_rebuilding=request.rebuild)
    if spec.retention_column:
        check_columns(spec, found, "retention", (spec.retention_column,))
    watermark_type = None
    if spec.watermark:
        check_columns(spec, found, "watermark", (spec.watermark,))
        watermark_type = found.type_of(spec.watermark)
        if not watermark_type.startswith(MARK_TYPES):
            raise ConfigError(
                f"{spec.file}: table {spec.label}: watermark {spec.watermark!r} has type "
                f"{watermark_type}; it must be a timestamp, a date or a number"
            )
    columns = fitted(columns, raw)
    noted = seen.noted.get((spec.raw_schema, spec.raw_table), {})
    drift = find_drift(spec, columns, key, raw, noted, is_rebuilding=request.rebuild)
    drift = replace(drift, renamed=renamed, moved={o: n for o, n in moved.items() if o not in renamed})
    mark, is_of_type = seen.marks.get(spec.label, (None, True)) if raw else (None, True)
    stored = mark if is_of_type else None
    mode, condition = mode_and_filter(source, spec, request, raw, stored, watermark_type, probed)
    compared_whole = None
    if raw is not None and watermark_type is not None and not request.full:
        compared_whole = _doubt(drift, before, now)
        if mark is not None and not is_of_type:
            compared_whole = f"{spec.watermark} is {watermark_type} now, and the stored mark is not"
    if compared_whole is not None:
        mode, condition = "full", None
    return TablePlan(
        spec=spec,
        kind=found.kind,
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
        timeout_s=timeout(source, spec),
        kept_from=kept_from(warehouse, spec),
        probed=probed,
        compared_whole=compared_whole,
        identity=None if raw is not None and before == now else now,
        is_rebuilding=request.rebuild,
        is_key_sure=found.vouches_for(key),
        may_lose_values=request.allow_deletes,
        max_deleted_share=1.0 if request.allow_deletes else spec.max_deleted_share,
    )


def _followed(raw: Table | None, before: Identity | None, now: Identity) -> tuple[Table | None, dict[str, str]]:
    """Return raw with the names that the source's columns have now, and which of its columns must be renamed.

    One that took another's name, or left its own to another, keeps its place: raw has a column of either name.
    """
    if raw is None or before is None:
        return raw, {}
    renamed = {
        old: new
        for old, new in before.renamed_to(now).items()
        if old in raw.names and old not in now.numbers and new not in {*raw.names, *before.numbers}
    }
    return renamed_raw(raw, renamed), renamed


def _doubt(drift: Drift, before: Identity | None, now: Identity) -> str | None:
    """Return why the watermark does not tell which rows of the source differ from raw's; None if it does."""
    reason = before.doubt(now) if before is not None else None
    # One that the source had before was left out until now.
    known = before.numbers if before is not None else {}
    filled = [c.name for c in drift.added if c.fills_old_rows or c.name in known]
    if reason is None and filled:
        reason = f"older rows have values in the new column {', '.join(filled)}"
    if reason is None and drift.restored:
        names = ", ".join(column.name for column in drift.restored)
        reason = f"raw has values of before {names} was gone"
    if reason is None and drift.rebuilt:
        reason = f"{', '.join(c.name for c, _ in drift.rebuilt)} changed the type"
    if reason is None and drift.key is not None:
        reason = "the key changed"
    return reason


def _where_it_went(source: PgCursor, spec: TableSpec) -> str:
    """Return the line for a table that is not there."""
    name = f"the source has no table {spec.source_schema}.{spec.source_table}"
    elsewhere = schemas_with(source, spec.source_table)
    if elsewhere:
        return (
            f"{name}, but there is one in {', '.join(elsewhere)}: if it was moved, set `source_schema` in {spec.file}"
        )
    return f"{name}: was it dropped or renamed? Fix or remove it in {spec.file}"


def plan_all(
    contract: Contract,
    source: PgConnection,
    warehouse: PgConnection,
    request: LoadRequest,
    marks: Mapping[str, Probed] | None = None,
) -> tuple[list[TablePlan], list[TableOutcome]]:
    """Return the plans of all tables, and the outcomes of those that cannot be loaded. Moves nothing."""
    plans: list[TablePlan] = []
    failures = [TableOutcome(p.label, strategy="?", mode=None, error=p.message, exit_code=2) for p in contract.problems]
    with warehouse, warehouse.cursor() as target, source.cursor() as origin:
        with explained():
            seen = read_catalogs(origin, target, contract.tables)
        if not request.accept_source:
            check_origin(contract.tables, seen.origin, seen.identities)
        check_people(contract, target)
        for spec in contract.tables:
            # What goes wrong with one table must not end the transactions the others are planned in.
            for cursor in (target, origin):
                cursor.execute("savepoint plan")
            try:
                with explained():
                    probed = (marks or {}).get(spec.label)
                    plans.append(plan_table(origin, target, spec, request, seen, probed))
            except HavenError as error:
                if is_connection_error(error):
                    raise
                failures.append(not_planned(spec, error))
                for cursor in (target, origin):
                    cursor.execute("rollback to savepoint plan")
    return plans, failures


def not_planned(spec: TableSpec, error: HavenError) -> TableOutcome:
    """Return the outcome of a table that could not even be planned, or was not reached."""
    return TableOutcome(spec.label, spec.strategy, mode=None, error=str(error), exit_code=error.exit_code)
