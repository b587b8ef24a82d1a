"""The reports: what they say, that nothing in the data can break them, and that browsers show them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from conftest import ROOT, Browser, clean_environment, rows
from psycopg2.extensions import connection as PgConnection
from test_artifacts import PROJECT, check, entry, model, source, write_artifacts
from typer.testing import CliRunner, Result

from runner import report as report_package
from runner.artifacts import load_manifest
from runner.cli import app
from runner.errors import ConfigError, DataError
from runner.ops import prepare
from runner.report import build_reports, docs
from runner.report.dag import write_dag
from runner.report.dag_layout import crossings, lay_out
from runner.report.masking import MASK, mask_text
from runner.report.offline import self_contained
from runner.report.validation import write_validation
from runner.settings import Connection

SVG = "{http://www.w3.org/2000/svg}"
EVIL = """</script><img src=x onerror=alert(1)> "quoted" & 'more' <b>bold</b>"""
NOWHERE = {
    "HAVEN_WAREHOUSE_HOST": "127.0.0.1",
    "HAVEN_WAREHOUSE_PORT": "1",
    "HAVEN_WAREHOUSE_USER": "haven",
    "HAVEN_WAREHOUSE_PASSWORD": "s3cret-pass",
    "HAVEN_WAREHOUSE_DBNAME": "warehouse",
}
PEOPLE = "model.shop.people"


def people_checks(**result: object) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return entries and results of a model and one failed test on its column `email`."""
    test = check("people_have_email", PEOPLE)
    failed = {"status": "fail", "failures": 2, "message": "Got 2 results"}
    return [model("people", "staging"), test], {test["unique_id"]: failed | result}


# --- validation ---------------------------------------------------------------------------------


def validate(target: Path, env: dict[str, str] | None = None) -> dict[str, Any]:
    """Write the validation report beside the artifacts; check it against its schema."""
    made = write_validation(target, target, env or NOWHERE)
    schema = Path(report_package.__file__).with_name("validation.schema.json").read_text()
    stored = json.loads((target / "validation.json").read_text())
    jsonschema.validate(stored, json.loads(schema))
    assert stored == made
    return made


def test_counts_statuses_and_order(tmp_path: Path) -> None:
    statuses = {"a": "pass", "b": "warn", "c": "fail", "d": "error", "e": "skipped"}
    tests = {name: check(f"t_{name}", PEOPLE) for name in statuses}
    left_out = check("t_left_out", PEOPLE)
    off = check("t_off", PEOPLE)
    results = {tests[name]["unique_id"]: {"status": status} for name, status in statuses.items()}
    entries = [model("people", "staging"), *tests.values(), left_out]
    write_artifacts(tmp_path, entries, results, disabled=[off])

    made = validate(tmp_path)

    expected = {"fail": 1, "error": 1, "warn": 1, "not_run": 2, "skipped": 1, "pass": 1, "total": 7}
    assert made["counts"] == expected
    assert made["status"] == "fail"
    order = [one["status"] for one in made["checks"]]
    assert order == ["fail", "error", "warn", "not_run", "not_run", "skipped", "pass"]
    reasons = {one["name"]: one["message"] for one in made["checks"] if one["status"] == "not_run"}
    assert reasons == {"t_left_out": "It was not part of this run.", "t_off": "It is switched off."}


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [(["pass"], "pass"), (["pass", "warn"], "warn"), (["warn", "error"], "fail"), ([], "pass")],
)
def test_the_report_as_a_whole_is_as_bad_as_its_worst_check(tmp_path: Path, statuses: list[str], expected: str) -> None:
    tests = [check(f"t_{at}", PEOPLE) for at in range(len(statuses))]
    results = {test["unique_id"]: {"status": status} for test, status in zip(tests, statuses, strict=True)}
    write_artifacts(tmp_path, [model("people", "staging"), *tests], results)

    assert validate(tmp_path)["status"] == expected


