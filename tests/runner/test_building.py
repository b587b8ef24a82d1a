"""A build leaves in place what it does not make: other people's views, and all else that hangs on a relation.

On a small project of its own, with dbt in this process on real PostgreSQL. `make selections` tries all models of Haven.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Databases
from dbt.tests.util import run_dbt

from runner.connect import connect
from runner.settings import Connection

pytest_plugins = ["dbt.tests.fixtures.project"]
# Only macros are tested here, and dbt runs in this process: coverage would measure dbt.
pytestmark = pytest.mark.no_cover
MACROS = ROOT / "macros" / "materializations"
ONE = "select 1::bigint as id, 'a'::text as note"


@pytest.fixture(scope="module")
def server(cluster_home: Path) -> Iterator[Connection]:
    """A database of the embedded PostgreSQL."""
    made = Databases(cluster_home)
    yield made.create("warehouse")
    made.drop_all()


@pytest.fixture(scope="class")
def dbt_profile_target(server: Connection) -> dict[str, Any]:
    return {
        "type": "postgres", "threads": 2, "host": server.host, "port": server.port,
        "user": server.user, "pass": server.password, "dbname": server.dbname,
        "sslmode": server.sslmode,
    }  # fmt: skip


@pytest.fixture(scope="class")
def macros() -> dict[str, str]:
    paths = [
        *MACROS.iterdir(),
        ROOT / "macros/elementary/materialization_test.sql",
        # A test holds the claim of its build, which is a row of the schema model_state.
        ROOT / "macros/builds/claim_build.sql",
        ROOT / "macros/incremental/create_model_state.sql",
        ROOT / "macros/tests/dbt_tests.sql",
    ]
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(paths)}


@pytest.fixture(scope="class")
def project_config_update() -> dict[str, Any]:
    return {
        "on-run-start": ["{{ create_model_state() }}", "{{ claim_build() }}"],
        "on-run-end": ["{{ release_build() }}"],
        "vars": {"failing_rows_kept": 2, "lock_patience_s": 1},
        "data_tests": {"+store_failures": True},
    }


@pytest.fixture(scope="class")
def logs_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("logs"))
        patch.setenv("DBT_LOG_PATH", folder)
        yield folder


def model(select: str, **config: Any) -> str:
    """Return a model's text."""
    settings = ", ".join(f"{key}={value!r}" for key, value in config.items())
    return f"{{{{ config({settings}) }}}}\n{select}\n"


def write(project: Any, name: str, text: str) -> None:
    """Replace the text of a model."""
    (Path(project.project_root) / "models" / f"{name}.sql").write_text(text, encoding="utf-8")


def values(project: Any, query: str) -> list[Any]:
    """Return the rows of a query; rows of one column as plain values."""
    found = project.run_sql(query, fetch="all")
    return [row[0] if len(row) == 1 else tuple(row) for row in found]


def failure(*arguments: str) -> str:
    """Run dbt, which has to fail, and return why."""
    results = run_dbt([*arguments], expect_pass=False)
    return "\n".join(str(result.message) for result in results if result.status == "error")


def attached(project: Any) -> list[Any]:
    """Return what PostgreSQL knows to hang on a_table, and the table's own identity."""
    return values(
        project,
        "select distinct pg_describe_object(classid, objid, objsubid) from pg_depend "
        "where refobjid = '{schema}.a_table'::regclass and classid <> 'pg_constraint'::regclass "
        "union select oid::text || relacl::text from pg_class where oid = '{schema}.a_table'::regclass "
        "union select attacl::text from pg_attribute where attrelid = '{schema}.a_table'::regclass and attnum > 0 "
        "order by 1",
    )


KINDS = {
    "a_view": model(ONE, materialized="view"),
    "a_table": model(ONE, materialized="table", indexes=[{"columns": ["id"], "unique": True}]),
    "an_increment": model(ONE, materialized="incremental", unique_key="id"),
    "a_partitioned": model(
        ONE + ", date '2026-01-05' as day", materialized="partitioned", unique_key="id",
        partition_by={"column": "day", "step": "month"},
    ),
}  # fmt: skip


