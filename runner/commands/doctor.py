"""`haven doctor`: checks everything a run needs; each failing line says what to do."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import psycopg2
import typer
from psycopg2.extensions import cursor as PgCursor

from runner.connect import connect
from runner.contract import Contract, read_contract
from runner.errors import HavenError
from runner.load.marks import fed_tables, open_transactions
from runner.manifest import read_manifest
from runner.packages.project import read_installed, read_project
from runner.settings import Settings, Side, load_settings, state_file

# The oldest PostgreSQL that is tested on each side.
OLDEST_SERVER: dict[Side, int] = {"source": 15, "warehouse": 16}
OLDEST_PYTHON = (3, 11)
LEAST_FREE_GIB = 1.0
PRIVATE_MODE = 0o077


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, whether it is well, and what was found or what to do."""

    name: str
    is_ok: bool
    detail: str


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    project_dir: Annotated[Path | None, typer.Option(help="The dbt project to check.")] = None,
) -> None:
    """Check settings, connections, versions, privileges, disk and packages; say what to fix."""
    checks = list(examine(project_dir))
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks]))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            word = "ok  " if check.is_ok else "FAIL"
            typer.echo(f"{word}  {check.name:<{width}}  {check.detail}")
    raise typer.Exit(0 if all(check.is_ok for check in checks) else 2)


def examine(project_dir: Path | None) -> Iterator[Check]:
    """Yield all checks in the order a newcomer would fix them; a failed one never stops the rest."""
    yield _python()
    yield from _tools()
    try:
        settings = load_settings(project_dir)
        yield Check("project", True, settings.project_dir.name)
        yield Check("target", True, settings.target)
    except HavenError as error:
        yield Check("settings", False, str(error))
        return
    yield _secrets(settings)
    contract, yaml = _contract(settings)
    yield from _database(settings, "source", contract)
    yield from _database(settings, "warehouse", contract)
    yield _disk(settings.home)
    yield _packages(settings.project_dir)
    yield yaml
    if contract is not None:
        yield from _marks(settings, contract)


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    is_ok = sys.version_info >= OLDEST_PYTHON
    return Check("python", is_ok, found if is_ok else f"{found}: install Python 3.11 or newer")


def _tools() -> Iterator[Check]:
    for name, is_extra in (("dbt-core", False), ("dbt-postgres", False), ("elementary-data", True)):
        try:
            yield Check(name, True, version(name))
        except PackageNotFoundError:
            only = "; only Elementary's report needs it" if is_extra else ""
            yield Check(name, is_extra, f"not installed{only}: run `make setup`")


def _secrets(settings: Settings) -> Check:
    for path in (state_file(settings.home), settings.home / ".env"):
        if path.is_file() and path.stat().st_mode & PRIVATE_MODE:
            return Check("secrets", False, f"others may read {path.name}: run `chmod 600 {path}`")
    return Check("secrets", True, "files with passwords are private")


def _database(settings: Settings, side: Side, contract: Contract | None) -> Iterator[Check]:
    try:
        target = settings.connection(side)
        with closing(connect(target)) as session, session.cursor() as cursor:
            yield Check(side, True, target.label.split(" ", 1)[1])
            yield _server_version(cursor, side)
            if side == "source":
                yield _source_tables(cursor, contract)
            else:
                yield _write_privilege(cursor)
    except HavenError as error:
        yield Check(side, False, str(error))


def _server_version(cursor: PgCursor, side: Side) -> Check:
    cursor.execute("select current_setting('server_version_num')::int, current_setting('server_version')")
    number, text = cursor.fetchone()  # type: ignore[misc]
    oldest = OLDEST_SERVER[side]
    is_ok = number // 10_000 >= oldest
    hint = "" if is_ok else f": needs {oldest} or newer"
    return Check(f"{side} version", is_ok, f"PostgreSQL {text}{hint}")


