"""What dbt keeps of its runs in ops.node_results, and the validation report that shows it.

One small project with the real macros is built once, with a node for each thing that can become of one.
"""

from __future__ import annotations

import json
import re
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from conftest import ROOT, Databases, Project, rows
from test_personal_data import HARMLESS, PERSONAL

from runner import report
from runner.connect import connect
from runner.ops import prepare
from runner.personal_data import SEED
from runner.report.masking import MASK
from runner.report.validation import write_validation

RUN = "run-1"
PASSWORD = "s3cret 'pass'"
QUOTES = """it's "quoted" \\ $$ %s"""
PROJECT = """
name: shop
profile: haven
flags: {send_anonymous_usage_stats: false}
vars: {failing_rows_kept: 500, lock_patience_s: 5}
on-run-start:
  - '{{ create_model_state() }}'
  - '{{ claim_build() }}'
  - '{{ create_node_results() }}'
on-run-end:
  - 'drop table if exists quality.rows_are_gone'
  - 'do $$ begin if exists (
    select from pg_class where oid = to_regclass(''quality.rows_break'') and relkind = ''r'')
    then drop table quality.rows_break;
    create view quality.rows_break as select 1 / (id - 1) as one from staging.people;
    end if; end $$'
  - '{{ save_node_results(results) }}'
  - '{{ release_build() }}'
  - '{% if execute and var("ends_badly", false) %}{{ exceptions.raise_compiler_error("found after all") }}{% endif %}'
models:
  shop:
    staging: {+schema: staging, +materialized: view, +group: staff}
    marts: {+schema: marts, +materialized: table}
    quality: {+schema: quality}
seeds: {shop: {+schema: reference}}
data_tests: {+schema: quality, +store_failures: true}
"""
PEOPLE = f"""
select
    id, nullif('ann' || id || '@example.com', 'ann2@example.com') as email, 'nick' || id % 2 as handle,
    'Ann ' || id as full_name, 'write to ann@example.com now' as note, 'chair ' || id as item_name,
    1.50::numeric as price, 'NaN'::float as ratio, id = 1 as is_first, '12345'::bytea as picture,
    '{{"mail": "a@b.org"}}'::jsonb as document, repeat('x', 300) as long, $q${QUOTES}$q$ as "odd ""one"
from generate_series(1, 3) as id
"""
MODELS = {
    "staging/people": PEOPLE,
    "staging/names": "select " + ", ".join(f"'x' as \"{name}\"" for name in (*PERSONAL, *HARMLESS)),
    "marts/finance/doubled": (
        "{{ config(indexes=[{'columns': ['full_name'], 'unique': true}]) }} "
        "select id, 'Ann Smith' as full_name from generate_series(1, 2) as id"
    ),
    "marts/finance/cast": "select full_name::integer as number from (values ('Ann Smith')) as one (full_name)",
    "marts/finance/after": "select * from {{ ref('doubled') }}",
    "marts/finance/huge": (
        "{% if execute %}{{ exceptions.raise_compiler_error("
        f"{QUOTES!r} ~ '\\n\\x00 ' ~ adapter.config.credentials.password ~ ' word of ann@example.com ' * 60000)"
        " }}{% endif %} select 1 as id"
    ),
}
SCHEMA_YAML = """
groups: [{name: staff, owner: {name: Staff, email: staff@example.com}}]
sources:
  - name: shop
    schema: raw
    config:
      loaded_at_field: at
      freshness: {warn_after: {count: 6, period: hour}, error_after: {count: 1, period: day}}
    tables: [{name: people}]
models:
  - name: people
    columns:
      - {name: id, data_tests: [
          {accepted_values: {name: few_ids, arguments: {values: [1, 2], quote: false},
            config: {severity: warn, tags: [nightly]}}},
          {relationships: {name: known_ids, arguments: {to: ref('people'), field: id}}},
          {dbt_utils.accepted_range: {name: ids_in_range, arguments: {min_value: 0}}},
          {accepted_values: {name: keeps_nothing, arguments: {values: [1], quote: false},
            config: {severity: warn, store_failures: false}}},
          {accepted_values: {name: rows_are_gone, arguments: {values: [1], quote: false}, config: {severity: warn}}},
          {accepted_values: {name: rows_break, arguments: {values: [1], quote: false}, config: {severity: warn}}},
          {not_null: {name: left_out}}, {not_null: {name: switched_off, config: {enabled: false}}}]}
      - {name: email, data_tests: [
          {not_null: {name: have_email, description: Each can be written to., config: {meta: {owner: Post}}}}]}
      - {name: handle, config: {meta: {pii: true}}, data_tests: [
          {unique: {name: one_handle, config: {severity: warn}}}]}
      - {name: item_name, config: {meta: {pii: false}}}
      - {name: note}
      - {name: price}
      - {name: ratio}
      - {name: is_first}
      - {name: picture}
      - {name: document}
      - {name: long}
      - {name: 'odd "one'}
  - name: doubled
    columns: [{name: id, data_tests: [{not_null: {name: cut_off}}]}]
unit_tests:
  - {name: after__keeps_ids, model: after, given: [{input: ref('doubled'), rows: [{id: 1}]}], expect: {rows: [{id: 1}]}}
"""