class TestForeignViews:
    """Other people's views and all else that hangs on a relation, whatever is built and however."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {f"{name}.sql": text for name, text in KINDS.items()}

    @pytest.fixture(scope="class")
    def seeds(self) -> dict[str, str]:
        return {"a_seed.csv": "id,note\n1,a\n"}

    def test_b3_foreign_views_survive_every_build_and_full_refresh(self, project: Any) -> None:
        run_dbt(["build"])
        names = [*KINDS, "a_seed"]
        for name in names:
            project.run_sql(f"create view {{schema}}.on_{name} as select * from {{schema}}.{name}")
            project.run_sql(
                f"create view {{schema}}.again_{name} as select * from {{schema}}.on_{name}"
            )
        run_dbt(["build"])
        for name, text in KINDS.items():
            write(project, name, text.replace("1::bigint as id, 'a'", "2::bigint as id, 'z'"))
        (Path(project.project_root) / "seeds" / "a_seed.csv").write_text("id,note,more\n2,z,1\n")
        run_dbt(["build", "--full-refresh"])
        for name in names:
            assert values(project, f"select id, note from {{schema}}.again_{name}") == [(2, "z")], (
                name
            )
        assert values(project, "select more from {schema}.a_seed") == [1]

    def test_b3_all_that_hangs_on_a_table_stays(self, project: Any) -> None:
        for statement in (
            "create function {schema}.f() returns bigint begin atomic select count(*) from {schema}.a_table; end",
            "create function {schema}.r() returns setof {schema}.a_table language sql as 'table {schema}.a_table'",
            "create materialized view {schema}.m as select * from {schema}.a_table",
            "create table {schema}.refers (id bigint references {schema}.a_table (id))",
            "create rule quiet as on update to {schema}.a_table do instead nothing",
            "create policy p on {schema}.a_table using (true)",
            "create publication pub_{schema} for table {schema}.a_table with (publish = 'insert')",
            "create statistics {schema}.s on id, note from {schema}.a_table",
            "create index by_hand on {schema}.a_table (note)",
            "grant select on {schema}.a_table to pg_read_all_stats",
            "grant select (id) on {schema}.a_table to pg_monitor",
        ):
            project.run_sql(statement)
        before = attached(project)
        rows = (
            "select n as id, n::text as note, '[1]'::json as more from generate_series(1, 4) as n"
        )
        write(
            project,
            "a_table",
            model(
                rows.replace("n as id", "n::bigint as id"),
                materialized="table",
                indexes=[
                    {"columns": ["id"], "unique": True},
                    {"columns": ["more"], "type": "hash"},
                ],
            ),
        )
        assert "hash" in failure(
            "run", "--select", "a_table"
        )  # json has no hash: nothing was changed
        assert attached(project) == before
        write(
            project,
            "a_table",
            model(
                rows.replace("n as id", "n::bigint as id"),
                materialized="table",
                indexes=[{"columns": ["id"], "unique": True}],
            ),
        )
        run_dbt(["run", "--select", "a_table"])
        assert attached(project) == before
        assert values(project, "select id, note, more::text from {schema}.a_table order by 1")[::3] == [
            (1, "1", "[1]"), (4, "4", "[1]"),
        ]  # fmt: skip

    def test_b3_rows_that_are_there_twice_stay_twice(self, project: Any) -> None:
        project.run_sql("drop table {schema}.refers")
        write(project, "a_table", model(
            "select 1::bigint as id, 'x'::text as note, '{}'::json as more from generate_series(1, 3)",
            materialized="table"))  # fmt: skip
        run_dbt(["run", "--select", "a_table"])
        assert values(
            project,
            "select count(*), count(distinct ctid) from {schema}.again_a_table, {schema}.a_table",
        ) == [(9, 3)]

    def test_b3_columns_change_beneath_views_or_the_build_refuses_by_name(
        self, project: Any
    ) -> None:
        retyped = "select 1::integer as id, 'x'::text as note, true as flag"
        write(project, "a_table", model(retyped, materialized="table"))
        project.run_sql(
            "create function {schema}.g() returns bigint begin atomic select count(id) from {schema}.on_a_table; end"
        )
        assert "function {schema}.g()".replace("{schema}", project.test_schema) in failure(
            "run", "--select", "a_table"
        )
        project.run_sql(
            "drop function {schema}.f(); drop function {schema}.r(); drop function {schema}.g()"
        )
        project.run_sql(
            "comment on view {schema}.on_a_table is 'ours'; grant select on {schema}.on_a_table to pg_monitor"
        )
        run_dbt(["run", "--select", "a_table"])
        both = (
            "select id, note from {schema}.again_a_table union all select id, note from {schema}.m"
        )
        assert values(project, both) == [
            (1, "x"), (1, "x"),
        ]  # fmt: skip
        assert values(
            project,
            "select obj_description(oid), has_table_privilege('pg_monitor', oid, 'select') from pg_class "
            "where oid = '{schema}.on_a_table'::regclass",
        ) == [("ours", True)]
        write(project, "a_table", model("select 1::integer as id", materialized="table"))
        message = failure("run", "--select", "a_table")
        assert (
            f"{project.test_schema}.m reads" in message
            and 'column "note" does not exist' in message
        )
        assert values(project, "select note from {schema}.a_table") == ["x"]

    def test_b3_a_table_becomes_a_view_and_a_view_a_table(self, project: Any) -> None:
        write(
            project,
            "a_table",
            model("select 3::integer as id, 'v'::text as note", materialized="view"),
        )
        message = failure("run", "--select", "a_table")
        for wanted in ("rule quiet", "policy p", "publication", "statistics object", "index"):
            assert wanted in message, message
        for name in ("an_increment", "a_partitioned"):
            write(
                project,
                name,
                model(
                    "select 3::bigint as id, 'v'::text as note, null::date as day",
                    materialized="view",
                ),
            )
        write(
            project,
            "a_view",
            model("select 3::bigint as id, 'v'::text as note", materialized="table"),
        )
        run_dbt(["run", "--exclude", "a_table"])
        for name in ("an_increment", "a_partitioned", "a_view"):
            assert values(project, f"select id, note from {{schema}}.again_{name}") == [(3, "v")], (
                name
            )


STAGING = "select 1::bigint as id, 'a'::text as note"
TESTS = """
models:
  - name: stg
    columns:
      - name: id
        data_tests: [unique]
      - name: note
        data_tests:
          - accepted_values: {arguments: {values: [a, b]}}
          - relationships: {arguments: {to: ref('other'), field: note}}
  - name: int
    config: {meta: {grain: id}}
    columns:
      - name: id
      - name: note
        data_tests: [unique]
