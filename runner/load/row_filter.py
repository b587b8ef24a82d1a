"""Decides which rows of the source a load reads: first, full, by watermark, or a window that is read again."""

from __future__ import annotations

import difflib
import re

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner.catalog import Table
from runner.contract import DEFAULT_LOOKBACK, TableSpec
from runner.errors import ConfigError, DataError
from runner.load.marks import TIME_TYPES, Probed
from runner.load.outcome import LoadRequest, Mode

# A statement's timeout is a 32-bit number of milliseconds.
LONGEST_TIMEOUT_S = 24 * 86400
_LEAST = {"smallint": -(2**15), "integer": -(2**31), "bigint": -(2**63)}
_NO_NUMBERS = ("nan", "infinity", "-infinity")
# Signs and bare numbers mean the opposite of what they look like: '+2' is two hours WEST of Greenwich.
_SIGNED_ZONE = re.compile(r"(utc|gmt)?\s*[+-]?\d", re.IGNORECASE)

# PostgreSQL takes a bare number for seconds, and '[1]' too.
_NO_UNIT = re.compile(r"[^a-z:]*|[-+.\d]+e[-+\d]+", re.IGNORECASE)
# Thousands of tables say the same few, and each is a question to the server.
_LENGTHS: dict[str, float] = {}
# Rows written since the snapshot are invisible to it, so a table that was filled anew looks empty. What this session
# has locked is what its query reads, and nobody can rewrite that any more. pg_class is as old as the snapshot; the
# functions know the file and the name of today. What the snapshot does not know at all is new beneath a view, or a
# partition that came meanwhile: that one has only new rows.
_WAS_REWRITTEN = """
select
    to_regclass(%(quoted)s)::oid is distinct from (
        select pg_class.oid
        from pg_class
        inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
        where pg_namespace.nspname = %(schema)s::name and pg_class.relname = %(table)s::name
    )
    or exists (
        select from pg_locks
        left join pg_class on pg_locks.relation = pg_class.oid
        where pg_locks.pid = pg_backend_pid() and pg_locks.locktype = 'relation'
            and pg_locks.relation >= 16384 -- PostgreSQL's own catalogs come before
            and case
                when pg_class.oid is null
                    then pg_get_indexdef(pg_locks.relation) is null
                        and coalesce(pg_partition_root(pg_locks.relation) = pg_locks.relation, true)
                else pg_class.relkind in ('r', 'm')
                    and pg_class.relfilenode is distinct from pg_relation_filenode(pg_class.oid)
            end
    )
"""


def hold(source: PgCursor, spec: TableSpec) -> None:
    """Lock what the source's table is made of, for the rest of the transaction. Raises DataError, psycopg2.Error.

    A table that was rewritten after the transaction's snapshot is refused: its old rows are gone.
    """
    name = sql.Identifier(spec.source_schema, spec.source_table)
    # Planning a query locks partitions and what a view reads, which `lock table` does not for all of them.
    source.execute(sql.SQL("explain (costs off) select from {}").format(name))
    source.execute(
        _WAS_REWRITTEN, {"quoted": name.as_string(source), "schema": spec.source_schema, "table": spec.source_table}
    )
    if source.fetchone() != (False,):
        raise DataError(
            f"{spec.label} was rewritten in the source (truncated, refreshed, made again, given another type) after "
            "this load began, so that its rows cannot be seen as of then: nothing was changed, load it again"
        )


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


def bare(kind: str) -> str:
    """Return a type without its precision: numeric(10,2) holds no infinity to compare with."""
    return re.sub(r"\([^)]*\)", "", kind)


def mode_and_filter(
    source: PgCursor,
    spec: TableSpec,
    request: LoadRequest,
    raw: Table | None,
    stored: str | None,
    watermark_type: str | None,
    probed: Probed | None = None,
) -> tuple[Mode, sql.Composable | None]:
    """Return the mode and the condition on the rows to read (None: all of them).

    Raises ConfigError if `--since`, `--until`, the lookback or the time zone is none for this watermark.
    """
    window = _window(source, spec, request, watermark_type)
    if watermark_type is None or spec.watermark is None:
        return "first" if raw is None else "full", None
    lookback = _lookback(source, spec, watermark_type)
    if spec.watermark_timezone:
        _check_timezone(source, spec, spec.watermark_timezone)
    if raw is None:
        return "first", None
    if window is not None:
        return "backfill", window
    if request.full or stored is None or (probed is not None and probed.is_below):
        return "full", None
    return "incremental", _from_mark(spec.watermark, bare(watermark_type), stored, lookback)


def _from_mark(watermark: str, kind: str, stored: str, lookback: sql.Composable | None) -> sql.Composed:
    """Return the condition for what came after the stored mark, and for rows that no mark will ever tell of.

    Those are re-read by each load: without a watermark, or below all (-infinity); NaN and infinity are above all.
    """
    low = sql.SQL("{}::{}").format(sql.Literal(stored), sql.SQL(kind))
    if lookback is not None and kind in _LEAST:
        # In the column's own type, so that an index serves; and not below what that holds.
        low = sql.SQL("greatest(ceil({} - {}), {})::{}").format(low, lookback, sql.Literal(_LEAST[kind]), sql.SQL(kind))
    elif lookback is not None:
        low = sql.SQL("{} - {}").format(low, lookback)
    odd = "{0} is null" if kind in _LEAST else "{0} is null or {0} = '-infinity'::{2}"
    return sql.SQL(f"({{0}} >= {{1}} or {odd})").format(sql.Identifier(watermark), low, sql.SQL(kind))