def test_failed_models_and_package_errors_show_but_package_tests_do_not(tmp_path: Path) -> None:
    people = model("people", "staging")
    foreign = entry("test.elementary.theirs")
    broken = entry("model.elementary.dbt_models")
    board = entry("exposure.shop.board")
    results = {
        board["unique_id"]: {"status": "no-op"},
        people["unique_id"]: {"status": "error", "message": "Database Error in model x\n  no room"},
        foreign["unique_id"]: {"status": "fail", "failures": 1},
        broken["unique_id"]: {"status": "error"},
    }
    write_artifacts(tmp_path, [people, foreign, broken, board], results)

    made = validate(tmp_path)

    assert {(one["name"], one["kind"]) for one in made["checks"]} == {
        ("people", "model build"),
        ("dbt_models", "model build"),
    }
    assert "no room" in (tmp_path / "validation.html").read_text()


def test_freshness_is_a_check_of_its_own(tmp_path: Path) -> None:
    old = {
        "unique_id": "source.shop.raw.people",
        "status": "error",
        "max_loaded_at": "2026-02-27T00:00:00+00:00",
        "criteria": {"error_after": {"count": 1, "period": "day"}},
    }
    write_artifacts(tmp_path, [source("people")], freshness=[old])

    (found,) = validate(tmp_path)["checks"]

    assert (found["kind"], found["status"], found["layer"]) == ("freshness", "fail", "sources")
    assert found["rule"] == "raw.people is fresh"
    assert found["message"] == "the newest row is of 2026-02-27T00:00:00+00:00 (error after 1 day)"


def broken_run(target: Path, **summary: object) -> Path:
    """Write artifacts of run A, in which all is well, and the summary of a run that was not."""
    orders = source("orders")
    staged = model("stg_orders", "staging", (orders["unique_id"],))
    mart = model("revenue", "marts/finance", (staged["unique_id"],))
    other = model("people", "marts/finance")
    write_artifacts(target, [orders, staged, mart, other], {mart["unique_id"]: {"status": "success"}})
    path = target / "run_results.json"
    document = json.loads(path.read_text())
    document["metadata"]["env"] = {"HAVEN_RUN_ID": "A"}
    path.write_text(json.dumps(document))
    (target / "haven").mkdir()
    (target / "haven" / "run_summary.json").write_text(json.dumps(summary))
    return target


def test_b9_a_table_that_failed_to_load_makes_the_report_red_and_names_stale_marts(tmp_path: Path) -> None:
    cause = 'column "a" of relation ' + "x" * 300 + " does not exist"
    loads = [{"table": "raw.orders", "error": cause}, {"table": "raw.people", "error": None}]
    broken_run(tmp_path, run_id="A", status="failed", loads=loads)

    made = validate(tmp_path)

    assert made["status"] == "fail"
    assert made["problems"] == [{"kind": "load", "name": "raw.orders", "message": cause, "stale": ["revenue"]}]
    page = (tmp_path / "validation.html").read_text()
    assert "<code>raw.orders</code> was not loaded" in page
    assert "Stale: <code>revenue</code>." in page
    assert "x" * 300 in page


def test_b9_a_table_that_differs_from_its_source_is_a_problem_too(tmp_path: Path) -> None:
    found = [{"table": "raw.orders", "status": "different", "missing": 3, "extra": 0}]
    broken_run(tmp_path, run_id="A", status="failed", reconciliations=found)
    made = validate(tmp_path)
    assert (made["status"], [one["kind"] for one in made["problems"]]) == ("fail", ["reconcile"])
    assert made["problems"][0]["message"] == "raw differs from the source: 3 missing"


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        ({"run_id": "B", "status": "failed", "error": "cannot connect to ann@x.example"}, "cannot"),
        ({"run_id": "B", "status": "running"}, "it has not ended yet, or was killed"),
    ],
)
def test_b12_pages_say_that_a_later_run_never_got_to_dbt(tmp_path: Path, summary: dict[str, Any], message: str) -> None:
    project = make_project(tmp_path)
    broken_run(project / "target", **summary)

    build_reports(project, NOWHERE, ["validation"])

    reports = project / "target" / "reports"
    assert json.loads((reports / "validation.json").read_text())["status"] == "fail"
    for name in ("validation.html", "index.html"):
        page = (reports / name).read_text()
        assert "Run <code>B</code> failed." in page, name
        assert "What follows is of run <code>A</code>, 2026-03-01 04:05 UTC" in page, name
        assert message in page, name
        assert "ann@x.example" not in page, name


