"""The whole pipeline on the demo, with the offline subset and, where they can be had, the real dbt packages.

After a simulated day: raw equals the source, every incremental model equals its own full refresh row for row,
history has the expected number of versions, and every planted fault, and nothing else, is found.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Browser, Databases, Done, Project, copy_project, differences, rows
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection

from runner.connect import connect
from runner.packages.places import PackagesUnavailableError, default_cache_dir, packages_in_cache
from runner.packages.project import read_project

SCALE = 0.05
TABLES = (
    "bids", "categories", "customers", "listing_views", "order_items", "orders", "payments",
    "products", "reviews", "vendors",
)  # fmt: skip
INCREMENTAL = (
    "customer_lifetime_value", "daily_revenue", "dim_customers", "dim_products", "dim_vendors",
    "fct_bids", "fct_listing_views", "fct_order_items", "fct_orders", "fct_payments",
    "monthly_active_users",
)  # fmt: skip
HISTORY = ("customers", "products", "vendors")


def real_packages_missing() -> str | None:
    """Return why the real dbt packages cannot be used here, or None if the cache holds them all."""
    project = read_project(ROOT)
    assert project is not None
    try:
        packages_in_cache(default_cache_dir(), project.requests)
    except PackagesUnavailableError as error:
        return str(error)
    return None


def install(project: Project, variant: str) -> None:
    """Install the wanted packages in the project, or skip the test."""
    if variant == "real" and (reason := real_packages_missing()):
        pytest.skip(f"the real dbt packages are not in the cache: {reason}")
    project.haven("deps", *(["--offline"] if variant == "offline" else []))


@pytest.fixture(scope="module", params=["offline", "real"])
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, module_databases: Databases
) -> Project:
    """A copy of the project whose demo was filled, loaded, built and tested once."""
    folder = copy_project(tmp_path_factory.mktemp(request.param) / "haven copy")
    project = Project(folder, module_databases.create("source"), module_databases.create("warehouse"))
    install(project, request.param)
    project.haven("demo", "init", "--scale", str(SCALE))
    project.haven("run")
    return project


# What does not depend on the packages is tried with the offline subset, whose builds take half the time.
offline_is_enough = pytest.mark.parametrize("built", ["offline"], indirect=True)
only_real = pytest.mark.parametrize("built", ["real"], indirect=True)


def summary(project: Project) -> dict[str, Any]:
    """Return the last run's summary."""
    path = project.path / "target" / "haven" / "run_summary.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def failing_rows(project: Project) -> dict[str, int]:
    """Return the failing rows of each test that warned or failed in the last build, by test name."""
    path = project.path / "target" / "run_results.json"
    results = json.loads(path.read_text(encoding="utf-8"))["results"]
    return {
        result["unique_id"].split(".")[2]: result["failures"]
        for result in results
        if result["status"] not in ("success", "pass", "skipped", "no-op")
    }


def planted(project: Project) -> dict[str, int]:
    """Return the planted faults as the demo counts them now."""
    return dict(project.haven("demo", "init", "--scale", str(SCALE), "--json").json["planted"])


def count(project: Project, query: str) -> int:
    """Return the one number of a warehouse query."""
    with closing(connect(project.warehouse)) as session:
        return int(rows(session, query)[0][0])


def unequal_to_full_refresh(project: Project) -> dict[str, int]:
    """Rebuild every incremental model in another schema and return how many rows differ, by model.

    All else (dimensions, staging) is read from the schemas under test, through dbt's deferral.
    """
    state = project.path / "target" / "compared"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir()
    shutil.copy(project.path / "target" / "manifest.json", state)
    project.dbt(
        "run", "--full-refresh", "--select", *INCREMENTAL, "--defer", "--favor-state", "--state",
        str(state), "--target-path", str(project.path / "target" / "refreshed"),
        HAVEN_TARGET="dev", HAVEN_SCHEMA="refreshed",
    )  # fmt: skip
    found = {}
    with closing(connect(project.warehouse)) as session:
        for name in INCREMENTAL:
            query = sql.SQL(
                "select count(*) from ((table {0} except all table {1}) union all "
                "(table {1} except all table {0})) as unequal"
            ).format(sql.Identifier("analytics", name), sql.Identifier("refreshed_analytics", name))
            found[name] = rows(session, query)[0][0]
        rows(session, "drop schema refreshed_analytics cascade")
    return found


