"""The command line as a user meets it: exit codes, one clear line, no traceback, no password."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest
import typer
from conftest import Databases, Done, Project, clean_environment, rows
from typer.testing import CliRunner

from runner.commands.options import ListsLikeDbt
from runner.connect import connect
from runner.dbt import dbt_message, run_dbt
from runner.ops import prepare, recorded_run

SOURCES = """
sources:
  - name: shop
    schema: raw_shop
    config: {meta: {load: {strategy: incremental, watermark: updated_at}}}
    tables:
      - name: item
      - name: label
        config: {meta: {load: {strategy: full}}}
"""
PROFILES = Path(__file__).parents[2] / "profiles.yml"
SECRET = "s3cret-pass-w0rd"


@pytest.fixture(scope="session")
def parsed_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project of its own, described by YAML alone and parsed by dbt once."""
    folder = tmp_path_factory.mktemp("shop") / "shop project"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: shop\nversion: 1.0.0\nprofile: haven\n")
    (folder / "models" / "sources.yml").write_text(SOURCES)
    (folder / "profiles.yml").write_text(PROFILES.read_text())
    assert run_dbt(["parse"], project_dir=folder, env=clean_environment()).returncode == 0
    return folder


@pytest.fixture
def shop(databases: Databases, tmp_path: Path, parsed_project: Path) -> Iterator[Project]:
    """A copy of the small project, with two source tables that have rows."""
    folder = tmp_path / "shop project"
    shutil.copytree(parsed_project, folder)
    project = Project(folder, databases.create("source"), databases.create("warehouse"))
    with closing(connect(project.source)) as session:
        rows(session, "create table item (id int primary key, updated_at timestamptz)")
        rows(session, "insert into item select n, now() from generate_series(1, 5) as n")
        rows(session, "create table label (name text primary key)")
        rows(session, "insert into label values ('a'), ('b')")
    yield project


def test_load_reports_each_table_for_people_and_machines(shop: Project) -> None:
    done = shop.haven("load")
    assert "shop.item" in done.out
    assert "loading 2 tables" in done.err
    body = shop.haven("load", "--json").json
    assert body["status"] == "ok"
    assert {t["table"]: (t["mode"], t["rows_unchanged"]) for t in body["tables"]} == {
        "shop.item": ("incremental", 5),
        "shop.label": ("full", 2),
    }
    with closing(connect(shop.warehouse)) as session:
        runs = rows(session, "select command, status, finished_at is not null from ops.runs")
        loads = rows(session, "select status, count(*) from ops.table_loads group by 1")
    assert runs == [("load", "ok", True)] * 2
    assert loads == [("ok", 4)]


@pytest.mark.parametrize("sent", [{"PGTZ": "UTC"}, {"PGOPTIONS": "-c timezone=UTC --TimeZone=UTC -c jit=off"}])
def test_l2_the_zone_of_a_source_is_its_own_whatever_the_client_sends(shop: Project, sent: dict[str, str]) -> None:
    zone = "America/New_York"
    with closing(connect(shop.source)) as session:
        rows(session, f"alter database {shop.source.dbname} set timezone = '{zone}'")
        rows(session, "alter table item alter updated_at type timestamp")
        rows(session, f"update item set updated_at = now() at time zone '{zone}' + interval '3 hours' where id = 5")
        rows(session, f"update item set updated_at = now() at time zone '{zone}' where id < 5")
    shop.haven("load", "item", **sent)
    with closing(connect(shop.warehouse)) as session:
        query = "select watermark::timestamp <= now() at time zone %s from ops.watermarks"
        assert rows(session, query, zone) == [(True,)]


def test_a_dry_run_prints_the_plan_and_moves_nothing(shop: Project) -> None:
    done = shop.haven("load", "--dry-run", "--json")
    assert [(t["table"], t["mode"]) for t in done.json["plan"]] == [("shop.item", "first"), ("shop.label", "first")]
    assert "shop.label" in shop.haven("load", "--dry-run").out
    with closing(connect(shop.warehouse)) as session:
        assert rows(session, "select to_regnamespace('raw_shop') is null") == [(True,)]


def test_progress_as_json_lines(shop: Project) -> None:
    lines = [json.loads(line) for line in shop.haven("--log-json", "load").err.splitlines()]
    tables = {line["table"] for line in lines if "table" in line}
    assert tables == {"shop.item", "shop.label"}
    assert len({line["run_id"] for line in lines}) == 1
    assert {line["level"] for line in lines} == {"info"}