def test_b12_a_run_that_is_shown_while_it_ends_is_no_problem(tmp_path: Path) -> None:
    broken_run(tmp_path, run_id="A", status="running")
    assert validate(tmp_path)["problems"] == []


def test_without_a_warehouse_the_report_has_no_rows_but_all_checks(tmp_path: Path) -> None:
    entries, results = people_checks()
    kept = source("node_results", source_name="results", schema="ops")
    write_artifacts(tmp_path, [*entries, kept], results)

    made = validate(tmp_path)

    (found,) = made["checks"]
    assert "cannot connect to warehouse" in made["incomplete"]
    assert found["status"] == "fail"
    assert "cannot connect to warehouse" in found["sample"]["note"]
    assert "s3cret-pass" not in (tmp_path / "validation.json").read_text()


def test_secrets_and_key_values_leave_messages(tmp_path: Path) -> None:
    message = (
        "Database Error in model x\n  Key (email)=(ann@example.com) already exists.\n"
        "  Key (name)=(Ann (Smith)) is duplicated.\n  \x1b[31mpassword s3cret-pass\x1b[0m\n"
        "  Failing row contains (1, Ann (Smith),\n Ann)."
    )
    entries, results = people_checks(status="error", message=message)
    write_artifacts(tmp_path, entries, results)

    (found,) = validate(tmp_path)["checks"]

    assert f"Key (email)=({MASK}) already exists" in found["message"]
    assert not re.search(r"ann@|Ann|Smith|s3cret|\x1b", found["message"])


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        ({"loads": [{"table": "people", "rows_read": 7}]}, ["people"]),
        ({"run_id": None}, []),
        ({"loads": None}, []),
        ({"loads": ["odd"]}, []),
    ],
)
def test_a_run_summary_with_missing_keys_is_read(tmp_path: Path, summary: dict[str, Any], expected: list[str]) -> None:
    write_artifacts(tmp_path, [])
    (tmp_path / "haven").mkdir()
    (tmp_path / "haven" / "run_summary.json").write_text(json.dumps(summary))

    loads = validate(tmp_path)["loads"]

    assert [table["table"] for table in loads["tables"]] == expected
    assert all(table["rows_deleted"] is None for table in loads["tables"])


@pytest.mark.parametrize("text", ["", "{half", "[]"])
def test_k1_a_torn_run_summary_is_none(tmp_path: Path, text: str) -> None:
    write_artifacts(tmp_path, [])
    (tmp_path / "haven").mkdir()
    (tmp_path / "haven" / "run_summary.json").write_text(text)

    assert validate(tmp_path)["loads"] is None


def test_the_page_in_a_browser(
    tmp_path: Path, browser: Browser, warehouse_settings: Connection, warehouse_connection: PgConnection
) -> None:
    entries, results = people_checks(failures=1)
    calm = check("calm", PEOPLE)
    results[calm["unique_id"]] = {"status": "pass"}
    kept = source("node_results", source_name="results", schema="ops")
    write_artifacts(tmp_path, [*entries, calm, kept], results)
    sample = {"columns": ["note", EVIL], "rows": [[EVIL, None]], "masked_columns": [EVIL], "note": None}
    prepare(warehouse_connection)
    rows(
        warehouse_connection,
        "insert into ops.node_results (run_id, node_id, node_name, kind, package_name, model_name, layer, rule, "
        "description, tags, status, failures, path, failing_rows) values ('run-a', %s, %s, 'data test', 'shop', "
        "'people', 'staging', %s, %s, jsonb_build_array(%s::text), 'fail', 1, '', %s)",
        entries[1]["unique_id"],
        "evil " + EVIL,
        EVIL,
        "Described " + EVIL,
        EVIL,
        json.dumps(sample),
    )
    assert validate(tmp_path, warehouse_settings.as_env())["incomplete"] is None

    dom = browser(tmp_path / "validation.html")

    # What only the script makes: the count, sort buttons, the layers to choose from.
    assert "2 of 2 checks shown" in dom
    assert '<option value="staging">staging</option>' in dom
    assert dom.count('aria-sort="none"><button type="button">') == 10
    # Data stays data: in the check's name and description, and in the row that broke it.
    assert "<img" not in dom
    assert "<b>bold" not in dom
    assert unescape(dom).count("Described " + EVIL) >= 1
    assert f"<td>{EVIL}</td>" in unescape(dom)
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", dom)


