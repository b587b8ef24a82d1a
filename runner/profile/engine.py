"""Profiles the tables of the contract in one read-only snapshot of the source; one that fails stops no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import psycopg2
import psycopg2.errors
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from runner import log
from runner.connect import as_haven_error, connect
from runner.contract import Contract, TableSpec
from runner.errors import DataError, HavenError, UnreachableError
from runner.profile.changes import Snapshot, read_changes, snapshots_of
from runner.profile.personal import mask_references
from runner.profile.references import find_references
from runner.profile.result import Changes, TableProfile
from runner.profile.table import Described, TableFacts, neighbour, profile_table
from runner.report.masking import PiiRules
from runner.settings import Connection

STATEMENT_TIMEOUT_S = 300
LOCK_TIMEOUT_S = 10
WORK_MEM = "64MB"
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class ProfileRequest:
    """What to profile, and how. `only` names the tables (none: all); references may lead to any of the contract.

    Tables above `sample_rows` rows are sampled (0: none).
    """

    contract: Contract
    manifest: Mapping[str, Any]
    rules: PiiRules
    sample_rows: int
    only: Sequence[str] = ()


def profile_tables(
    request: ProfileRequest,
    source: Connection,
    warehouse: Connection | None,
    on_done: Callable[[TableProfile], None],
) -> list[TableProfile]:
    """Return a profile for each table of the contract, in its order; a failed one carries its error.

    Args:
        warehouse: where dbt's snapshots are; None, or a warehouse that cannot be reached, leaves out what changes.
        on_done: called after each table, before its references are known.

    Raises:
        ConfigError: `only` names a table that the contract does not have.
        UnreachableError: the source cannot be reached.
    """
    chosen = request.contract.select(request.only)
    others = [spec for spec in request.contract.tables if spec not in chosen.tables]
    found: dict[str, TableFacts] = {}
    profiles: dict[str, TableProfile] = {}
    with closing(connect(source, application_name="haven profile")) as session:
        cursor = _begin(session)
        for spec in chosen.tables:
            profiles[spec.label], facts = _one(session, cursor, request, spec)
            if facts is not None:
                found[spec.label] = facts
            on_done(profiles[spec.label])
        parents = [facts.profiled for facts in found.values()]
        for spec in others:
            ask = partial(neighbour, cursor, spec, request.rules)
            beside = _attempt(cursor, spec.label, ask)
            parents += [beside] if beside else []
        references = {
            label: _attempt(cursor, label, partial(find_references, cursor, own.profiled, parents))
            or ()
            for label, own in found.items()
        }
    masked = mask_references(
        {parent.label: parent.columns for parent in parents},
        [(label, r) for label, own in references.items() for r in own],
    )
    changes = _changes(request, warehouse, found)
    for problem in chosen.problems:
        profiles[problem.label] = TableProfile(
            problem.label, source="", error=problem.message, exit_code=2
        )
    return [
        replace(
            profile,
            columns=masked.get(label, ()),
            references=references.get(label, ()),
            changes=changes.get(label, ()),
        )
        for label, profile in profiles.items()
    ]


def _begin(session: PgConnection) -> PgCursor:
    """Start the read-only snapshot in which every table is read."""
    session.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
    cursor = session.cursor()
    cursor.execute(
        "select set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true), "
        "set_config('work_mem', %s, true), set_config('jit', 'off', true)",
        (f"{STATEMENT_TIMEOUT_S}s", f"{LOCK_TIMEOUT_S}s", WORK_MEM),
    )
    return cursor


def _one(
    session: PgConnection, cursor: PgCursor, request: ProfileRequest, spec: TableSpec
) -> tuple[TableProfile, TableFacts | None]:
    started = time.monotonic()
    described = describe(request.manifest, spec)
    source = f"{spec.source_schema}.{spec.source_table}"
    error: HavenError
    try:
        if session.closed:
            raise UnreachableError("the connection to the source broke: profile the table again")
        cursor.execute("savepoint one_table")
        facts = profile_table(cursor, spec, described, request.rules, request.sample_rows)
        cursor.execute("release savepoint one_table")
    except psycopg2.Error as failure:
        error = _explained(failure)
    except HavenError as failure:
        error = failure
    else:
        found = facts.profiled
        return TableProfile(
            label=spec.label,
            source=source,
            description=described.description,
            kind=found.table.kind,
            rows=found.scan.rows,
            profiled_rows=found.scan.profiled_rows,
            is_sampled=found.scan.is_sampled,
            sample_method=found.scan.method,
            size_bytes=found.table.size_bytes,
            duplicate_rows=facts.duplicate_rows,
            keys=found.keys,
            growth=facts.growth,
            seconds=round(time.monotonic() - started, 3),
        ), facts
    if not session.closed:
        cursor.execute("rollback to savepoint one_table")
    return TableProfile(
        label=spec.label,
        source=source,
        error=f"{spec.label}: {error}",
        exit_code=error.exit_code,
        seconds=round(time.monotonic() - started, 3),
    ), None


def _explained(failure: psycopg2.Error) -> HavenError:
    if isinstance(failure, psycopg2.errors.QueryCanceled):
        return DataError(
            f"one of its statements took more than {STATEMENT_TIMEOUT_S} s: "
            "read fewer rows with --sample"
        )
    if isinstance(failure, psycopg2.errors.LockNotAvailable):
        return DataError(f"it stayed locked for {LOCK_TIMEOUT_S} s: try again later")
    if isinstance(failure, psycopg2.errors.OutOfMemory | psycopg2.errors.ProgramLimitExceeded):
        return DataError(f"{failure.diag.message_primary}: leave the column out with `exclude`")
    return as_haven_error(failure)


def _attempt(cursor: PgCursor, label: str, ask: Callable[[], Answer]) -> Answer | None:
    """Return what `ask` reads for the references of table `label`; None, and a line in the log, if it fails."""
    if cursor.connection.closed:
        return None
    try:
        cursor.execute("savepoint one_table")
        return ask()
    except psycopg2.Error as failure:
        if not cursor.connection.closed:
            cursor.execute("rollback to savepoint one_table")
        log.error(f"{label}: references are left out: {_explained(failure)}", table=label)
        return None


def _changes(
    request: ProfileRequest, warehouse: Connection | None, found: Mapping[str, TableFacts]
) -> dict[str, tuple[Changes, ...]]:
    wanted: list[tuple[TableFacts, Snapshot]] = [
        (facts, snapshot)
        for label, facts in found.items()
        for snapshot in snapshots_of(request.manifest, _source_id(request.manifest, label))
    ]
    if not wanted or warehouse is None:
        return {}
    try:
        session = connect(warehouse, application_name="haven profile")
    except HavenError:
        return {}
    changes: dict[str, tuple[Changes, ...]] = {}
    with closing(session):
        session.set_session(readonly=True)
        for facts, snapshot in wanted:
            profiled = facts.profiled
            seen = read_changes(session, snapshot, [c.name for c in profiled.columns])
            if seen is not None and seen.keys:
                changes[profiled.label] = (*changes.get(profiled.label, ()), seen)
    return changes


def _source_id(manifest: Mapping[str, Any], label: str) -> str:
    return next(
        str(key)
        for key, node in manifest["sources"].items()
        if f"{node['source_name']}.{node['name']}" == label
    )


def describe(manifest: Mapping[str, Any], spec: TableSpec) -> Described:
    """Return what the YAML says of the table and its columns."""
    node = manifest["sources"][_source_id(manifest, spec.label)]
    columns = node.get("columns") or {}
    pii: dict[str, bool] = {}
    for name, column in columns.items():
        meta = (column.get("meta") or {}) | ((column.get("config") or {}).get("meta") or {})
        if "pii" in meta:
            pii[name] = bool(meta["pii"])
    return Described(
        description=" ".join((node.get("description") or "").split()),
        columns={
            name: " ".join((column.get("description") or "").split())
            for name, column in columns.items()
        },
        pii=pii,
    )