def _no_table(shop: Project) -> Project:
    with closing(connect(shop.source)) as session:
        rows(session, "drop table label")
    return shop


def _yaml(old: str, new: str) -> Callable[[Project], Project]:
    def change(shop: Project) -> Project:
        path = shop.path / "models" / "sources.yml"
        path.write_text(path.read_text().replace(old, new))
        return shop

    return change


def _setting(side: str, **change: object) -> Callable[[Project], Project]:
    def apply(shop: Project) -> Project:
        connection = replace(getattr(shop, side), **change)
        return replace(shop, **{side: connection})

    return apply


def _env(**env: str) -> Callable[[Project], Project]:
    return lambda shop: replace(shop, env=env)


def _read_only(shop: Project) -> Project:
    with closing(connect(shop.warehouse)) as session:
        name = shop.warehouse.dbname
        rows(session, f"alter database {name} set default_transaction_read_only = on")
    return shop


def _no_privilege(shop: Project) -> Project:
    with closing(connect(shop.warehouse)) as session:
        rows(session, f"create role guest_{shop.warehouse.dbname} login password '{SECRET}'")
    return replace(shop, warehouse=replace(shop.warehouse, user=f"guest_{shop.warehouse.dbname}", password=SECRET))


BAD = {
    "missing variable": (_setting("source", user=""), 2, "HAVEN_SOURCE_USER is not set"),
    "garbled port": (_env(HAVEN_SOURCE_PORT="54x2"), 2, "HAVEN_SOURCE_PORT is '54x2'"),
    "garbled target": (_env(HAVEN_TARGET="moon"), 2, "HAVEN_TARGET is 'moon'"),
    "wrong source password": (
        _setting("source", password=SECRET),
        3,
        "refuses the login; check HAVEN_SOURCE_USER and HAVEN_SOURCE_PASSWORD",
    ),
    "wrong warehouse password": (
        _setting("warehouse", password=SECRET),
        3,
        "check HAVEN_WAREHOUSE_USER and HAVEN_WAREHOUSE_PASSWORD",
    ),
    "nothing listens": (_setting("source", port=1), 3, "nothing listens there"),
    "unknown host": (_setting("source", host="nowhere.invalid"), 3, "'nowhere.invalid' is unknown"),
    "unknown database": (_setting("source", dbname="nope"), 3, "database 'nope' does not exist"),
    "no TLS there": (_setting("warehouse", sslmode="require"), 3, "check HAVEN_WAREHOUSE_SSLMODE"),
    "watermark that does not exist": (
        _yaml("watermark: updated_at", "watermark: changed_at"),
        2,
        "models/sources.yml: table shop.item: watermark names column 'changed_at'",
    ),
    "unknown strategy": (
        _yaml("strategy: full", "strategy: sometimes"),
        2,
        "models/sources.yml: table shop.label: unknown strategy 'sometimes'",
    ),
    "unknown key": (
        _yaml("{strategy: full}", "{strateggy: full}"),
        2,
        "unknown key 'strateggy' under load: did you mean strategy?",
    ),
    "load beside the table's name": (
        _yaml("config: {meta: {load: {strategy: full}}}\n", "load: {strategy: full}\n"),
        2,
        "models/sources.yml: table shop.label: `load` stands beside `name`, where nothing reads it: "
        "it belongs under `config: {meta: {load: …}}`",
    ),
    "dropped source table": (_no_table, 1, "the source has no table public.label"),
    "read-only warehouse": (_read_only, 3, "the warehouse is read-only"),
    "no privilege": (_no_privilege, 2, "permission denied for database"),
}


def assert_clear(done: Done, code: int, message: str, *secrets: str) -> None:
    """Check the exit code, that one error line says `message`, and that no secret leaks."""
    text = done.out + done.err
    assert done.code == code, text
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, text
    assert message in errors[0]
    assert "Traceback" not in text
    for secret in secrets:
        assert secret not in text


@pytest.mark.parametrize("case", BAD, ids=list(BAD))
def test_bad_input_ends_in_one_clear_line_and_its_exit_code(shop: Project, case: str) -> None:
    break_it, code, message = BAD[case]
    broken = break_it(shop)
    done = broken.haven("load", expect=None)
    assert_clear(done, code, message, SECRET, shop.source.password, shop.warehouse.password)


