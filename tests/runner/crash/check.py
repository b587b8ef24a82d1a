"""What must be true of the warehouse, at once after a kill and after the next load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg2.extensions import connection as PgConnection

from crash.shop import RAW, TABLES, bag, digest

_LIVE = "_deleted_at is null"


@dataclass(frozen=True)
class TableState:
    """One table of the warehouse: raw's rows (None: no such table), its last good load, its watermark.

    `content` is comparable with the source's versions; `everything` covers tombstones and load columns too.
    """

    content: str | None
    everything: str | None
    load: dict[str, Any] | None
    loads: int
    watermark: dict[str, Any] | None
    rows_of_load: int


def _row(session: PgConnection, query: str, *args: object) -> dict[str, Any] | None:
    with session.cursor() as cursor:
        cursor.execute(query, args or None)
        row = cursor.fetchone()
        names = [column.name for column in cursor.description or ()]
    return dict(zip(names, row, strict=True)) if row else None


def _value(session: PgConnection, query: str, *args: object) -> Any:
    row = _row(session, query, *args)
    return next(iter(row.values())) if row else None


def look(session: PgConnection) -> dict[str, TableState]:
    """Return the state of all tables, as of one moment."""
    session.set_session(isolation_level="REPEATABLE READ")
    with session:
        has_ops = _value(session, "select to_regclass('ops.watermarks')") is not None
        return {name: _look(session, name, has_ops=has_ops) for name in TABLES}


def _look(session: PgConnection, name: str, *, has_ops: bool) -> TableState:
    load = watermark = None
    loads = 0
    if has_ops:
        load = _row(
            session,
            "select * from ops.table_loads where table_name = %s and status = 'ok' order by load_id desc limit 1",
            name,
        )
        loads = _value(session, "select count(*) from ops.table_loads where table_name = %s and status = 'ok'", name)
        watermark = _row(session, "select * from ops.watermarks where table_name = %s", name)
    if _value(session, "select to_regclass(%s)", f"{RAW}.{name}") is None:
        return TableState(None, None, load, loads, watermark, 0)
    return TableState(
        content=digest(session, RAW, name, _LIVE),
        everything=_value(
            session, f"select md5(string_agg(t::text, ' ' order by t::text collate \"C\")) from {RAW}.{name} as t"
        ),
        load=load,
        loads=loads,
        watermark=watermark,
        rows_of_load=_value(
            session, f"select count(*) from {RAW}.{name} where _load_id = %s", load["load_id"] if load else None
        ),
    )


def torn(
    before: dict[str, TableState],
    after: dict[str, TableState],
    versions: list[dict[str, str]],
    *,
    is_one_snapshot: bool,
    must_be_new: tuple[str, ...] = (),
) -> list[str]:
    """Return what is neither the old state nor a whole load of one of the source's `versions`.

    `is_one_snapshot`: all tables loaded since `before` must be of the same version. `must_be_new`: tables that must
    have been loaded since.
    """
    found = []
    same = set(range(len(versions)))
    for name, now in after.items():
        old = before[name]
        if now.loads == old.loads:
            if (now.everything, now.watermark) != (old.everything, old.watermark):
                found.append(f"{name}: rows or watermark changed without a row in ops.table_loads")
            if name in must_be_new:
                found.append(f"{name}: the run says it was loaded, ops.table_loads does not")
            continue
        fitting = {i for i, version in enumerate(versions) if version[name] == now.content}
        if not fitting:
            found.append(f"{name}: its rows are no state the source ever had")
        same &= fitting
        found += [f"{name}: {fault}" for fault in _accounts(old, now)]
    if is_one_snapshot and not same and not found:
        found.append("tables of one run are of different states of the source")
    return found


def _accounts(old: TableState, now: TableState) -> list[str]:
    """Return where a table's last load, its ops row and its watermark disagree."""
    load, watermark, found = now.load or {}, now.watermark, []
    moved = load["rows_inserted"] + load["rows_updated"] + load["rows_deleted"]
    if now.rows_of_load != moved:
        found.append(f"ops.table_loads counts {moved} rows, raw has {now.rows_of_load}")
    if load["rows_read"] != sum(load[f"rows_{c}"] for c in ("inserted", "updated", "unchanged")):
        found.append("the counts in ops.table_loads do not add up")
    if watermark is None:
        if load["watermark_to"] is not None:
            found.append("the watermark in ops.table_loads is not in ops.watermarks")
        return found
    if load["mode"] != "backfill" and watermark["load_id"] != load["load_id"]:
        found.append("ops.watermarks is of another load than ops.table_loads")
    if watermark["watermark"] != load["watermark_to"]:
        found.append("ops.watermarks and ops.table_loads have different watermarks")
    # Text of one format and zone, so it compares; fractions of a second may be cut, so only up to seconds. A load that
    # has read everything may store a lower one.
    before = (old.watermark or {}).get("watermark")
    if before and load["mode"] == "incremental" and watermark["watermark"][:19] < before[:19]:
        found.append("the watermark went back")
    return found


def lost_and_doubled(source: PgConnection, warehouse: PgConnection) -> tuple[int, int]:
    """Return how many rows of the source are not in raw, and how many of raw are too many; copies count."""
    lost = doubled = 0
    with source, warehouse:
        for name in TABLES:
            theirs, ours = bag(source, "public", name), bag(warehouse, RAW, name, _LIVE)
            lost += (theirs - ours).total()
            doubled += (ours - theirs).total()
    return lost, doubled


def ahead(source: PgConnection, warehouse: PgConnection) -> list[str]:
    """Return the tables whose watermark is higher than any the source has."""
    with source, warehouse:
        found = []
        for name, spec in TABLES.items():
            if spec.watermark is None:
                continue
            stored = _value(warehouse, "select watermark from ops.watermarks where table_name = %s", name)
            if _value(source, f"select %s::timestamptz > max({spec.watermark}) from {name}", stored):
                found.append(f"{name}: the watermark {stored} is ahead of the source")
        return found


_LEFTOVERS = {
    "temp tables": "select count(*) from pg_class where relpersistence = 't'",
    "prepared transactions": "select count(*) from pg_prepared_xacts",
    "advisory locks": "select count(*) from pg_locks where locktype = 'advisory'",
    "idle transactions": (
        "select count(*) from pg_stat_activity where state like 'idle in transaction%' and pid <> pg_backend_pid()"
    ),
}
_OPS_LEFTOVERS = {"runs that never ended": "select count(*) from ops.runs where status = 'running'"}


def leftovers(source: PgConnection, warehouse: PgConnection, *, is_done: bool) -> list[str]:
    """Return what a load left behind; before the next load is done, what that one cleans up may still be there."""
    found = []
    for session in (source, warehouse):
        with session:
            found += [f"{n} {what}" for what, q in _LEFTOVERS.items() if (n := _value(session, q))]
    with warehouse:
        if is_done:
            found += [f"{n} {what}" for what, q in _OPS_LEFTOVERS.items() if (n := _value(warehouse, q))]
        elif (
            _value(warehouse, "select to_regclass('ops.runs')")
            and _value(warehouse, _OPS_LEFTOVERS["runs that never ended"]) > 1
        ):
            found.append("more than one running run")
    return found