def test_the_first_run_builds_everything_and_finds_every_planted_fault(built: Project) -> None:
    assert sum(differences(built, "raw", TABLES).values()) == 0
    done = summary(built)
    assert done["status"] == "ok"
    assert done["failed"] == []
    assert set(done["tests"]) <= {"pass", "warn"}
    assert failing_rows(built) == planted(built)
    for model in INCREMENTAL:
        assert count(built, f"select count(*) from analytics.{model}") > 0, model


def test_results_are_rows_and_the_report_is_made_of_them(built: Project) -> None:
    path = built.path / "target" / "run_results.json"
    results = json.loads(path.read_text(encoding="utf-8"))["results"]
    with closing(connect(built.warehouse)) as session:
        kept = rows(
            session,
            "select node_id, status from ops.node_results where run_id = %s and kind <> 'freshness'",
            summary(built)["run_id"],
        )
        latest = rows(
            session,
            "select check_name, failing_row_count, jsonb_array_length(failing_rows -> 'rows') > 0 "
            "from quality.latest_test_results where status in ('warn', 'fail', 'error')",
        )
    assert len(kept) == len(dict(kept))
    assert dict(kept) == {
        result["unique_id"]: result["status"].replace("no-op", "success")
        for result in results
        if not result["unique_id"].startswith("operation.")
    }
    assert {name: count for name, count, _ in latest} == failing_rows(built)
    assert all(has_rows for _, _, has_rows in latest)
    report = json.loads((path.parent / "reports" / "validation.json").read_text(encoding="utf-8"))
    assert report["incomplete"] is None
    warned = [check for check in report["checks"] if check["status"] == "warn"]
    assert {check["name"] for check in warned if check["sample"]["rows"]} == set(failing_rows(built))


def test_reports_are_written(built: Project, browser: Browser) -> None:
    reports = built.path / "target" / "reports"
    for name in ("index.html", "validation.html", "validation.json", "docs.html", "dag.svg"):
        assert (reports / name).stat().st_size > 1000, name
    has_elementary = count(built, "select count(*) from information_schema.tables where table_schema = 'elementary'")
    assert (reports / "elementary.html").is_file() == (has_elementary > 0)
    if has_elementary:
        assert count(built, "select count(*) from elementary.dbt_invocations") > 0
        assert count(built, "select count(*) from elementary.elementary_test_results") > 0
        page = browser(reports / "elementary.html")  # which has no network
        with closing(connect(built.source)) as session:
            people = rows(session, "select email, full_name from customers where email like '%@%'")
        # Compared outside of assert: pytest would take apart a page of megabytes to explain it.
        is_opened = "Test results breakdown" in page
        shown = [person for person in people if person[0] in page or person[1] in page]
        assert is_opened
        assert shown == []
    assert str(built.path) not in (reports / "index.html").read_text(encoding="utf-8")


def test_every_column_is_documented_every_model_tested_and_the_pages_are_fresh(built: Project) -> None:
    """The catalog, not only the YAML: a column that no YAML lists has no comment in the database."""
    manifest = built.path / "target" / "manifest.json"
    done = built.run(sys.executable, str(ROOT / ".ci" / "make_docs.py"), "--check", str(manifest))
    assert done.code == 0, done.err
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"].values()
    relations = [
        f"{node['schema']}.{node['alias']}"
        for node in nodes
        if node["package_name"] == "haven" and node["resource_type"] in ("model", "seed", "snapshot")
    ]
    with closing(connect(built.warehouse)) as session:
        described = rows(
            session,
            "select format('%%s.%%s', attrelid::regclass, attname), col_description(attrelid, attnum) "
            "from pg_attribute where attrelid = any(%s::regclass[]) and attnum > 0 "
            "and not attisdropped",
            relations,
        )
    assert len(described) > len(relations)
    assert [name for name, text in described if not text] == []