def test_b14_a_yaml_error_is_told_with_file_and_line(shop: Project) -> None:
    done = _run_broken(shop, _yaml("tables:", "tables: ["))
    assert_clear(done, 2, "error: dbt cannot parse the project: Parsing Error")
    told = done.err[done.err.index("error: ") :]
    assert "Error reading shop: models/sources.yml - Runtime Error" in told
    assert "Syntax error near line 6" in told
    assert "RuntimeWarning" not in done.err
    assert max(len(line) for line in done.err.splitlines()) < 160


def test_b13_load_beside_the_name_of_a_source(shop: Project) -> None:
    old = "config: {meta: {load: {strategy: incremental, watermark: updated_at}}}"
    done = _run_broken(shop, _yaml(old, "load: {strategy: full}"))
    assert_clear(done, 2, "dbt cannot parse the project: Parsing Error")
    assert "`load` stands in the wrong place: it belongs under `config: {meta:" in done.err


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (
            "<frozen runpy>:128: RuntimeWarning: 'x'\n19:58:41  Running with dbt=1.11\n"
            "19:58:42  Encountered an error:\nCompilation Error in model a (models/a.sql)\n"
            "  unexpected '}', expected ')'\n    line 1\n      select {{ foo( }}\n",
            "Compilation Error in model a (models/a.sql)\n  unexpected '}', expected ')'\n    line 1\n"
            "      select {{ foo( }}",
        ),
        (
            "\x1b[0m19:58:42  Encountered an error:\nTraceback (most recent call last):\n  File x\nOSError: full\n",
            "OSError: full",
        ),
        ("", "no output; run `dbt parse` to see why"),
    ],
)
def test_b14_dbts_own_words_without_its_noise(tmp_path: Path, output: str, told: str) -> None:
    assert dbt_message(output, tmp_path) == told


def _run_broken(shop: Project, break_it: Callable[[Project], Project]) -> Done:
    return break_it(shop).haven("load", expect=None)


def test_k13_several_values_follow_one_flag_as_in_dbt() -> None:
    seen: dict[str, object] = {}
    one = typer.Typer()

    @one.command(cls=ListsLikeDbt)
    def run(
        select: Annotated[list[str] | None, typer.Option("--select", "-s")] = None,
        exclude: Annotated[list[str] | None, typer.Option()] = None,
        full: Annotated[bool, typer.Option("--full")] = False,
        workers: int = 2,
    ) -> None:
        seen.update(select=select, exclude=exclude, full=full, workers=workers)

    def parsed(*args: str) -> tuple[object, ...]:
        assert CliRunner().invoke(one, list(args)).exit_code == 0
        return tuple(seen.values())

    assert parsed("--select", "a", "b", "--full") == (["a", "b"], None, True, 2)
    assert parsed("-s", "a+", "+b", "--exclude", "c", "d", "--workers", "3") == (["a+", "+b"], ["c", "d"], False, 3)
    assert parsed("--select=a", "b", "--select", "c") == (["a", "b", "c"], None, False, 2)
    assert CliRunner().invoke(one, ["a"]).exit_code == 2
    assert CliRunner().invoke(one, ["--workers", "3", "4"]).exit_code == 2


def test_b9_b10_b12_a_run_says_what_failed_why_and_what_is_stale(shop: Project) -> None:
    """A table that is gone, a misspelt column, then a source that is down; on screen, in JSON and on the pages."""
    models = shop.path / "models"
    (models / "marts").mkdir()
    item = "select id, updated_at_ from {{ source('shop', 'item') }} as item"
    (models / "marts" / "items.sql").write_text(item)
    (models / "marts" / "labels.sql").write_text("select * from {{ source('shop', 'label') }}")
    (models / "marts" / "left_out.sql").write_text("select 1 as id")
    shop.haven("load")
    _no_table(shop)
    done = shop.haven("run", "--select", "items", "labels", "--no-reconcile", "--no-reports", expect=1)
    assert "stale    without shop.label: labels" in done.out
    assert "the source has no table public.label" in done.err
    told = " ".join(done.out.split())
    assert "FAILED items: Database Error in model items (models/marts/items.sql)" in told
    assert 'column "updated_at_" does not exist' in told
    assert 'HINT: Perhaps you meant to reference the column "item.updated_at"' in told
    folder = shop.path / "target"
    summary = json.loads((folder / "haven" / "run_summary.json").read_text())
    assert (summary["status"], summary["failed"]) == ("failed", ["items"])
    assert summary["stale"] == {"shop.label": ["labels"]}
    assert "LINE" in summary["causes"]["items"]
    assert summary["models"] == {"error": 1, "success": 1}

    down = replace(shop, source=replace(shop.source, port=1))
    done = down.haven("run", "--json", expect=3, HAVEN_RETRIES="0")
    assert "nothing listens there" in done.json["error"]
    later = json.loads((folder / "haven" / "run_summary.json").read_text())
    assert (later["status"], later["error"]) == ("failed", done.json["error"])
    made = json.loads((folder / "reports" / "validation.json").read_text())
    assert (made["status"], made["run"]["id"]) == ("fail", summary["run_id"])
    assert made["problems"][0]["kind"] == "run"
    for name in ("index.html", "validation.html"):
        page = (folder / "reports" / name).read_text()
        assert f"Run <code>{later['run_id']}</code> failed." in page
        assert f"What follows is of run <code>{summary['run_id']}</code>" in page

    broken = replace(shop, source=replace(shop.source, user=""))
    assert "HAVEN_SOURCE_USER is not set" in broken.haven("run", expect=2).err
    assert "HAVEN_SOURCE_USER is not set" in (folder / "reports" / "index.html").read_text()