def make_project(folder: Path) -> Path:
    """Write the project: the real macros and source of results, and the nodes above."""
    shutil.copytree(ROOT / "macros", folder / "macros")
    shutil.copytree(ROOT / "offline_packages" / "dbt_utils", folder / "dbt_packages" / "dbt_utils")
    shutil.copy(ROOT / "profiles.yml", folder)
    sources = yaml.safe_load((ROOT / "models/quality/_quality__sources.yml").read_text("utf-8"))
    results = [source for source in sources["sources"] if source["name"] == "results"]
    files = {f"models/{name}.sql": text for name, text in MODELS.items()} | {
        "dbt_project.yml": PROJECT,
        "models/schema.yml": SCHEMA_YAML,
        "models/quality/sources.yml": yaml.safe_dump({"sources": results}),
        "tests/names_show.sql": "{{ config(severity='warn') }} select * from {{ ref('names') }}",
        "tests/labels_show.sql": (
            "{{ config(severity='warn', meta={'shows': ['verdict']}) }} "
            "select id, upper(full_name) as label, jsonb_build_object('who', full_name) as payload, 'odd' as verdict, "
            "item_name as first_note, length(full_name) as length from {{ ref('people') }} where id = 1"
        ),
        "seeds/personal_data.csv": (ROOT / "seeds/reference/personal_data.csv").read_text("utf-8"),
    }
    for name in ("latest_test_results", "latest_model_runs"):
        text = (ROOT / f"models/quality/results/{name}.sql").read_text("utf-8")
        files[f"models/quality/{name}.sql"] = text
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, module_databases: Databases) -> Project:
    """The project, its sources looked at and everything built once, as parts of one run."""
    folder = make_project(tmp_path_factory.mktemp("results") / "shop")
    warehouse = module_databases.create("warehouse")
    made = Project(folder, module_databases.create("source"), warehouse)
    with closing(connect(warehouse)) as session:
        prepare(session)
        rows(session, "create schema raw; create table raw.people as select now() - interval '3 days' as at")
    run = {"DBT_ENV_CUSTOM_ENV_HAVEN_RUN_ID": RUN}
    made.dbt("source", "freshness", expect=1, **run)
    made.dbt("build", "--exclude", "left_out", expect=1, **run)
    return made


def ask(project: Project, query: str, *args: object) -> list[tuple[Any, ...]]:
    """Return the rows of a warehouse query."""
    with closing(connect(project.warehouse)) as session:
        return rows(session, query, *args)


def result(project: Project, name: str, columns: str) -> tuple[Any, ...]:
    """Return these columns of the result of the one node with this name in the first run."""
    query = f"select {columns} from ops.node_results where node_name = %s and run_id = %s"
    (found,) = ask(project, query, name, RUN)
    return found


def validate(project: Project) -> dict[str, Any]:
    """Return the validation report of the last dbt, checked against its schema."""
    folder = project.path / "target"
    made = write_validation(folder, folder, project.warehouse.as_env())
    schema = Path(report.__file__).with_name("validation.schema.json").read_text("utf-8")
    jsonschema.validate(json.loads((folder / "validation.json").read_text("utf-8")), json.loads(schema))
    return made