def _window(source: PgCursor, spec: TableSpec, request: LoadRequest, kind: str | None) -> sql.Composable | None:
    """Return the condition of `--since` and `--until`; None if neither is given."""
    given = {
        f"--{name}": value for name, value in (("since", request.since), ("until", request.until)) if value is not None
    }
    if not given:
        return None
    if kind is None:
        raise ConfigError(
            f"{spec.label} has no watermark, so {' and '.join(given)} say nothing about it: name the "
            "tables that have one, or leave the option out"
        )
    for name, value in given.items():
        if _checked(source, name, value, bare(kind)).lower() in _NO_NUMBERS:
            raise ConfigError(f"{name} is {value!r}, which no window begins or ends with")
    type_ = sql.SQL(bare(kind))
    if request.since is not None and request.until is not None:
        source.execute(
            sql.SQL("select {}::{type} < {}::{type}").format(
                sql.Literal(request.since), sql.Literal(request.until), type=type_
            )
        )
        if source.fetchone() != (True,):
            raise ConfigError(
                f"--since {request.since!r} is not before --until {request.until!r}: nothing lies between"
            )
    operators = {"--since": ">=", "--until": "<"}
    return sql.SQL(" and ").join(
        sql.SQL("{} {} {}::{}").format(
            sql.Identifier(str(spec.watermark)), sql.SQL(operators[name]), sql.Literal(value), type_
        )
        for name, value in given.items()
    )


def _lookback(source: PgCursor, spec: TableSpec, watermark_type: str) -> sql.Composable | None:
    """Return the overlap to read again; None if there is none. Raises ConfigError if it is no length."""
    where = f"{spec.file}: table {spec.label}: lookback"
    if watermark_type.startswith(TIME_TYPES):
        length_in_seconds(source, where, spec.lookback)
        return sql.SQL("{}::interval").format(sql.Literal(spec.lookback))
    if spec.lookback == DEFAULT_LOOKBACK:
        # The default is a time; a numeric watermark has no overlap unless asked.
        return None
    value = _checked(source, where, spec.lookback, "numeric")
    if value.lower() in _NO_NUMBERS or value.startswith("-"):
        raise ConfigError(f"{where} is {spec.lookback!r}; it must be a number from 0 on")
    kind = "double precision" if watermark_type in ("real", "double precision") else "numeric"
    return sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(kind))


def timeout(source: PgCursor, spec: TableSpec) -> float:
    """Return the table's timeout in seconds. Raises ConfigError if it is no time, none at all, or above 24 days."""
    where = f"{spec.file}: table {spec.label}: timeout"
    seconds = length_in_seconds(source, where, spec.timeout)
    if seconds == 0:
        raise ConfigError(f"{where} is {spec.timeout!r}; it must be longer than nothing")
    if seconds > LONGEST_TIMEOUT_S:
        raise ConfigError(f"{where} is {spec.timeout!r}; it may be 24 days at most")
    return seconds


def length_in_seconds(source: PgCursor, where: str, value: str) -> float:
    """Return a length of time in seconds. Raises ConfigError if it is none, or has no unit."""
    if value in _LENGTHS:
        return _LENGTHS[value]
    if _NO_UNIT.fullmatch(value.strip()) and re.search("[1-9]", value):
        raise ConfigError(f"{where} is {value!r}: say of what, such as '{value.strip()} minutes'")
    _checked(source, where, value, "interval")
    # No longer than the calendar, so that it can be taken from any time.
    source.execute(
        "select extract(epoch from %(value)s::interval) where %(value)s::interval "
        "between '0' and interval '4000 years'",
        {"value": value},
    )
    row = source.fetchone()
    if row is None:
        raise ConfigError(f"{where} is {value!r}; it must be a finite time from 0 on")
    return _LENGTHS.setdefault(value, float(row[0]))


def _check_timezone(source: PgCursor, spec: TableSpec, zone: str) -> None:
    where = f"{spec.file}: table {spec.label}: watermark_timezone is {zone!r}"
    if _SIGNED_ZONE.match(zone):
        raise ConfigError(f"{where}: write the place, such as 'America/New_York' or 'Etc/UTC'")
    try:
        source.execute("savepoint value")
        source.execute("select now() at time zone %s", (zone,))
        source.execute("release savepoint value")
    except psycopg2.DataError:
        source.execute("rollback to savepoint value")
        source.execute("select name from pg_timezone_names order by name")
        names = {row[0].lower(): row[0] for row in source.fetchall()}
        near = difflib.get_close_matches(zone.lower(), names, n=1)
        hint = f"did you mean {names[near[0]]}?" if near else "`select * from pg_timezone_names` lists them"
        raise ConfigError(f"{where}, which the source does not know: {hint}") from None


def _checked(source: PgCursor, where: str, value: str, kind: str) -> str:
    """Return `value` as text of type `kind`. Raises ConfigError if it is none."""
    try:
        source.execute("savepoint value")
        source.execute(sql.SQL("select %s::{}::text").format(sql.SQL(kind)), (value,))
        text = str(source.fetchone()[0])  # type: ignore[index]
        source.execute("release savepoint value")
    except psycopg2.DataError as error:
        source.execute("rollback to savepoint value")
        raise ConfigError(f"{where} is {value!r}, which is no {kind}") from error
    return text