# --- data flow ----------------------------------------------------------------------------------


def test_the_picture_has_a_box_per_node_and_a_line_per_edge(tmp_path: Path) -> None:
    raw = source("people")
    stg = model("stg", "staging", (raw["unique_id"],), description=f"Bad \x00 {EVIL}")
    snap = entry("snapshot.shop.snap", depends_on={"nodes": [stg["unique_id"]]})
    mart = model("fct", "marts/analytics", (stg["unique_id"], snap["unique_id"]))
    theirs = entry("model.elementary.theirs", depends_on={"nodes": [mart["unique_id"]]})
    test = check("t", stg["unique_id"])
    board = entry("exposure.shop.board", depends_on={"nodes": [mart["unique_id"]]})
    write_artifacts(tmp_path, [raw, stg, snap, mart, theirs, test, board])

    count = write_dag(load_manifest(tmp_path), tmp_path / "dag.svg")

    root = ET.fromstring((tmp_path / "dag.svg").read_text())  # noqa: S314 our own file
    shown = [group.get("data-id") for group in root.iter(f"{SVG}g")]
    edges = {(path.get("data-from"), path.get("data-to")) for path in root.iter(f"{SVG}path")}
    drawn = [raw, stg, snap, mart, board]
    assert count == len(drawn)
    assert sorted(shown) == sorted(one["unique_id"] for one in drawn)
    assert edges == {(parent, one["unique_id"]) for one in drawn for parent in one["depends_on"]["nodes"]}
    tooltips = [group.findtext(f"{SVG}title") or "" for group in root.iter(f"{SVG}g")]
    assert any("</script>" in text for text in tooltips)


def test_the_picture_of_an_empty_project_is_valid(tmp_path: Path) -> None:
    write_artifacts(tmp_path, [])

    assert write_dag(load_manifest(tmp_path), tmp_path / "dag.svg") == 0
    root = ET.fromstring((tmp_path / "dag.svg").read_text())  # noqa: S314 our own file
    assert root.tag == f"{SVG}svg"


def test_layout_runs_left_to_right_without_overlap() -> None:
    bands = {f"s{n}": 0 for n in range(8)} | {f"m{n}": 1 for n in range(8)} | {"x": 2, "late": 0}
    edges = [(f"s{n}", f"m{7 - n}") for n in range(8)]
    edges += [(f"m{n}", "x") for n in range(8)] + [("s0", "x"), ("x", "late")]

    layout = lay_out(bands, edges)

    column_of = {key: at for at, column in enumerate(layout.columns) for key in column}
    assert all(column_of[source] < column_of[target] for source, target in edges)
    for column in layout.columns:
        boxes = [layout.y[key] for key in column if isinstance(key, str)]
        assert all(low + 0.999 <= high for low, high in pairwise(boxes))
    # A mirrored pairing crosses 28 times in the order of the names, and need not cross at all.
    assert crossings(layout) == 0


def test_layout_refuses_a_cycle() -> None:
    with pytest.raises(ValueError, match="cycle"):
        lay_out({"a": 0, "b": 0}, [("a", "b"), ("b", "a")])


# --- pages of dbt and Elementary ----------------------------------------------------------------


def test_a_sealed_page_may_not_use_the_network() -> None:
    page = '<!DOCTYPE html><html><head><link href="https://fonts.example/x" rel="a"></head></html>'

    made = self_contained(page)

    assert made.index("Content-Security-Policy") < made.index("</head>")
    assert "fonts.example" not in made
    assert self_contained("<script>1</script><!DOCTYPE html>").startswith("<!doctype html>\n<meta")