def test_each_node_of_a_run_has_one_result(shop: Project) -> None:
    found = ask(shop, "select node_name, kind, status, failures from ops.node_results where run_id = %s", RUN)
    assert {(name, kind): (status, failures) for name, kind, status, failures in found} == {
        ("freshness of shop.people", "freshness"): ("fail", None),
        ("people", "model"): ("success", None),
        ("names", "model"): ("success", None),
        ("personal_data", "seed"): ("success", None),
        ("latest_test_results", "model"): ("success", None),
        ("latest_model_runs", "model"): ("success", None),
        ("doubled", "model"): ("error", None),
        ("huge", "model"): ("error", None),
        ("cast", "model"): ("error", None),
        ("labels_show", "data test"): ("warn", 1),
        ("after", "model"): ("skipped", None),
        ("cut_off", "data test"): ("skipped", None),
        ("have_email", "data test"): ("fail", 1),
        ("one_handle", "data test"): ("warn", 1),
        ("few_ids", "data test"): ("warn", 1),
        ("known_ids", "data test"): ("pass", 0),
        ("ids_in_range", "data test"): ("pass", 0),
        ("keeps_nothing", "data test"): ("warn", 2),
        ("rows_are_gone", "data test"): ("warn", 2),
        ("rows_break", "data test"): ("warn", 2),
        ("names_show", "data test"): ("warn", 1),
        ("left_out", "data test"): ("not_run", None),
        ("after__keeps_ids", "unit test"): ("skipped", None),
    }
    assert len(found) == 23


def test_a_result_says_what_its_node_is(shop: Project) -> None:
    columns = "model_name, column_name, layer, severity, owner, tags, failures_schema, failures_table"
    kept = ("quality", "few_ids")
    assert result(shop, "few_ids", columns) == ("people", "id", "staging", "warn", "Staff", ["nightly"], *kept)
    assert result(shop, "have_email", "severity, owner, description") == ("error", "Post", "Each can be written to.")
    assert result(shop, "cut_off", "layer, path, message") == ("marts/finance", "models/schema.yml", None)
    kinds = len(SEED.read_text(encoding="utf-8").splitlines()) - 1
    assert result(shop, "personal_data", "rows_affected, layer, rule") == (kinds, "seeds", "personal_data is built")
    ((is_timed, is_apart),) = ask(
        shop,
        "select bool_and(seconds > 0 and finished_at <= recorded_at) filter (where status = 'success'), "
        "count(distinct invocation_id) = 2 and count(distinct recorded_at) = 2 from ops.node_results where run_id = %s",
        RUN,
    )
    assert (is_timed, is_apart) == (True, True)


def test_each_kind_of_rule_is_put_into_words(shop: Project) -> None:
    rules = {
        "left_out": "id is never null",
        "one_handle": "handle is unique",
        "few_ids": "id is one of 1, 2",
        "known_ids": "id exists in people (id)",
        "ids_in_range": "id: accepted range (min_value: 0)",
        "names_show": "names show",
        "after__keeps_ids": "after: keeps ids",
        "freshness of shop.people": "shop.people is fresh (warns after 6 hours, fails after 1 day)",
    }
    assert {name: result(shop, name, "rule")[0] for name in rules} == rules
    assert result(shop, "freshness of shop.people", "message, layer") == ("The newest row is 3 days old.", "sources")


def test_failing_rows_are_kept_without_personal_values(shop: Project) -> None:
    (sample,) = result(shop, "have_email", "failing_rows")
    (shown,) = sample["rows"]

    assert sample["masked_columns"] == ["email", "handle", "full_name"]
    assert dict(zip(sample["columns"], shown, strict=True)) == {
        "id": 2, "email": None, "handle": MASK, "full_name": MASK, "note": f"write to {MASK} now",
        "item_name": "chair 2", "price": "1.50", "ratio": "NaN", "is_first": False, "picture": "(5 bytes)",
        "document": f'{{"mail": "{MASK}"}}',
        "long": "x" * 199 + "…", 'odd "one': QUOTES,
    }  # fmt: skip
    # Of a test of a personal column, what the project does not describe is hidden: dbt renames it.
    (renamed,) = result(shop, "one_handle", "failing_rows")
    shown = dict(zip(renamed["columns"], renamed["rows"][0], strict=True))
    assert (shown["unique_field"], shown["n_records"]) == (MASK, 2)