@offline_is_enough
def test_p11_a_new_model_that_shows_personal_data_fails_the_run_that_builds_it(built: Project) -> None:
    """No list names it: what a run has built is looked at when all of it is there, by what the project grants."""
    folder = built.path / "models" / "marts" / "analytics" / "customers"
    (folder / "leaky.sql").write_text(
        "{{ config(contract={'enforced': false}) }}\n"
        "select customer_id, email as contact from {{ ref('stg_clutter_haven__customers') }}\n"
    )
    try:
        done = built.dbt("build", "--select", "leaky", expect=2)
    finally:
        (folder / "leaky.sql").unlink()
    assert "no_personal_data_is_readable: models of this run show readers personal data" in done.out
    assert "analytics.leaky.contact: sampled values look like email" in done.out
    with closing(connect(built.warehouse)) as session:
        rows(session, "drop table analytics.leaky")


@offline_is_enough
def test_a_gap_in_the_documentation_is_found(built: Project, tmp_path: Path) -> None:
    manifest = json.loads((built.path / "target" / "manifest.json").read_text(encoding="utf-8"))
    orders = manifest["nodes"]["model.haven.fct_orders"]
    orders["columns"]["order_id"]["description"] = " "
    for test in [
        key
        for kind in ("nodes", "unit_tests")
        for key, node in manifest[kind].items()
        if node["resource_type"] in ("test", "unit_test") and "model.haven.dim_dates" in node["depends_on"]["nodes"]
    ]:
        manifest["unit_tests" if test.startswith("unit") else "nodes"].pop(test)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    done = built.run(sys.executable, str(ROOT / ".ci" / "make_docs.py"), "--check", str(tmp_path / "manifest.json"))
    assert done.code == 1
    assert "fct_orders.order_id has no description" in done.err
    assert "dim_dates has no test" in done.err
    assert "docs/warehouse.md is not what the models say" in done.err