def test_docs_leave_out_packages_and_tracking() -> None:
    manifest = {
        "metadata": {"project_name": PROJECT, "send_anonymous_usage_stats": True},
        "nodes": {"model.shop.a": {"package_name": "shop"}, "model.elementary.b": {"package_name": "elementary"}},
        "macros": {"macro.dbt.c": {"package_name": "dbt"}},
        "docs": {"doc.dbt.__overview__": {"package_name": "dbt"}},
        "child_map": {"model.shop.a": ["model.elementary.b"], "model.elementary.b": []},
        "parent_map": {"model.elementary.b": ["model.shop.a"], "model.shop.a": []},
    }

    kept = docs.own_part(manifest)

    assert list(kept["nodes"]) == ["model.shop.a"]
    assert kept["macros"] == {}
    assert list(kept["docs"]) == ["doc.dbt.__overview__"]
    assert kept["child_map"] == kept["parent_map"] == {"model.shop.a": []}
    assert kept["metadata"]["send_anonymous_usage_stats"] is False


def test_docs_data_cannot_end_its_script_element() -> None:
    page = docs.inline('x="MANIFEST.JSON INLINE DATA"', "manifest", {"a": EVIL})

    assert "</script" not in page
    assert json.loads(page.removeprefix("x=")) == {"a": EVIL}
    with pytest.raises(DataError, match="no place for its catalog"):
        docs.inline("<html>", "catalog", {})


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("Running\n\x1b[31mDatabase Error\n  no such host\x1b[0m\nbye", "Database Error no such host"),
        ("only this", "only this"),
        ("", "it printed nothing"),
    ],
)
def test_the_telling_line_of_a_failed_tool(output: str, line: str) -> None:
    assert docs.error_line(output) == line


def make_project(folder: Path) -> Path:
    """Write a tiny dbt project that needs no source data."""
    (folder / "models" / "staging").mkdir(parents=True)
    flags = "flags: {send_anonymous_usage_stats: false}\n"
    (folder / "dbt_project.yml").write_text(f"name: {PROJECT}\nprofile: haven\n{flags}")
    shutil.copy2(ROOT / "profiles.yml", folder)
    (folder / "models" / "staging" / "people.sql").write_text(
        "select 1 as id, 'ann@example.com' as email union all select 1, null"
    )
    (folder / "models" / "staging" / "people.yml").write_text(
        "models:\n"
        "  - name: people\n"
        "    description: 'People. </script><img src=x>'\n"
        "    columns:\n"
        "      - name: id\n"
        "        data_tests: [{unique: {config: {severity: warn, store_failures: true}}}]\n"
    )
    return folder


def environment(warehouse: Connection) -> dict[str, str]:
    """Return the whole environment for dbt on one warehouse."""
    return clean_environment() | warehouse.as_env() | {"HAVEN_TARGET": "local"}


def dbt_build(project: Path, env: dict[str, str]) -> None:
    """Build the project as `haven run` would."""
    command = [sys.executable, "-m", "dbt.cli.main", "build", "--profiles-dir", str(project)]
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_reports_of_a_real_project(tmp_path: Path, warehouse_settings: Connection, browser: Browser) -> None:
    project = make_project(tmp_path / "my project")
    env = environment(warehouse_settings)
    dbt_build(project, env)
    run_results = (project / "target" / "run_results.json").read_bytes()

    results = {result.name: result for result in build_reports(project, env)}

    assert {name: result.status for name, result in results.items()} == {
        "validation": "written",
        "docs": "written",
        "dag": "written",
        "elementary": "skipped",
        "index": "written",
    }
    assert "not installed" in results["elementary"].detail
    # `dbt docs generate` must not replace the results of the run.
    assert (project / "target" / "run_results.json").read_bytes() == run_results
    reports = project / "target" / "reports"
    page = browser(reports / "docs.html")
    assert "ng-scope" in page  # dbt's page has started
    assert "model.shop.people" in page
    assert "<img src=x" not in page
    index = browser(reports / "index.html")
    assert 'href="validation.html"' in index
    assert 'href="elementary.html"' not in index
    assert "The dbt package elementary is not installed" in index


