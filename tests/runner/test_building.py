"""A build leaves in place what it does not make: other people's views, and all else that hangs on a relation.

On a small project of its own, with dbt in this process on real PostgreSQL. `make selections` tries all models of Haven.
"""

from __future__ import annotations

import json
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


def target(server: Connection) -> dict[str, Any]:
    """Return the target of a dbt profile."""
    return {
        "type": "postgres", "threads": 2, "host": server.host, "port": server.port,
        "user": server.user, "pass": server.password, "dbname": server.dbname,
        "sslmode": server.sslmode,
    }  # fmt: skip


@pytest.fixture(scope="class")
def dbt_profile_target(server: Connection) -> dict[str, Any]:
    return target(server)


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


class OfEveryKind:
    """A project with a model of each kind, and a seed."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {f"{name}.sql": text for name, text in KINDS.items()}

    @pytest.fixture(scope="class")
    def seeds(self) -> dict[str, str]:
        return {"a_seed.csv": "id,note\n1,a\n"}


class TestForeignViews(OfEveryKind):
    """Other people's views and all else that hangs on a relation, whatever is built and however."""

    def test_b3_foreign_views_survive_every_build_and_full_refresh(self, project: Any) -> None:
        run_dbt(["build"])
        names = [*KINDS, "a_seed"]
        for name in names:
            project.run_sql(f"create view {{schema}}.on_{name} as select * from {{schema}}.{name}")
            project.run_sql(f"create view {{schema}}.again_{name} as select * from {{schema}}.on_{name}")
        run_dbt(["build"])
        for name, text in KINDS.items():
            write(project, name, text.replace("1::bigint as id, 'a'", "2::bigint as id, 'z'"))
        (Path(project.project_root) / "seeds" / "a_seed.csv").write_text("id,note,more\n2,z,1\n")
        run_dbt(["build", "--full-refresh"])
        for name in names:
            assert values(project, f"select id, note from {{schema}}.again_{name}") == [(2, "z")], name
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
        rows = "select n as id, n::text as note, '[1]'::json as more from generate_series(1, 4) as n"
        write(
            project,
            "a_table",
            model(
                rows.replace("n as id", "n::bigint as id"),
                materialized="table",
                indexes=[{"columns": ["id"], "unique": True}, {"columns": ["more"], "type": "hash"}],
            ),
        )
        assert "hash" in failure("run", "--select", "a_table")  # json has no hash: nothing was changed
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
            project, "select count(*), count(distinct ctid) from {schema}.again_a_table, {schema}.a_table"
        ) == [(9, 3)]

    def test_b3_columns_change_beneath_views_or_the_build_refuses_by_name(self, project: Any) -> None:
        retyped = "select 1::integer as id, 'x'::text as note, true as flag"
        write(project, "a_table", model(retyped, materialized="table"))
        project.run_sql(
            "create function {schema}.g() returns bigint begin atomic select count(id) from {schema}.on_a_table; end"
        )
        assert "function {schema}.g()".replace("{schema}", project.test_schema) in failure("run", "--select", "a_table")
        project.run_sql("drop function {schema}.f(); drop function {schema}.r(); drop function {schema}.g()")
        project.run_sql(
            "comment on view {schema}.on_a_table is 'ours'; grant select on {schema}.on_a_table to pg_monitor"
        )
        run_dbt(["run", "--select", "a_table"])
        both = "select id, note from {schema}.again_a_table union all select id, note from {schema}.m"
        assert values(project, both) == [(1, "x"), (1, "x")]
        assert values(
            project,
            "select obj_description(oid), has_table_privilege('pg_monitor', oid, 'select') from pg_class "
            "where oid = '{schema}.on_a_table'::regclass",
        ) == [("ours", True)]
        write(project, "a_table", model("select 1::integer as id", materialized="table"))
        message = failure("run", "--select", "a_table")
        assert f"{project.test_schema}.m reads" in message and 'column "note" does not exist' in message
        assert values(project, "select note from {schema}.a_table") == ["x"]

    def test_b3_a_table_becomes_a_view_and_a_view_a_table(self, project: Any) -> None:
        write(project, "a_table", model("select 3::integer as id, 'v'::text as note", materialized="view"))
        message = failure("run", "--select", "a_table")
        for wanted in ("rule quiet", "policy p", "publication", "statistics object", "index"):
            assert wanted in message, message
        for name in ("an_increment", "a_partitioned"):
            write(
                project,
                name,
                model("select 3::bigint as id, 'v'::text as note, null::date as day", materialized="view"),
            )
        write(project, "a_view", model("select 3::bigint as id, 'v'::text as note", materialized="table"))
        run_dbt(["run", "--exclude", "a_table"])
        for name in ("an_increment", "a_partitioned", "a_view"):
            assert values(project, f"select id, note from {{schema}}.again_{name}") == [(3, "v")], name