def test_the_names_that_are_personal_are_masked_and_no_others(shop: Project) -> None:
    (sample,) = result(shop, "names_show", "failing_rows")
    assert set(sample["masked_columns"]) == set(PERSONAL)
    assert sample["columns"] == [*PERSONAL, *HARMLESS]
    assert sample["rows"] == [[MASK] * len(PERSONAL) + ["x"] * len(HARMLESS)]


def test_what_a_test_makes_of_personal_values_is_masked(shop: Project) -> None:
    (sample,) = result(shop, "labels_show", "failing_rows")
    assert dict(zip(sample["columns"], sample["rows"][0], strict=True)) == {
        "id": 1, "label": MASK, "payload": MASK, "verdict": "odd", "first_note": "chair 1", "length": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("keeps_nothing", "This test does not store the rows it finds."),
        ("rows_are_gone", 'The stored rows cannot be read: "quality"."rows_are_gone" does not exist.'),
        ("rows_break", "The stored rows cannot be read (SQLSTATE 22012)."),
    ],
)
def test_rows_that_cannot_be_shown_say_why_and_stop_no_others(shop: Project, name: str, note: str) -> None:
    assert result(shop, name, "failing_rows") == ({"columns": [], "rows": [], "masked_columns": [], "note": note},)


def test_messages_are_kept_without_personal_values_and_of_any_size(shop: Project) -> None:
    (doubled,) = result(shop, "doubled", "message")
    assert f"Key (full_name)=({MASK}) is duplicated" in doubled
    (cast,) = result(shop, "cast", "message")
    assert f'invalid input syntax for type integer: "{MASK}"' in cast
    (huge,) = result(shop, "huge", "message")
    assert QUOTES in huge
    assert huge.endswith(" characters)")
    assert 4_000 < len(huge) < 10_000
    for text in (doubled, cast, huge):
        assert not re.search(r"Ann Smith|ann@|\x00", text)
        assert shop.warehouse.password not in text


def test_the_report_shows_what_was_kept(shop: Project) -> None:
    made = validate(shop)

    assert made["incomplete"] is None
    assert (made["run"]["id"], made["status"]) == (RUN, "fail")
    checks = {check["name"]: check for check in made["checks"]}
    assert {name: check["status"] for name, check in checks.items()} == {
        "have_email": "fail", "freshness of shop.people": "fail", "doubled": "error", "huge": "error", "cast": "error",
        "labels_show": "warn",
        "one_handle": "warn", "few_ids": "warn", "keeps_nothing": "warn", "names_show": "warn", "rows_break": "warn",
        "rows_are_gone": "warn", "left_out": "not_run", "switched_off": "not_run", "after": "skipped",
        "cut_off": "skipped", "after__keeps_ids": "skipped", "known_ids": "pass", "ids_in_range": "pass",
    }  # fmt: skip
    assert made["counts"] == {"fail": 2, "error": 3, "warn": 7, "not_run": 2, "skipped": 3, "pass": 2, "total": 19}
    assert checks["few_ids"]["rule"] == "id is one of 1, 2"
    assert checks["few_ids"]["sample"]["rows"]
    assert checks["switched_off"]["message"] == "It is switched off."
    assert checks["left_out"]["message"] == "It was not part of this run."
    page = (shop.path / "target" / "validation.html").read_text("utf-8")
    assert "chair 2" in page
    assert "<dt>Owner</dt><dd>Staff</dd>" in page
    assert not re.search("nick[0-9]|Ann [0-9S]|ann[0-9]?@example", page)


def test_without_a_warehouse_the_report_says_what_is_missing(shop: Project) -> None:
    env = shop.warehouse.as_env() | {"HAVEN_WAREHOUSE_PORT": "1"}
    made = write_validation(shop.path / "target", shop.path / "target" / "elsewhere", env)

    assert "cannot connect to warehouse" in made["incomplete"]
    assert made["counts"] == validate(shop)["counts"]
    checks = {check["name"]: check for check in made["checks"]}
    assert "cannot connect to warehouse" in checks["few_ids"]["sample"]["note"]
    assert checks["few_ids"]["sample"]["rows"] == []
    assert (checks["few_ids"]["layer"], checks["few_ids"]["failures"]) == ("staging", 1)
    assert "error after 1 day" in checks["freshness of shop.people"]["message"]
    page = (shop.path / "target" / "elsewhere" / "validation.html").read_text("utf-8")
    assert "Rules, owners and failing rows are missing: cannot connect to warehouse" in page