def test_one_failing_report_does_not_stop_the_others(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    write_artifacts(project / "target", [model("people", "staging")], command="compile")
    reports = project / "target" / "reports"
    reports.mkdir()
    for name in ("validation.html", "validation.json"):
        (reports / name).write_text("of yesterday")

    results = {result.name: result for result in build_reports(project, NOWHERE, ["validation", "dag"])}

    assert results["validation"].status == "failed"
    assert "tests nothing" in results["validation"].detail
    assert sorted(path.name for path in reports.iterdir()) == ["dag.svg", "index.html"]
    index = (reports / "index.html").read_text()
    assert "tests nothing" in index
    assert "Not made yet" in index
    assert "run `haven profile`" in index


def test_only_refuses_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no report 'daq'; there are: validation, docs, dag"):
        build_reports(tmp_path, NOWHERE, ["daq"])


# --- Elementary ---------------------------------------------------------------------------------


def with_packages(project: Path, *, version: str) -> Path:
    """Give a project empty elementary and dbt_utils packages of a version."""
    names = ("elementary", "dbt_utils")
    entries = "".join(f"  - {{package: x/{name}, version: 1.0.0}}\n" for name in names)
    (project / "packages.yml").write_text("packages:\n" + entries)
    for name in names:
        (project / "dbt_packages" / name).mkdir(parents=True)
        settings = f"name: {name}\nversion: {version}\n"
        (project / "dbt_packages" / name / "dbt_project.yml").write_text(settings)
    return project


def fake_edr(folder: Path, body: str) -> dict[str, str]:
    """Return an environment in which `edr` is a script; `page` there is the file to write."""
    package = folder / "fake" / "elementary" / "cli"
    package.mkdir(parents=True)
    for place in (package, package.parent):
        (place / "__init__.py").write_text("")
    head = "import os, sys, time\npage = sys.argv[sys.argv.index('--file-path') + 1]\n"
    (package / "cli.py").write_text(head + body)
    return {**os.environ, **NOWHERE, "PYTHONPATH": str(folder / "fake"), "DBT_TARGET_PATH": "target"}


def elementary_project(folder: Path, version: str = "1.0.0") -> Path:
    """Return a project in which only Elementary's report is left to make."""
    project = with_packages(make_project(folder), version=version)
    write_artifacts(project / "target", [entry("model.elementary.m", schema="elementary")])
    return project


def test_elementary_is_skipped_with_the_stand_in(tmp_path: Path) -> None:
    project = elementary_project(tmp_path, version="0.25.1+haven.offline")

    result, index = build_reports(project, NOWHERE, ["elementary"])

    assert result.status == "skipped"
    assert "offline stand-in" in result.detail
    assert index.path is not None
    page = index.path.read_text()
    assert "The offline stand-in of the dbt package elementary is installed" in page


def test_elementary_is_skipped_when_its_models_are_off(tmp_path: Path) -> None:
    project = elementary_project(tmp_path)
    write_artifacts(project / "target", [])

    result, _ = build_reports(project, NOWHERE, ["elementary"])

    assert (result.status, result.detail) == ("skipped", "its models are switched off in dbt_project.yml")


def test_edr_gets_a_profile_without_password_and_a_home_of_its_own(tmp_path: Path) -> None:
    project = elementary_project(tmp_path)
    names = "'HOME', 'HAVEN_EDR_SCHEMA', 'DBT_PACKAGES_FOLDER', 'DBT_TARGET_PATH'"
    env = fake_edr(tmp_path, f"open(page, 'w').write('<p>' + '|'.join(str(os.environ.get(n)) for n in ({names})))\n")

    result, _ = build_reports(project, env, ["elementary"])

    assert result.path is not None, result.detail
    page = result.path.read_text()
    work = project / "target" / "haven" / "edr"
    assert f"<p>{work / 'home'}|elementary|{work / 'packages'}|None" in page
    assert "Content-Security-Policy" in page
    assert (work / "packages" / "elementary" / "dbt_project.yml").is_file()
    written = [path for path in work.rglob("*") if path.is_file()]
    assert not [path for path in written if "s3cret-pass" in path.read_text()]
    assert "anonymous_usage_tracking: false" in (work / "home/.edr/config.yml").read_text()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("print('Database Error'); print('no s3cret-pass'); sys.exit(1)\n", "edr failed: Database"),
        ("print('all well')\n", "edr failed: all well"),
        ("os.kill(os.getpid(), 9)\n", "edr was killed by signal 9 (SIGKILL): is the machine out"),
        (
            "time.sleep(60)\n",
            "edr did not finish within 1 s and was stopped: give it more seconds with "
            "HAVEN_ELEMENTARY_TIMEOUT, then `haven report --only elementary`",
        ),
    ],
)
def test_b16_k9_a_failing_edr_is_one_clear_line(tmp_path: Path, body: str, reason: str) -> None:
    project = elementary_project(tmp_path)
    env = fake_edr(tmp_path, body)
    if "sleep" in body:
        env["HAVEN_ELEMENTARY_TIMEOUT"] = "1"

    result, _ = build_reports(project, env, ["elementary"])

    assert result.status == "failed"
    assert result.detail.startswith(reason)
    assert "s3cret" not in result.detail
    assert "\n" not in result.detail