# What somebody does to one table of the project each, {t}.
BY_HAND = {
    "comment": "comment on table {t} is 'by hand'",
    "column_comment": "comment on column {t}.note is 'by hand'",
    "toast": "alter table {t} set (toast.autovacuum_enabled = false)",
    "storage": "alter table {t} alter note set storage external",
    "column_default": "alter table {t} alter note set default 'x'",
    "no_statistics": "alter table {t} alter note set statistics 0",
    "granted": "grant select on {t} to pg_monitor",
    "public": "grant select on {t} to public",
    "checked": "alter table {t} add constraint by_hand check (id > -5)",
    "owned": "alter table {t} owner to pg_monitor",
    "inherits": "create table {schema}.parent (id bigint not null, note text); alter table {t} inherit {schema}.parent",
    "part": "create table {schema}.whole (id bigint not null, note text) partition by list (note);"
    "alter table {schema}.whole attach partition {t} default",
    "untouched": "select 1",
}
CONTRACT = {
    "config": {"contract": {"enforced": True}, "persist_docs": {"relation": True, "columns": True}},
    "columns": [
        {"name": "id", "data_type": "bigint", "constraints": [{"type": "primary_key"}]},
        {"name": "note", "data_type": "text"},
    ],
}


class TestGivenByHand:
    """What somebody gave to one table or view by hand is there after its build, and the build is right."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        yaml = {"models": [{"name": name, **CONTRACT} for name in BY_HAND]}
        return {
            "models.yml": json.dumps(yaml),
            "a_view.sql": model(ONE, materialized="view"),
            **{f"{name}.sql": model(ONE, materialized="table") for name in BY_HAND},
        }

    def test_b3_a_table_keeps_what_it_was_given(self, project: Any) -> None:
        run_dbt(["run"])
        project.run_sql("alter default privileges in schema {schema} grant select on tables to pg_read_all_stats")
        for name, statement in BY_HAND.items():
            project.run_sql(statement.replace("{t}", f"{{schema}}.{name}"))
        given = (
            "select relname, relowner::regrole::text, relacl::text, obj_description(oid), col_description(oid, 2), "
            "(select reloptions from pg_class as toast where toast.oid = tables.reltoastrelid), attstorage::text, "
            "attstattarget, (select adnum from pg_attrdef where adrelid = oid), "
            "(select array_agg(pg_get_constraintdef(c.oid) order by 1) from pg_constraint as c "
            "where conrelid = tables.oid), (select inhparent from pg_inherits where inhrelid = oid) "
            "from pg_class as tables join pg_attribute on attrelid = oid and attname = 'note' "
            f"where relnamespace = '{{schema}}'::regnamespace and relname in {tuple(BY_HAND)} order by relname"
        )
        oids = f"select relname from pg_class where oid not in ({{oids}}) and relname in {tuple(BY_HAND)}"
        before = values(project, given)
        found = values(project, "select oid from pg_class where relnamespace = '{schema}'::regnamespace")
        for name in BY_HAND:
            write(project, name, model(ONE.replace("'a'", "'z'"), materialized="table"))
        run_dbt(["run"])
        # What nobody touched is swapped, and gets the new default privilege.
        assert values(project, oids.replace("{oids}", ", ".join(map(str, found)))) == ["untouched"]
        assert [row for row in values(project, given) if row[0] != "untouched"] == [
            row for row in before if row[0] != "untouched"
        ]
        for name in (*BY_HAND, "parent", "whole"):
            assert values(project, f"select note from {{schema}}.{name}") == ["z"], name

    def test_b3_a_table_that_others_inherit_from_is_refused(self, project: Any) -> None:
        project.run_sql("create table {schema}.child () inherits ({schema}.untouched)")
        project.run_sql("insert into {schema}.child values (7, 'theirs')")
        assert "child inherits from" in failure("run", "--select", "untouched")
        assert values(project, "select id from {schema}.child") == [7]

    @pytest.mark.parametrize("query", [ONE, ONE + ", 1 as more", ONE.replace("bigint", "integer")])
    def test_b3_a_view_keeps_its_options_comment_and_owner(self, project: Any, query: str) -> None:
        project.run_sql("alter view {schema}.a_view set (security_barrier = true, security_invoker = true)")
        project.run_sql("comment on view {schema}.a_view is 'ours'; comment on column {schema}.a_view.note is 'ours'")
        project.run_sql("alter view {schema}.a_view owner to pg_monitor")
        given = (
            "select reloptions, relowner::regrole::text, obj_description(oid), col_description(oid, 2) "
            "from pg_class where oid = '{schema}.a_view'::regclass"
        )
        before = values(project, given)
        write(project, "a_view", model(query, materialized="view"))
        run_dbt(["run", "--select", "a_view"])
        assert values(project, given) == before

    def test_b3_a_dropped_column_names_the_view_that_reads_it(self, project: Any) -> None:
        synced = {"materialized": "incremental", "on_schema_change": "sync_all_columns"}
        write(project, "synced", model(ONE, **synced))
        run_dbt(["run", "--select", "synced"])
        project.run_sql("create view {schema}.theirs as select note from {schema}.synced")
        write(project, "synced", model("select 2::bigint as id", **synced))
        message = failure("run", "--select", "synced")
        assert f"{project.test_schema}.theirs reads" in message
        assert "Change or drop it" in message
        assert "CASCADE" not in message
        assert values(project, "select note from {schema}.theirs") == ["a"]


class TestRowSecurity(OfEveryKind):
    """A builder that may not see all rows of a table would write the others twice."""

    @pytest.fixture(scope="class")
    def dbt_profile_target(self, server: Connection) -> Iterator[dict[str, Any]]:
        with closing(connect(server)) as session, session.cursor() as cursor:
            cursor.execute("create role blinkered")
            cursor.execute(f"grant create on database {server.dbname} to blinkered")
            session.commit()
            yield target(server) | {"role": "blinkered"}
            cursor.execute("drop owned by blinkered cascade; drop role blinkered")
            session.commit()

    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        return {"vars": {"lock_patience_s": 1}}

    def test_b3_hidden_rows_are_refused_by_name(self, project: Any) -> None:
        run_dbt(["build"])
        names = ("a_table", "an_increment", "a_partitioned", "a_seed")
        for name in names:
            project.run_sql(f"alter table {{schema}}.{name} enable row level security, force row level security")
            project.run_sql(f"create policy even on {{schema}}.{name} using (id % 2 = 0) with check (true)")
        for full_refresh in ([], ["--full-refresh"]):
            message = failure("build", *full_refresh)
            for name in names:
                assert f"row-level security hides rows of {project.test_schema}.{name} from blinkered" in message
        for name in names:
            project.run_sql(f"alter table {{schema}}.{name} no force row level security")
            assert values(project, f"select id from {{schema}}.{name}") == [1]


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
        write(project, "stg", model("select true as more, 'a'::text as note, 2::bigint as id", materialized="view"))
        run_dbt(["build", "--select", "stg"])
        assert values(project, "select id from {schema}.int") == [2]

    def test_b2_b11_a_failing_test_leaves_the_dependant_and_keeps_its_rows(self, project: Any) -> None:
        note = "case when n = 3 then 'a' else 'bad' end::text as note"
        many = f"select n::bigint as id, {note} from generate_series(3, 6) as n"
        write(project, "stg", model(many, materialized="view"))
        results = run_dbt(["build", "--select", "stg+"], expect_pass=False)
        found = {r.node.name: (r.status, r.failures) for r in results if r.node.resource_type == "test"}
        failing = {name: failures for name, (status, failures) in found.items() if status == "fail"}
        assert sorted(failing.values()) == [1, 3, 12], found
        assert values(project, "select count(*) from {schema}.int") == [4]
        kept = "{schema}_dbt_test__audit."
        alias = {r.node.name.split("_stg_")[0]: r.node.alias for r in results if r.status == "fail"}
        assert values(project, f"select * from {kept}{alias['accepted_values']}") == [("bad", 3, 4)]
        assert values(project, f"select id, from_field from {kept}{alias['relationships']} order by 1") in (
            [(4, "bad"), (5, "bad")], [(5, "bad"), (6, "bad")], [(4, "bad"), (6, "bad")],
        )  # fmt: skip
        assert values(project, f"select failing_row::text like '%bad%' from {kept}twice") == [True, True]
        project.run_sql(f"create view {{schema}}.mine as select * from {kept}twice")
        write(project, "stg", model(STAGING, materialized="view"))
        run_dbt(["build", "--select", "stg"])
        assert values(project, "select count(*) from {schema}.mine") == [0]
        assert values(project, "select tablename from pg_tables where schemaname = '{schema}_dbt_test__audit'") == [
            "twice"
        ]

    def test_k3_a_reader_that_does_not_end_is_named(self, project: Any, server: Connection) -> None:
        with closing(connect(server, application_name="a slow reader")) as session, session.cursor() as cursor:
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