def test_a_later_run_of_some_nodes(shop: Project) -> None:
    ask(shop, "drop table if exists quality.few_ids")
    shop.dbt("test", "--select", "few_ids", "known_ids", "left_out", "--vars", "ends_badly: true", expect=None)

    # A run that ends badly after its results has them, and the report shows its end too.
    made = validate(shop)
    checks = {check["name"]: check for check in made["checks"]}
    assert made["run"]["id"] is None
    assert made["incomplete"] is None
    assert checks["left_out"]["status"] == "pass"
    assert checks["have_email"]["status"] == "not_run"
    assert checks["freshness of shop.people"]["status"] == "fail"
    # Only the newest run tells what it left out.
    left_out = "select count(*) from ops.node_results where status = 'not_run'"
    assert ask(shop, left_out + " and run_id = %s", RUN) == [(0,)]
    assert ask(shop, left_out)[0][0] > 0
    # Every check keeps its last result.
    latest = dict(ask(shop, "select check_name, status from quality.latest_test_results"))
    assert latest["have_email"] == "fail"
    assert latest["left_out"] == "pass"
    assert latest["cut_off"] == "skipped"
    assert "few_ids" in latest
    models = dict(ask(shop, "select model_name, status from quality.latest_model_runs"))
    assert models["people"] == "success"
    assert models["doubled"] == "error"


def test_a_developer_has_results_of_their_own(shop: Project) -> None:
    before = ask(shop, "select count(*) from ops.node_results")
    shop.dbt(
        "build",
        "--select",
        "personal_data",
        "people",
        "few_ids",
        "--indirect-selection",
        "empty",
        "--target-path",
        "target/dev",
        HAVEN_TARGET="dev",
        HAVEN_SCHEMA="dev_ann",
    )

    assert ask(shop, "select count(*) from ops.node_results") == before
    found = dict(ask(shop, "select node_name, status from dev_ann_model_state.node_results where status <> 'not_run'"))
    assert found == {"personal_data": "success", "people": "success", "few_ids": "warn"}


def test_the_table_is_the_same_whoever_makes_it(shop: Project) -> None:
    columns = (
        "select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = %s::regclass "
        "and attnum > 0 order by attnum"
    )
    ours = ask(shop, columns, "ops.node_results")
    assert ours == ask(shop, columns, "dev_ann_model_state.node_results")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("alter table ops.node_results rename to other", "is not there, or an older one"),
        ("revoke insert on ops.node_results from shop_dbt", "may not be written by dbt"),
    ],
)
def test_results_that_cannot_be_kept_cost_no_run(shop: Project, statement: str, reason: str) -> None:
    ask(shop, "drop role if exists shop_dbt")
    database = shop.warehouse.dbname
    ask(shop, f"create role shop_dbt login password '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
    ask(shop, f'grant create on database "{database}" to shop_dbt')
    ask(shop, "grant usage on schema ops to shop_dbt; grant all on ops.node_results to shop_dbt")
    ask(shop, "grant all on schema staging, quality, model_state, reference to shop_dbt")
    ask(shop, "grant all on all tables in schema staging, model_state, reference, quality to shop_dbt")
    before = ask(shop, "select count(*) from ops.node_results")
    login = {"HAVEN_WAREHOUSE_USER": "shop_dbt", "HAVEN_WAREHOUSE_PASSWORD": PASSWORD}
    try:
        ask(shop, statement)
        done = shop.dbt("test", "--select", "known_ids", **login)
        assert "The results of this run are not kept" in done.out
        assert reason in done.out
    finally:
        ask(
            shop,
            "do $$ begin if to_regclass('ops.other') is not null then "
            "alter table ops.other rename to node_results; end if; end $$",
        )
        ask(shop, "drop owned by shop_dbt; drop role shop_dbt")
    assert ask(shop, "select count(*) from ops.node_results") == before