"""


class TestOwnViews:
    """Views of the project beneath each other, with tests between them."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            "stg.sql": model(STAGING, materialized="view"),
            "int.sql": model("select * from {{ ref('stg') }}", materialized="view"),
            "other.sql": model("select 'a'::text as note", materialized="table"),
            "tests.yml": TESTS,
        }

    @pytest.fixture(scope="class")
    def tests(self) -> dict[str, str]:
        return {
            "twice.sql": "select a.*, b.* from {{ ref('stg') }} a join {{ ref('stg') }} b on a.note = 'bad' order by 1"
        }

    def test_b1_a_view_that_is_built_alone_keeps_what_reads_it(self, project: Any) -> None:
        run_dbt(["build"])
        oids = "select oid from pg_class where relname in ('stg', 'int') and relnamespace = '{schema}'::regnamespace"
        before = values(project, oids)
        run_dbt(["build", "--select", "stg"])
        write(project, "stg", model(STAGING + ", true as more", materialized="view"))
        run_dbt(["build", "--select", "stg"])
        assert values(project, oids) == before
        write(
            project,
            "stg",
            model("select true as more, 'a'::text as note, 2::bigint as id", materialized="view"),
        )
        run_dbt(["build", "--select", "stg"])
        assert values(project, "select id from {schema}.int") == [2]

    def test_b2_b11_a_failing_test_leaves_the_dependant_and_keeps_its_rows(
        self, project: Any
    ) -> None:
        note = "case when n = 3 then 'a' else 'bad' end::text as note"
        many = f"select n::bigint as id, {note} from generate_series(3, 6) as n"
        write(project, "stg", model(many, materialized="view"))
        results = run_dbt(["build", "--select", "stg+"], expect_pass=False)
        found = {
            r.node.name: (r.status, r.failures) for r in results if r.node.resource_type == "test"
        }
        failing = {name: failures for name, (status, failures) in found.items() if status == "fail"}
        assert sorted(failing.values()) == [1, 3, 12], found
        assert values(project, "select count(*) from {schema}.int") == [4]
        kept = "{schema}_dbt_test__audit."
        alias = {r.node.name.split("_stg_")[0]: r.node.alias for r in results if r.status == "fail"}
        assert values(project, f"select * from {kept}{alias['accepted_values']}") == [("bad", 3, 4)]
        assert values(project, f"select id, from_field from {kept}{alias['relationships']} order by 1") in (
            [(4, "bad"), (5, "bad")], [(5, "bad"), (6, "bad")], [(4, "bad"), (6, "bad")],
        )  # fmt: skip
        assert values(project, f"select failing_row::text like '%bad%' from {kept}twice") == [
            True,
            True,
        ]
        project.run_sql(f"create view {{schema}}.mine as select * from {kept}twice")
        write(project, "stg", model(STAGING, materialized="view"))
        run_dbt(["build", "--select", "stg"])
        assert values(project, "select count(*) from {schema}.mine") == [0]
        assert values(
            project,
            "select tablename from pg_tables where schemaname = '{schema}_dbt_test__audit'",
        ) == ["twice"]

    def test_k3_a_reader_that_does_not_end_is_named(self, project: Any, server: Connection) -> None:
        with (
            closing(connect(server, application_name="a slow reader")) as session,
            session.cursor() as cursor,
        ):
            cursor.execute(f"select * from {project.test_schema}.other")
            cursor.execute(f"select * from {project.test_schema}.stg")
            run_dbt(["run", "--select", "stg"])  # as it should be already: no lock is needed
            write(project, "stg", model(STAGING + " where true", materialized="view"))
            message = failure("run", "--select", "stg", "other")
            for wanted in ("was in use for 1 s", f"pid {session.info.backend_pid} (user {server.user}", "a slow reader",
                           "pg_terminate_backend"):  # fmt: skip
                assert message.count(wanted) == 2, message
            project.run_sql("create view {schema}.on_other as select * from {schema}.other")
            write(project, "other", model("select 'c'::text as note", materialized="table"))
            run_dbt(["run", "--select", "other"])  # in place: the reader keeps what it saw
            cursor.execute(f"select * from {project.test_schema}.other")
            assert cursor.fetchall() == [("c",)]
