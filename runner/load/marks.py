"""How far a table has been read: which watermark is safe to store, decided by transactions, not by clocks or rights.

Whoever can still write a value up to the highest one seen began before that one was seen. So: look for the highest
value, then list the open transactions; once all of those have ended, a snapshot holds every row up to that value.
Any login may see them (`pg_locks`). docs/decisions/0020 has the proof and the rest.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from runner import log
from runner.connect import is_connection_error
from runner.contract import TableSpec

TIME_TYPES = ("timestamp", "date")
WHOLE_NUMBER_TYPES = ("smallint", "integer", "bigint")
OTHER_NUMBER_TYPES = ("numeric", "real", "double precision")
MARK_TYPES = TIME_TYPES + WHOLE_NUMBER_TYPES + OTHER_NUMBER_TYPES
# How long a load waits for the transactions that were open when it looked.
WAIT_S = 1.0
_FIRST_PAUSE_S = 0.01
# A table that somebody changes right now (alter table) keeps its mark for this once.
_PROBE_LOCK_TIMEOUT = "1s"
_PROBES_AT_ONCE = 50

# Who could still write: not sessions of other databases, not servers' own helpers such as autovacuum (no user). A
# session's database and user are among what every login may see. A prepared transaction has no session; it keeps its
# number, and is -1/xid after a restart. On a standby only xids tell: all below the snapshot's xmin have ended.
_OPEN = """
select
    pg_is_in_recovery(),
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
    coalesce(
        (
            select jsonb_object_agg(locks.virtualtransaction, locks.pid)
            from pg_locks as locks
            left join pg_stat_activity as activity on locks.pid = activity.pid
            left join pg_database as here on here.datname = current_database()
            left join pg_prepared_xacts as prepared
                on locks.transactionid = prepared.transaction and locks.pid is null
            where locks.locktype in ('virtualxid', 'transactionid') and locks.granted
                and locks.pid is distinct from pg_backend_pid()
                and coalesce(prepared.database, current_database()) = current_database()
                and (
                    activity.pid is null
                    or (activity.datid = here.oid and activity.usesysid is not null)
                )
        ),
        '{}'
    )
"""

_STORED = """
select
    (wanted.number - 1)::integer, watermarks.watermark, watermarks.candidates,
    coalesce(watermarks.watermark_type = wanted.watermark_type, false)
from unnest(%s::text[], %s::text[], %s::text[], %s::text[]) with ordinality
    as wanted (raw_schema, raw_table, watermark_column, watermark_type, number)
inner join ops.watermarks using (raw_schema, raw_table, watermark_column)
"""

# The type beneath a watermark's domains; `is_fed`: rows come from elsewhere, in an order that no mark can follow.
_COLUMNS = """
with recursive wanted as (
    select *
    from unnest(%s::text[], %s::text[], %s::text[]) with ordinality
        as named (schema_name, table_name, column_name, number)
),
resolved as (
    select
        wanted.number, pg_attribute.atttypid as type_oid,
        pg_class.relkind = 'f'
        or exists (select from pg_subscription_rel where srrelid = pg_class.oid) as is_fed
    from wanted
    inner join pg_namespace on wanted.schema_name = pg_namespace.nspname
    inner join pg_class
        on pg_namespace.oid = pg_class.relnamespace and wanted.table_name = pg_class.relname
    inner join pg_attribute
        on pg_class.oid = pg_attribute.attrelid and wanted.column_name = pg_attribute.attname
    where pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
    union all
    select resolved.number, pg_type.typbasetype, resolved.is_fed
    from resolved
    inner join pg_type on resolved.type_oid = pg_type.oid
    where pg_type.typtype = 'd'
)
select resolved.number - 1, format_type(resolved.type_oid, null), resolved.is_fed
from resolved
inner join pg_type on resolved.type_oid = pg_type.oid
where pg_type.typtype <> 'd'
"""

# Local time now, and the least that any moment from now on can have: clocks are set back by less than a day's change of
# the offset, however the zone does it. Haven's sessions set a zone of their own; what they came with is the source's.
_CLOCK = """
with zone as (
    select coalesce(%s, (select reset_val from pg_settings where name = 'TimeZone')) as name
)
select
    (now() at time zone zone.name)::text,
    (
        (now() at time zone 'UTC') + (
            select min((moments.at at time zone zone.name) - (moments.at at time zone 'UTC'))
            from generate_series(now(), now() + interval '1 day', interval '15 minutes') as moments (at)
        )
    )::text
