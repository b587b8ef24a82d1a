"""Reads the results that dbt has kept of a run (ops.node_results), as entries of the validation report."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql

from runner.artifacts import Manifest, RunResults
from runner.connect import connect
from runner.errors import HavenError
from runner.report.masking import mask_text
from runner.settings import Settings

TABLE = "results.node_results"
READ_TIMEOUT_S = 10


def recorded_checks(
    manifest: Manifest, run: RunResults, env: Mapping[str, str]
) -> tuple[dict[str, dict[str, Any]], str | None]:
    """Return the run's checks by unique id, or none and why; never raises for a database.

    The session is read-only and limited in time, so a report never disturbs the warehouse.
    """
    table = next((node for node in manifest.nodes.values() if node.name == TABLE), None)
    if table is None:
        return {}, f"this project keeps no results (it has no source {TABLE})"
    query = resources.files("runner.report").joinpath("recorded.sql").read_text(encoding="utf-8")
    try:
        settings = Settings(home=Path(), project_dir=Path(), values=env)
        session = connect(settings.connection("warehouse"), application_name="haven report")
    except HavenError as error:
        return {}, mask_text(str(error))
    try:
        session.set_session(readonly=True, autocommit=True)
        with session.cursor() as cursor:
            cursor.execute("set statement_timeout = %s", (READ_TIMEOUT_S * 1000,))
            cursor.execute(
                sql.SQL(query).format(table=sql.Identifier(table.schema or "", table.alias or "")),
                {"run_id": run.run_id or run.invocation_id, "project": manifest.project_name},
            )
            found = {entry["unique_id"]: entry for (entry,) in cursor}
    except psycopg2.Error as error:
        return {}, mask_text(str(error).strip().partition("\n")[0])
    finally:
        session.close()
    return found, None if found else "the warehouse has no results of this run"