# --- command ------------------------------------------------------------------------------------


def run_command(project: Path, *args: str, monkeypatch: pytest.MonkeyPatch) -> Result:
    """Run `haven report` on a project whose warehouse cannot be reached."""
    for name in [name for name in os.environ if name.startswith(("HAVEN_", "DBT_"))]:
        monkeypatch.delenv(name)
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(app, ["report", "--project-dir", str(project), *args])


def test_the_command_prints_where_each_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path)
    write_artifacts(project / "target", [model("people", "staging")], {})

    only = ("--only", "dag", "--only", "validation")
    done = run_command(project, *only, "--json", monkeypatch=monkeypatch)

    assert done.exit_code == 0, done.output
    made = {one["name"]: one for one in json.loads(done.stdout)["reports"]}
    assert list(made) == ["dag", "validation", "index"]
    assert all(Path(one["path"]).is_file() for one in made.values())
    plain = run_command(project, *only, monkeypatch=monkeypatch)
    assert str(project / "target" / "reports" / "dag.svg") in plain.stdout


def test_the_command_fails_if_a_report_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path)

    done = run_command(project, "--only", "validation", monkeypatch=monkeypatch)

    assert done.exit_code == 1
    assert "failed: " in done.stdout
    assert "manifest.json is missing" in done.stdout
    assert "s3cret-pass" not in done.output


def test_mask_text_leaves_plain_text_alone() -> None:
    plain = "Got 3 results, configured to fail if != 0 (see models/people.yml)"
    assert mask_text(plain) == plain


def test_the_page_filters_and_sorts(tmp_path: Path, browser: Browser) -> None:
    tests = [check(f"t_{at}", PEOPLE, column_name=f"c{at}") for at in range(3)]
    results = {
        test["unique_id"]: {"status": status, "failures": failures}
        for test, status, failures in zip(tests, ["warn", "warn", "pass"], [9, 10, 0], strict=True)
    }
    write_artifacts(tmp_path, [model("people", "staging"), *tests], results)
    validate(tmp_path)
    page = tmp_path / "validation.html"
    use = """<script>
      const log = [], note = () => log.push(document.getElementById("shown").textContent);
      const search = document.getElementById("search"), rows = () =>
        [...document.querySelectorAll("#warnings tr.check td.num:nth-child(4)")].map((c) => c.textContent);
      const type = (text) => { search.value = text; search.dispatchEvent(new Event("input")); note(); };
      type("C1"); type("no such check"); log.push(!document.getElementById("nothing").hidden); type("");
      document.querySelector(".tile.warn").click(); note(); document.querySelector(".tile.warn").click();
      const sort = document.querySelector("#warnings th:nth-child(4) button");
      sort.click(); log.push(rows().join()); sort.click(); log.push(rows().join());
      document.body.append(log.join("|"));
    </script></body>"""
    page.write_text(page.read_text().replace("</body>", use))

    dom = browser(page)

    shown = "1 of 3|0 of 3|true|3 of 3|1 of 3".replace(" of 3", " of 3 checks shown")
    assert f"{shown}|9,10|10,9" in dom