def test_b7_a_manifest_of_other_settings_is_parsed_again(shop: Project) -> None:
    """Plain dbt in the same folder, for another target, with other `--vars`, and another HAVEN_ variable."""
    strategy = "\"{{ 'incremental' if target.name == 'local' else 'full' }}\""
    deletes = "\"{{ var('deletes', env_var('HAVEN_SHOP_DELETES', 'sweep')) }}\""
    _yaml("strategy: incremental", f"strategy: {strategy}, deletes: {deletes}")(shop)

    def plan(**env: str) -> tuple[str, str]:
        done = shop.haven("load", "item", "--dry-run", "--json", **env)
        (table,) = done.json["plan"]
        return table["strategy"], table["deletes"]

    shop.dbt("parse", "--vars", "{deletes: ignore}", DBT_PROFILES_DIR=str(shop.path))
    assert plan() == ("incremental", "sweep")
    assert plan(HAVEN_TARGET="dev", HAVEN_SCHEMA="bob") == ("full", "sweep")
    assert plan(HAVEN_SHOP_DELETES="ignore") == ("incremental", "ignore")
    assert "dbt parses" not in shop.haven("load", "--dry-run", HAVEN_SHOP_DELETES="ignore").err
    assert (shop.path / "target" / "dev_bob" / "manifest.json").is_file()
    done = shop.haven("load", expect=2, HAVEN_TARGET="dev", HAVEN_SCHEMA="../bob")
    assert_clear(done, 2, "HAVEN_SCHEMA is '../bob'; it must be lower-case letters")


def test_one_bad_table_does_not_stop_the_other(shop: Project) -> None:
    _yaml("strategy: full", "strategy: sometimes")(shop)
    body = shop.haven("load", "--json", expect=2).json
    assert [(t["table"], t["error"] is None) for t in body["tables"]] == [("shop.item", True), ("shop.label", False)]


def test_an_unknown_table_names_the_nearest(shop: Project) -> None:
    done = shop.haven("load", "itms", expect=2)
    assert_clear(done, 2, "no table 'itms' in the sources YAML: did you mean item?")


def test_full_and_a_window_exclude_each_other(shop: Project) -> None:
    assert_clear(shop.haven("load", "--full", "--since", "2026-01-01", expect=2), 2, "--full reads")


def test_outside_a_project(shop: Project, tmp_path: Path) -> None:
    nowhere = replace(shop, path=tmp_path)
    assert_clear(nowhere.haven("load", expect=2), 2, "no dbt_project.yml in")


def test_a_second_run_of_the_same_source_is_turned_away(shop: Project) -> None:
    with recorded_run(shop.source, shop.warehouse, run_id="first-run", command="load"):
        done = shop.haven("load", expect=75)
    assert_clear(done, 75, "is being loaded by haven load first-run (backend ")
    shop.haven("load")


def test_a_killed_run_is_marked_by_the_next(shop: Project) -> None:
    shop.haven("load")
    with closing(connect(shop.warehouse)) as session:
        rows(session, "update ops.runs set status = 'running', finished_at = null")
        shop.haven("load")
        found = rows(session, "select status, finished_at is null from ops.runs order by started_at")
    assert found == [("failed", False), ("ok", False)]


