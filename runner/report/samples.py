"""Reads a few of the rows a test found, from the relation in which dbt stored them.

The session is read-only and each read is limited in time, so a report never disturbs the warehouse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection

from runner.connect import connect
from runner.errors import HavenError
from runner.report.checks import Check
from runner.report.masking import PiiRules, Value, mask_text, shown_value
from runner.settings import Settings

SAMPLE_ROWS = 10
READ_TIMEOUT_S = 10


@dataclass(frozen=True)
class Sample:
    """Up to SAMPLE_ROWS failing rows, or none and a `note` that says why."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Value, ...], ...] = ()
    masked_columns: tuple[str, ...] = ()
    note: str | None = None


def read_samples(
    checks: Iterable[Check], *, env: Mapping[str, str], rules: PiiRules
) -> dict[str, Sample]:
    """Return a sample per check (by unique_id) that found rows; never raises for a database.

    If the warehouse cannot be reached, every sample is empty and says so.
    """
    wanted = [check for check in checks if check.status in {"fail", "warn"} and check.failures]
    stored = [check for check in wanted if check.failures_table]
    samples = {
        check.unique_id: Sample(note="This test does not store the rows it finds.")
        for check in wanted
    }
    if not stored:
        return samples
    try:
        settings = Settings(home=Path(), project_dir=Path(), values=env)
        connection = connect(settings.connection("warehouse"), application_name="haven report")
    except HavenError as error:
        note = f"No rows shown: {error}"
        return samples | {check.unique_id: Sample(note=note) for check in stored}
    try:
        connection.set_session(readonly=True, autocommit=True)
        with connection.cursor() as cursor:
            cursor.execute("set statement_timeout = %s", (READ_TIMEOUT_S * 1000,))
        for check in stored:
            samples[check.unique_id] = _read(connection, check, rules)
    except psycopg2.Error as error:
        note = f"No rows shown: {_first_line(error)}"
        unread = [check for check in stored if not samples[check.unique_id].columns]
        samples |= {check.unique_id: Sample(note=note) for check in unread}
    finally:
        connection.close()
    return samples


def _read(connection: PgConnection, check: Check, rules: PiiRules) -> Sample:
    relation = sql.Identifier(check.failures_schema or "public", check.failures_table or "")
    query = sql.SQL("select * from {} limit {}").format(relation, sql.Literal(SAMPLE_ROWS))
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            columns = tuple(column.name for column in cursor.description or ())
            found = cursor.fetchall()
    except (psycopg2.ProgrammingError, psycopg2.extensions.QueryCanceledError) as error:
        return Sample(note=f"The stored rows cannot be read: {_first_line(error)}")
    masked = tuple(name for name in columns if rules.masks(name, tested_column=check.column))
    return Sample(
        columns=columns,
        masked_columns=masked,
        rows=tuple(
            tuple(
                shown_value(value, masked=name in masked)
                for name, value in zip(columns, row, strict=True)
            )
            for row in found
        ),
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return mask_text(lines[0]) if lines else type(error).__name__