from zone
"""

# The highest plausible value; what may be the mark, lower in the day before clocks go back; and how both stand to the
# stored mark. The second look is only made if it is needed.
_PROBE = """
select
    {number}, found.highest::text, found.mark::text,
    {stored}::{kind} is not null and coalesce(found.highest < {stored}::{kind}, true),
    found.mark is distinct from {stored}::{kind}
from (
    select
        highest,
        case
            when highest <= {cap} or {cap} is null then highest
            else (select nullif(max({column}), {lowest}) from {relation} where {column} <= {cap})
        end as mark
    from (select nullif(max({column}), {lowest}) as highest from {relation} where {plausible}) as seen
) as found
"""


@dataclass(frozen=True)
class Candidate:
    """A mark that is safe once the transactions `open` have ended (None: on a standby, all xids below `xmax`)."""

    mark: str
    open: tuple[str, ...] | None
    xmax: int

    def as_dict(self) -> dict[str, Any]:
        """Return what is stored as JSON."""
        return {"mark": self.mark, "open": self.open, "xmax": self.xmax}


@dataclass(frozen=True)
class Probed:
    """What a load found out about a table's marks before its snapshot.

    `highest` is the highest plausible value (text; None: no row has one), `is_below` says that the stored mark is above
    it. `mark` is that value if it is safe to store, `settled` an earlier one that is by now. `waiting` is
    kept for later loads.
    """

    highest: str | None = None
    is_below: bool = False
    mark: str | None = None
    settled: str | None = None
    waiting: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class _Open:
    """The transactions that are open at one moment: names (`virtualtransaction`) with the backend, None if prepared."""

    is_standby: bool
    xmin: int
    xmax: int
    names: Mapping[str, int | None]

    def still(self, candidate: Candidate) -> tuple[str, ...] | None:
        """Return which transactions `candidate` waits for; None if that cannot be known (another server answers)."""
        if self.is_standby != (candidate.open is None):
            return None
        if candidate.open is None:
            return () if self.xmin >= candidate.xmax else ("xid",)
        # Restarted since, the server knows the prepared ones by another name.
        return tuple(n for n in self.names if n in candidate.open or n.startswith("-1/"))

    def candidate(self, mark: str, names: Iterable[str] | None = None) -> Candidate:
        """Return `mark` as a candidate that waits for what was open now, or for `names` of it."""
        listed = None if self.is_standby else tuple(self.names if names is None else names)
        return Candidate(mark, listed, self.xmax)


def read_marks(source: PgConnection, warehouse: PgConnection, specs: Sequence[TableSpec]) -> dict[str, Probed]:
    """Return what is known about the marks of the incremental tables among `specs`, by label.

    `source`, in autocommit, must take its snapshot after this. A table that cannot be looked at now is left out. Waits
    up to WAIT_S seconds.

    Raises psycopg2.Error if a connection breaks.
    """
    specs = [spec for spec in specs if spec.watermark]
    if not specs:
        return {}
    with source.cursor() as cursor:
        cursor.execute("select set_config('statement_timeout', '0', false)")
        columns = _columns(cursor, specs)
        stored = _stored(warehouse, specs, columns)
        rows = _Prober(cursor, specs, columns, stored).rows()
        listed = now = open_transactions(cursor)
        if any(row.is_news for row in rows.values()):
            now = _wait(cursor, listed)
    found = {label: _judged(row, stored.get(label, (None, ()))[1], listed, now) for label, row in rows.items()}
    held = [label for label, probed in found.items() if probed.waiting]
    if held:
        _say_who_holds(held, listed, now)
    return found


def stored_marks(
    cursor: PgCursor, specs: Sequence[TableSpec], kinds: Sequence[str]
) -> list[tuple[int, str | None, list[dict[str, Any]], bool]]:
    """Return place in `specs`, stored mark, candidates, and whether they are of the type `kinds` has there."""
    cursor.execute(
        _STORED,
        (
            [spec.raw_schema for spec in specs],
            [spec.raw_table for spec in specs],
            [spec.watermark for spec in specs],
            list(kinds),
        ),
    )
    return cursor.fetchall()


def _stored(
    warehouse: PgConnection, specs: Sequence[TableSpec], columns: Sequence[tuple[int, str, bool]]
) -> dict[str, tuple[str | None, tuple[Candidate, ...]]]:
    """Return the stored mark and the candidates of each table that has a row of its watermark, of its type."""
    wanted = {specs[n].label: (specs[n], k) for n, k, _ in columns if k.startswith(MARK_TYPES)}
    found = [spec for spec, _ in wanted.values()]
    with warehouse, warehouse.cursor() as cursor:
        return {
            found[number].label: (
                mark,
                tuple(
                    Candidate(c["mark"], None if c["open"] is None else tuple(c["open"]), c["xmax"]) for c in candidates
                ),
            )
            for number, mark, candidates, is_of_type in stored_marks(
                cursor, found, [kind for _, kind in wanted.values()]
            )
            if is_of_type
        }


@dataclass(frozen=True)
class _Row:
    """What the source says of one table; `is_news`: the mark would change."""

    highest: str | None
    mark: str | None
    is_below: bool
    is_news: bool


class _Prober:
    """Looks for the highest plausible watermarks, many tables in one statement."""

    def __init__(
        self,
        cursor: PgCursor,
        specs: Sequence[TableSpec],
        columns: Sequence[tuple[int, str, bool]],
        stored: Mapping[str, tuple[str | None, tuple[Candidate, ...]]],
    ) -> None:
        self.cursor, self.specs, self.columns, self.stored = cursor, specs, columns, stored
        self._clocks: dict[str | None, tuple[str, str] | None] = {}

    def rows(self) -> dict[str, _Row]:
        """Return the row of each table that could be looked at, by label."""
        probes = {}
        for number, kind, is_fed in self.columns:
            spec = self.specs[number]
            if is_fed and spec.deletes == "ignore":
                log.info(
                    f"  {spec.label}: its rows come from another server, some with times that lie behind: "
                    "only `deletes: sweep`, a long `lookback` or `--full` finds those",
                    table=spec.label,
                )
            if kind.startswith(MARK_TYPES) and (probe := self._probe(number, spec, kind)):
                probes[number] = probe
        self.cursor.execute(
            "select set_config('lock_timeout', %s, false), current_setting('lock_timeout')", (_PROBE_LOCK_TIMEOUT,)
        )
        before = self.cursor.fetchone()[1]  # type: ignore[index]
        numbers, found = sorted(probes), []
        for start in range(0, len(numbers), _PROBES_AT_ONCE):
            found += self._look([probes[n] for n in numbers[start : start + _PROBES_AT_ONCE]])
        self.cursor.execute("select set_config('lock_timeout', %s, false)", (before,))
        return {self.specs[number].label: _Row(*rest) for number, *rest in found}

    def _look(self, probes: Sequence[sql.Composable]) -> list[tuple[Any, ...]]:
        """Run the probes in one statement; if that fails, one by one, without those that fail."""
        try:
            self.cursor.execute(sql.SQL(" union all ").join(probes))
            return self.cursor.fetchall()
        except psycopg2.Error as error:
            if is_connection_error(error):
                raise
        if len(probes) == 1:
            return []  # planning the table, or its load, says what is wrong
        return [row for probe in probes for row in self._look([probe])]

    def _probe(self, number: int, spec: TableSpec, kind: str) -> sql.Composable | None:
        bare = sql.SQL(kind)
        lowest: sql.Composable = sql.SQL("null")
        cap: sql.Composable = sql.SQL("null::{}").format(bare)
        plausible: sql.Composable = sql.SQL("true")
        column = sql.Identifier(str(spec.watermark))
        if kind.startswith(TIME_TYPES):
            is_zoned = kind == "timestamp with time zone"
            clock = self._clock("UTC" if is_zoned else spec.watermark_timezone)
            if clock is None:
                return None
            now, cap = (
                sql.SQL("{}::timestamptz" if is_zoned else "{}::timestamp::{}").format(
                    sql.Literal(f"{time}+00" if is_zoned else time), *([] if is_zoned else [bare])
                )
                for time in clock
            )
            lowest = sql.SQL("'-infinity'::{}").format(bare)
            plausible = sql.SQL("{} <= {}").format(column, now)
        elif kind.startswith(OTHER_NUMBER_TYPES):
            lowest = sql.SQL("'-infinity'::{}").format(bare)
            # NaN is above infinity.
            plausible = sql.SQL("{} < 'infinity'::{}").format(column, bare)
        return sql.SQL(_PROBE).format(
            number=sql.Literal(number),
            stored=sql.Literal(self.stored.get(spec.label, (None, ()))[0]),
            kind=bare,
            column=column,
            relation=sql.Identifier(spec.source_schema, spec.source_table),
            lowest=lowest,
            cap=cap,
            plausible=plausible,
        )

    def _clock(self, zone: str | None) -> tuple[str, str] | None:
        """Return local time in `zone` (None: the source's own) and the least to come; None if there is no such zone."""
        if zone not in self._clocks:
            try:
                self.cursor.execute(_CLOCK, (zone,))
                self._clocks[zone] = self.cursor.fetchone()
            except psycopg2.DataError:
                self._clocks[zone] = None
        return self._clocks[zone]


def _columns(cursor: PgCursor, specs: Sequence[TableSpec]) -> list[tuple[int, str, bool]]:
    """Return place in `specs`, type and `is_fed` of each watermark that the source has."""
    cursor.execute(
        _COLUMNS,
        (
            [spec.source_schema for spec in specs],
            [spec.source_table for spec in specs],
            [spec.watermark for spec in specs],
        ),
    )
    return cursor.fetchall()


def fed_tables(cursor: PgCursor, specs: Sequence[TableSpec]) -> list[TableSpec]:
    """Return the tables whose rows come from another server: by a subscription, or as a foreign table."""
    return [specs[number] for number, _, is_fed in _columns(cursor, specs) if is_fed]


def open_transactions(cursor: PgCursor) -> _Open:
    """Return the transactions that are open now and may write, but this one."""
    cursor.execute(_OPEN)
    return _Open(*cursor.fetchone())  # type: ignore[misc]


def _wait(cursor: PgCursor, listed: _Open) -> _Open:
    """Wait up to WAIT_S for the transactions `listed` to end; return what is open then."""
    all_of_them = listed.candidate("")
    deadline, pause = time.monotonic() + WAIT_S, _FIRST_PAUSE_S
    while (now := open_transactions(cursor)).still(all_of_them) and time.monotonic() < deadline:
        time.sleep(pause)
        pause *= 1.5
    return now


def _judged(row: _Row, earlier: Sequence[Candidate], listed: _Open, now: _Open) -> Probed:
    """Return which of a table's marks are safe, and which have to wait.

    Of the ones that wait the oldest is kept, as it is the first to be safe, and the newest, which takes its place.
    """
    blockers = {c: now.still(c) for c in earlier}
    settled = [c.mark for c in earlier if blockers[c] == ()]
    waiting = [c for c in earlier if blockers[c]]
    mark = row.mark
    if mark is not None:
        still = now.still(listed.candidate(mark))
        if still != ():
            if mark not in [c.mark for c in waiting]:
                waiting = [*waiting[:1], listed.candidate(mark, still)]
            mark = None
        else:
            waiting = []
    return Probed(row.highest, row.is_below, mark, settled[-1] if settled else None, tuple(waiting))


def _say_who_holds(held: Sequence[str], listed: _Open, now: _Open) -> None:
    """Log which open transactions keep marks back: nothing is lost, but loads read more than they need."""
    pids = sorted(pid for name, pid in now.names.items() if name in listed.names and pid)
    who = f"backend {', '.join(map(str, pids[:3]))}" if pids else "prepared, or not visible here"
    log.info(
        f"  {len(held)} tables keep their mark until transactions that are open in the source end ({who})",
        tables=len(held),
        backends=pids[:3],
    )