def test_the_queries_for_analysts_run_and_find_something(built: Project) -> None:
    text = (ROOT / "docs" / "queries.md").read_text(encoding="utf-8")
    queries = re.findall(r"^## (.+?)$.*?```sql\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    assert len(queries) == text.count("\n## ")
    with closing(connect(built.warehouse)) as session:
        empty = [title for title, query in queries if not rows(session, query)]
    # Nobody moved house before the first simulated day.
    assert empty in ([], ["Where did customers live when they ordered, and where do they live now?"])


@offline_is_enough
def test_a_second_run_without_changes_moves_nothing(built: Project) -> None:
    before = [count(built, f"select count(*) from analytics.{name}") for name in INCREMENTAL]
    done = built.haven("run", "--no-reports", "--json").json
    moved = {
        load["table"]: load["rows_inserted"] + load["rows_updated"] + load["rows_deleted"] for load in done["loads"]
    }
    assert set(moved.values()) == {0}
    assert len(moved) == len(TABLES)
    assert [count(built, f"select count(*) from analytics.{n}") for n in INCREMENTAL] == before


@only_real
def test_elementary_keeps_a_second_run(built: Project) -> None:
    """Its tables are there by then, and filled by its hooks as they end the first."""
    invocations = "select count(*) from elementary.dbt_invocations"
    before = count(built, invocations)
    done = built.haven("run", "--no-reports", "--select", "fct_orders", "--json").json
    assert done["failed"] == []
    assert count(built, invocations) > before


@offline_is_enough
def test_a_window_of_a_partitioned_fact_is_rebuilt(built: Project) -> None:
    """Its months are whole again; what it has read of its inputs, and the next plain build, stay as they were."""
    marks = "select model_name, input_name, high_load_id from model_state.model_inputs order by 1, 2"
    with closing(connect(built.warehouse)) as session:
        before = rows(session, marks)
        rows(session, "delete from analytics.fct_listing_views where view_date = '2026-05-10'")
        built.dbt(
            "run", "--select", "fct_listing_views", "--event-time-start", "2026-04-15", "--event-time-end", "2026-06-01"
        )
        assert rows(session, marks) == before
    built.dbt("test", "--select", "fct_listing_views_match_live_source_views")


@offline_is_enough
def test_a_view_that_hides_its_table_behind_with_is_found(built: Project) -> None:
    view = "staging.stg_clutter_haven__bids"
    with closing(connect(built.warehouse)) as session:
        ((definition,),) = rows(session, "select pg_get_viewdef(%s::regclass)", view)
        plain = definition.rstrip(";")
        rows(session, f"create or replace view {view} as with bids as ({plain}) select * from bids")
        done = built.dbt("test", "--select", "views_let_filters_through", expect=1)
        rows(session, f"create or replace view {view} as {plain}")
    assert "Got 1 result" in done.out


@offline_is_enough
def test_after_a_day_everything_is_right(built: Project) -> None:
    """One day here; `make histories` and test_histories.py let many pass, in any order."""
    versions = {name: count(built, f"select count(*) from snapshots.{name}_snapshot") for name in HISTORY}
    tick = built.haven("demo", "tick", "--json").json
    run = built.haven("run", "--no-reports", "--json").json
    assert sum(differences(built, "raw", TABLES).values()) == 0
    assert run["failed"] == []
    assert failing_rows(built) == planted(built)
    unequal = unequal_to_full_refresh(built)
    assert unequal == dict.fromkeys(INCREMENTAL, 0)
    for name in HISTORY:
        versions[name] += tick["inserted"].get(name, 0) + tick["scd2"].get(name, 0) + tick["deleted"].get(name, 0)
        found = count(built, f"select count(*) from snapshots.{name}_snapshot")
        assert found == versions[name], name
    loads = {load["table"].split(".")[1]: load for load in run["loads"]}
    for name in TABLES:
        assert loads[name]["rows_deleted"] == tick["deleted"].get(name, 0), name
    assert_late_rows_are_in(built, tick)


def assert_late_rows_are_in(project: Project, tick: dict[str, Any]) -> None:
    """Check that the facts hold exactly the source's live rows: the late ones cannot be missing."""
    assert sum(v for v in tick["late"].values() if isinstance(v, int)) > 0
    with closing(connect(project.source)) as session:
        for table, fact in (
            ("orders", "fct_orders"),
            ("order_items", "fct_order_items"),
            ("payments", "fct_payments"),
            ("bids", "fct_bids"),
            ("listing_views", "fct_listing_views"),
        ):
            wanted = rows(session, f"select count(*) from {table}")[0][0]
            assert count(project, f"select count(*) from analytics.{fact}") == wanted, fact


@offline_is_enough
def test_plain_dbt_builds_without_the_runner(built: Project, tmp_path: Path) -> None:
    """An analyst's `eval "$(haven env)"; dbt build`: any import of the runner would fail."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['runner'] = None  # importing it raises ImportError\n"
    )
    script = built.haven("env").out
    done = built.run(
        "bash",
        "-c",
        f"{script}\nexport PYTHONPATH={tmp_path} PATH={Path(sys.executable).parent}:$PATH\n"
        "dbt build --select fct_orders+",
    )
    assert done.code == 0, done.out + done.err
    assert "ERROR=0" in done.out


@offline_is_enough
def test_b6_b7_two_developers_build_at_once_beside_production(built: Project) -> None:
    """Two dev schemas, one moment, roles and production's relations beside them: none disturbs another.

    Nor does the folder of one target's artifacts: each command reads the target's own.
    """
    built.haven("access")

    def build(name: str) -> Done:
        models = ("+daily_revenue", "+customer_features")
        return built.dbt("build", "--select", *models, HAVEN_TARGET="dev", HAVEN_SCHEMA=name)

    with ThreadPoolExecutor() as pool:
        done = list(pool.map(build, ("ann", "ben")))
    assert ["ERROR=0" in one.out for one in done] == [True, True]
    assert count(built, "select count(*) from ann_analytics.fct_orders") > 0
    unequal = count(
        built,
        "select count(*) from ann_analytics.daily_revenue "
        "full join ben_analytics.daily_revenue using (order_date, currency_code) "
        "where ann_analytics.daily_revenue.* is distinct from ben_analytics.daily_revenue.*",
    )
    assert unequal == 0
    with closing(connect(built.warehouse)) as session:
        kept = "select ctid from ann_ml.customer_features limit 3"
        rows(session, f"delete from ann_ml.customer_features where ctid not in ({kept})")
        rows(session, "grant usage on schema ann_staging to haven_analyst")
        rows(session, "grant select on all tables in schema ann_staging to haven_analyst")
    # What ann shows whom is for the audit of access to find: her tables are not judged by production's YAML.
    tests = ("no_personal_data_is_readable", "readers_only_read_what_is_theirs")
    told = built.dbt("test", "--select", *tests, expect=1).out
    assert "PASS no_personal_data_is_readable" in told
    assert re.search(r"FAIL \d+ readers_only_read_what_is_theirs", told)
    export = ("features", "export", "--model", "customer_features", "--json")
    ((ann, ann_file), (own, own_file)) = (
        (done["rows"], Path(done["path"]).parent.relative_to(built.path))
        for done in (
            built.haven(*export, HAVEN_TARGET="dev", HAVEN_SCHEMA="ann").json["files"][0],
            built.haven(*export).json["files"][0],
        )
    )
    assert (ann, str(ann_file)) == (3, "target/dev_ann/features")
    assert (own, str(own_file)) == (count(built, "select count(*) from ml.customer_features"), "target/features")
    with closing(connect(built.warehouse)) as session:
        rows(session, "revoke usage on schema ann_staging from haven_analyst")


@offline_is_enough
def test_b1_b3_b8_models_build_alone_beside_foreign_views(built: Project) -> None:
    """One of each kind; `make selections` tries all. Nothing may be lost or fail."""
    done = built.run(
        sys.executable, "-m", "selections", "us_states", "stg_clutter_haven__orders", "regional_revenue", "fct_orders",
        "fct_listing_views", PYTHONPATH=str(Path(__file__).parent), DBT_PROFILES_DIR=str(ROOT),
    )  # fmt: skip
    assert done.code == 0, done.out + done.err
    assert "5 selections, 0 wrong" in done.out


@offline_is_enough
def test_a_load_in_the_middle_of_a_build_is_neither_lost_nor_half_seen(built: Project) -> None:
    """Rows of two inputs change while fct_orders waits for a lock: this build sees neither, the next both.

    Last in this file, as it changes raw behind the loader's back.
    """
    facts = "select discount_amount, items_amount from analytics.fct_orders where order_id = %s"
    with closing(connect(built.warehouse)) as blocker, closing(connect(built.warehouse)) as other:
        (order_id, load_id), *_ = rows(
            other,
            "select max(order_id), max(_load_id) + 100 from raw.orders "
            "where order_status = 'delivered' and _deleted_at is null",
        )
        before = rows(other, facts, order_id)
        with ThreadPoolExecutor() as pool:
            with blocker, blocker.cursor() as cursor:
                cursor.execute("lock table analytics.fct_orders in access exclusive mode")
                build = pool.submit(built.dbt, "run", "--select", "fct_orders")
                wait_for(other, "select count(*) from pg_locks where not granted")
                for table, column in (("orders", "discount_amount"), ("order_items", "quantity")):
                    rows(
                        other,
                        f"update raw.{table} set {column} = {column} + 1, _load_id = %s, "
                        "_loaded_at = now() where order_id = %s",
                        load_id,
                        order_id,
                    )
            assert "ERROR=0" in build.result().out
        assert rows(other, facts, order_id) == before
        built.dbt("run", "--select", "fct_orders")
        ((discount_before, items_before),) = before
        ((discount, items),) = rows(other, facts, order_id)
        assert discount == discount_before + 1
        assert items > items_before


def wait_for(session: PgConnection, query: str) -> None:
    """Wait until the query's number is above 0, for a minute at most."""
    for _ in range(600):
        if rows(session, query)[0][0] > 0:
            return
        time.sleep(0.1)
    pytest.fail(f"in vain: {query}")