def test_preparing_the_state_twice_at_once_is_safe(shop: Project) -> None:
    with closing(connect(shop.warehouse)) as one, closing(connect(shop.warehouse)) as two:
        prepare(one)
        prepare(two)
        assert rows(two, "select count(*) from ops.runs") == [(0,)]


def test_what_an_older_version_left_in_ops_is_dropped(shop: Project) -> None:
    with closing(connect(shop.warehouse)) as session:
        rows(
            session,
            "create schema ops; create table ops.load_parts (load_id bigint); create table ops.load_17 (id bigint)",
        )
        prepare(session)
        left = "select relname::text from pg_class where relname ~ '^load_' and relkind = 'r'"
        assert rows(session, left) == []


def test_env_lets_plain_clients_connect(shop: Project) -> None:
    script = shop.haven("env").out
    assert f"export PGDATABASE={shop.warehouse.dbname}" in script
    assert f"export HAVEN_SOURCE_DBNAME={shop.source.dbname}" in script
    assert "HAVEN_SOURCE_PASSWORD" not in script
    source = shop.haven("env", "--psql", "source").out
    assert f"export PGDATABASE={shop.source.dbname}" in source


def test_doctor_is_well_and_says_what_to_fix(shop: Project) -> None:
    done = shop.haven("doctor")
    assert "FAIL" not in done.out
    assert "2 tables to load" in done.out
    broken = _yaml("strategy: full", "strategy: sometimes")(_setting("source", port=1)(shop))
    checks = {c["name"]: c for c in broken.haven("doctor", "--json", expect=2).json}
    failed = {name for name, check in checks.items() if not check["is_ok"]}
    assert failed == {"source", "sources YAML"}
    assert "unknown strategy" in checks["sources YAML"]["detail"]


def test_doctor_on_a_read_only_warehouse_and_an_empty_source(shop: Project, databases: Databases) -> None:
    broken = replace(_read_only(shop), source=databases.create("source"))
    checks = {c["name"]: c for c in broken.haven("doctor", "--json", expect=2).json}
    assert "connect to the primary" in checks["warehouse writes"]["detail"]
    assert "the source is empty" in checks["source tables"]["detail"]


def test_c2_doctor_looks_for_each_table_of_the_yaml(shop: Project, databases: Databases) -> None:
    """Tables that are gone, of another database, shut, without a column, or never refreshed."""

    def told(project: Project) -> str:
        checks = project.haven("doctor", "--json", expect=2).json
        (check,) = [check for check in checks if check["name"] == "source tables"]
        assert not check["is_ok"]
        return str(check["detail"])

    other = databases.create("source")
    role = f"reader_{other.dbname}"
    with closing(connect(other)) as session:
        rows(session, "create table something (id int)")
        wrong = told(replace(shop, source=other))
        assert wrong.startswith("0 of 2 readable; is this the right database (HAVEN_SOURCE_DBNAME)?")
        for name in ("item", "label"):
            assert f"shop.{name} is not there: the source has no table public.{name}" in wrong
        rows(session, f"create role {role} login password '{SECRET}'")
        rows(session, "create table item (id int primary key, secret text)")
        rows(session, "create materialized view label as select 'a' as name with no data")
        reader = replace(shop, source=replace(other, user=role, password=SECRET))
        odd = told(reader)
        assert "shop.item lacks the columns that the YAML names: updated_at" in odd
        assert "shop.label is a materialized view without rows: refresh" in odd
        rows(session, "alter table item add updated_at timestamptz")
        rows(session, "refresh materialized view label")
        rows(session, f"grant select on label to {role}")
        assert f"shop.item cannot be read: grant select on public.item to {role}" in told(reader)
        rows(session, f"grant select (id, updated_at) on item to {role}")
        assert "1 of 2 readable; shop.item has columns that cannot be read: secret" in told(reader)
        rows(session, f"grant select on item to {role}")
    assert "2 of 2 readable" in reader.haven("doctor").out


def test_doctor_finds_a_readable_secret(shop: Project) -> None:
    (shop.path / ".env").write_text("HAVEN_TARGET=local\n")
    (shop.path / ".env").chmod(0o644)
    done = shop.haven("doctor", expect=2)
    assert "others may read .env: run `chmod 600" in done.out


def test_usage_errors_and_help(shop: Project) -> None:
    assert shop.haven("load", "--workers", "0", expect=2).err
    assert "Exit codes" in shop.haven("--help").out
    assert shop.haven("status").out == "no databases here yet: `haven up` makes them\n"