def _source_tables(cursor: PgCursor, contract: Contract | None) -> Check:
    """Look for each table of the contract, or whether there is any to read if the YAML is wrong."""
    wanted = [
        {
            "label": spec.label,
            "schema_name": spec.source_schema,
            "table_name": spec.source_table,
            "needed": [*spec.primary_key, *filter(None, [spec.watermark]), *spec.columns],
            "chosen": list(spec.columns),
            "left_out": list(spec.exclude),
        }
        for spec in (contract.tables if contract else ())
    ]
    query = resources.files("runner.commands").joinpath("source_tables.sql").read_text("utf-8")
    cursor.execute(query, (json.dumps(wanted),))
    found = dict(cursor.fetchall())
    total = found.pop(None)
    if total == "0":
        return Check("source tables", False, "the source is empty: run `haven demo init`, or point "
                     "HAVEN_SOURCE_* at your database")  # fmt: skip
    wrong = [f"{label} {problem}" for label, problem in found.items() if problem]
    said = f"{len(wanted) - len(wrong)} of {len(wanted)} readable"
    if wanted and len(wrong) == len(wanted):
        said += "; is this the right database (HAVEN_SOURCE_DBNAME)?"
    return Check("source tables", not wrong, "; ".join([said, *wrong]))


def _write_privilege(cursor: PgCursor) -> Check:
    cursor.execute(
        "select has_database_privilege(current_database(), 'create, temporary'), "
        "current_setting('transaction_read_only') = 'on', current_user, current_database()"
    )
    may_create, is_read_only, role, database = cursor.fetchone()  # type: ignore[misc]
    said = "may create schemas and temporary tables"
    if is_read_only:
        said = "the warehouse is read-only: connect to the primary"
    elif not may_create:
        said = f"run: grant create, temporary on database {database} to {role}"
    return Check("warehouse writes", may_create and not is_read_only, said)


def _marks(settings: Settings, contract: Contract) -> Iterator[Check]:
    """Say which incremental tables a watermark alone does not keep right."""
    try:
        specs = [spec for spec in contract.tables if spec.watermark]
        with closing(connect(settings.connection("source"))) as session:
            session.autocommit = True
            with session.cursor() as cursor:
                is_standby = open_transactions(cursor).is_standby
                fed = fed_tables(cursor, specs)
    except (HavenError, psycopg2.Error):
        return  # the lines above say why
    advice = "`deletes: sweep` or a `lookback` longer than the longest transaction finds them"
    if is_standby:
        yield Check("source standby", True, "transactions of the primary that have not written yet are "
                    f"not visible here, and may write older watermarks: {advice}")  # fmt: skip
    for spec in fed:
        ignores = "; it has `deletes: ignore`" if spec.deletes == "ignore" else ""
        text = f"its rows come from another server, some with older watermarks{ignores}: {advice}"
        yield Check(f"watermark {spec.label}", True, text)


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free / 2**30
    is_ok = free >= LEAST_FREE_GIB
    hint = "" if is_ok else f": free up to {LEAST_FREE_GIB:.0f} GiB at least"
    return Check("disk", is_ok, f"{free:.1f} GiB free{hint}")


def _packages(project_dir: Path) -> Check:
    try:
        project = read_project(project_dir)
        installed = read_installed(project) if project else None
    except HavenError as error:
        return Check("dbt packages", False, str(error))
    said = "the project uses none" if project is None else "not installed: run `haven deps`"
    if installed is not None:
        said = ", ".join(f"{name} {v}" for name, v in installed.versions.items())
        if installed.variant == "offline":
            said = "the offline subset; `haven deps --upgrade` fetches the real ones"
    return Check("dbt packages", project is None or installed is not None, said)


def _contract(settings: Settings) -> tuple[Contract | None, Check]:
    try:
        contract = read_contract(read_manifest(settings), settings.project_dir)
    except HavenError as error:
        return None, Check("sources YAML", False, str(error))
    if contract.problems:
        said = "; ".join(problem.message for problem in contract.problems)
    else:
        said = f"{len(contract.tables)} tables to load"
    return contract, Check("sources YAML", not contract.problems, said)
