"""The partitioned materialization, with the fixtures and base cases of dbt-tests-adapter on real PostgreSQL.

The project under test gets the folder macros/materializations and nothing else of ours: that is what another
project would copy.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Databases
from dbt.tests.adapter.incremental import fixtures
from dbt.tests.adapter.incremental.test_incremental_merge_exclude_columns import (
    BaseMergeExcludeColumns,
    models__merge_exclude_columns_sql,
)
from dbt.tests.adapter.incremental.test_incremental_on_schema_change import BaseIncrementalOnSchemaChange
from dbt.tests.util import run_dbt

from benchmarks.cluster import Bench
from benchmarks.parts import swap
from runner.connect import connect
from runner.settings import Connection

pytest_plugins = ["dbt.tests.fixtures.project"]
# Only macros are tested here, and dbt runs in this process: coverage would measure dbt.
pytestmark = pytest.mark.no_cover
MACROS = ROOT / "macros" / "materializations"
MONTHS = "partition_by={'column': 'day', 'step': 'month'}"


@pytest.fixture(scope="module")
def server(cluster_home: Path) -> Iterator[Connection]:
    """A database of the embedded PostgreSQL 18."""
    made = Databases(cluster_home)
    yield made.create("warehouse")
    made.drop_all()


def profile(server: Connection) -> dict[str, Any]:
    """Return the target of a dbt profile."""
    return {
        "type": "postgres", "threads": 2, "host": server.host, "port": server.port,
        "user": server.user, "pass": server.password, "dbname": server.dbname,
        "sslmode": server.sslmode,
    }  # fmt: skip


@pytest.fixture(scope="class")
def dbt_profile_target(server: Connection) -> dict[str, Any]:
    return profile(server)


@pytest.fixture(scope="class")
def macros() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(MACROS.iterdir())}


@pytest.fixture(scope="class")
def logs_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("logs"))
        patch.setenv("DBT_LOG_PATH", folder)
        yield folder


def partitioned(select: str, *settings: str) -> str:
    """Return a model's text."""
    config = ", ".join(["materialized='partitioned'", *settings])
    return f"{{{{ config({config}) }}}}\n{select}"


def partitions(project: Any, model: str) -> dict[str, str]:
    """Return the bounds of a model's partitions by the end of their names."""
    found = project.run_sql(
        "select child.relname, pg_get_expr(child.relpartbound, child.oid) from pg_inherits "
        f"join pg_class child on child.oid = inhrelid where inhparent = '{{schema}}.{model}'::regclass",
        fetch="all",
    )
    return {name.removeprefix(f"{model}__"): bound for name, bound in found}


def values(project: Any, query: str) -> list[Any]:
    """Return the rows of a query; rows of one column as plain values."""
    found = project.run_sql(query, fetch="all")
    return [row[0] if len(row) == 1 else tuple(row) for row in found]


def build(model: str, *options: str) -> None:
    """Run one model, which has to succeed."""
    run_dbt(["run", "--select", model, *options])


def failure(model: str, *options: str) -> str:
    """Run one model, which has to fail, and return why."""
    results = run_dbt(["run", "--select", model, *options], expect_pass=False)
    return str(results[0].message)


EVENTS = "select id, day, amount, note from {{ target.schema }}.events"
MERGED = "incremental_strategy='merge', unique_key='id'"


class TestRanges:
    """Partitions by time and by number: built, incremented, pruned, kept when nothing changes."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        indexes = "indexes=[{'columns': ['id', 'day'], 'unique': true}, {'columns': ['amount']}]"
        steps = {
            f"by_{step}.sql": partitioned(
                "select moment from (values ('2025-01-01 00:00+00'::timestamptz), "
                "('2024-12-31 23:59:59.999999+00'), ('0044-03-15 12:00+00'), ('0044-03-15 12:00+00 BC'), "
                "('0001-12-31 23:00+00 BC'), ('12345-03-15 12:00+00')) as moments (moment)",
                f"partition_by={{'column': 'moment', 'step': '{step}'}}, unique_key='moment'",
            )
            for step in ("day", "week", "month", "quarter", "year")
        }
        return steps | {
            "all_events.sql": f"{{{{ config(materialized='view') }}}} {EVENTS}",
            "merged.sql": partitioned("select * from {{ ref('all_events') }}", MONTHS, MERGED, indexes),
            "numbered.sql": partitioned(
                "select number from {{ target.schema }}.numbers",
                "partition_by={'column': 'number', 'step': 10}, unique_key='number'",
            ),
            "view_on_merged.sql": "{{ config(materialized='view') }} select * from {{ ref('merged') }}",
            "schema.yml": json.dumps(
                {
                    "models": [
                        {
                            "name": "merged",
                            "description": "Grain: event.",
                            "config": {
                                "persist_docs": {"relation": True, "columns": True},
                                "grants": {"select": ["pg_read_all_data"]},
                            },
                            "columns": [{"name": "id", "description": "Event."}],
                        }
                    ]
                }
            ),
        }

    @pytest.fixture(scope="class", autouse=True)
    def events(self, project: Any) -> None:
        project.run_sql(
            "create table {schema}.events (id bigint, day date, amount int, note json);"
            "insert into {schema}.events select n, '2025-01-01'::date + n, n, '[1]'"
            " from generate_series(0, 89) as n"
        )
        project.run_sql("create table {schema}.numbers as select generate_series(-11, 11) as number")

    def test_boundaries_are_those_of_utc(self, project: Any) -> None:
        build("by_day by_week by_month by_quarter by_year")
        assert {
            step: sorted(partitions(project, f"by_{step}")) for step in ("day", "week", "month", "quarter", "year")
        } == {
            "day": ["0001_12_31_bc", "0044_03_15", "0044_03_15_bc", "12345_03_15", "2024_12_31", "2025_01_01"],
            "week": ["0001w52_bc", "0044w11", "0044w11_bc", "12345w11", "2025w01"],
            "month": ["0001_12_bc", "0044_03", "0044_03_bc", "12345_03", "2024_12", "2025_01"],
            "quarter": ["0001q4_bc", "0044q1", "0044q1_bc", "12345q1", "2024q4", "2025q1"],
            "year": ["0001_bc", "0044", "0044_bc", "12345", "2024", "2025"],
        }
        assert values(project, "select timezone('UTC', min(moment)) from {schema}.by_week__2025w01") == [
            dt.datetime(2024, 12, 31, 23, 59, 59, 999999)
        ]

    def test_first_build(self, project: Any) -> None:
        build("all_events merged view_on_merged")
        assert partitions(project, "merged") == {
            f"2025_0{month}": f"FOR VALUES FROM ('2025-0{month}-01') TO ('2025-0{month + 1}-01')" for month in (1, 2, 3)
        }
        assert values(project, "select count(*) from {schema}.merged") == [90]
        # Two indexes and their parts; comments; grants; nothing left over.
        assert values(
            project, "select count(*) from pg_indexes where schemaname = '{schema}' and tablename ~ '^merged'"
        ) == [8]
        assert values(project, "select obj_description('{schema}.merged'::regclass)") == ["Grain: event."]
        assert values(project, "select col_description('{schema}.merged'::regclass, 1)") == ["Event."]
        assert values(
            project,
            "select grantee from information_schema.role_table_grants where table_schema = '{schema}' "
            "and table_name = 'merged' and grantee <> current_user",
        ) == ["pg_read_all_data"]
        assert values(project, "select relname from pg_class where relname ~ '(__new|__aside)$'") == []

    def test_plans_prune(self, project: Any) -> None:
        def plan(query: str) -> str:
            return "\n".join(values(project, f"explain (costs off) {query}"))

        day = "select * from {schema}.merged where day = '2025-02-03'"
        assert "merged__2025_02" in plan(day)
        assert "2025_01" not in plan(day)
        assert "2025_03" not in plan(day)
        assert "One-Time Filter: false" in plan("select * from {schema}.merged where day > '2030-01-01'")
        by_key = "set enable_seqscan = off; explain (costs off) select * from {schema}.merged where id = 7"
        assert "\n".join(values(project, by_key)).count("Index Scan") == 3

    def test_merge_writes_only_what_differs_and_moves_rows(self, project: Any) -> None:
        written = "select id from {schema}.merged where xmin::text::bigint > {newest} order by id"
        newest = values(project, "select max(xmin::text::bigint) from {schema}.merged")[0]
        # 0 changes, 1 moves to March, 2 moves to a new month, 100 is new there; the others stay as they are.
        project.run_sql("update {schema}.events set amount = 1000 where id = 0")
        project.run_sql("update {schema}.events set day = '2025-03-15' where id = 1")
        project.run_sql("update {schema}.events set day = '2025-05-15' where id = 2")
        project.run_sql("insert into {schema}.events values (100, '2025-05-31', 1, '[1]')")
        build("merged")
        assert values(project, written.replace("{newest}", str(newest))) == [0, 1, 2, 100]
        assert sorted(partitions(project, "merged")) == ["2025_01", "2025_02", "2025_03", "2025_05"]
        assert (
            values(
                project,
                "select id from {schema}.events full join {schema}.merged using (id, day, amount)"
                " where {schema}.events.id is null or {schema}.merged.id is null",
            )
            == []
        )
        assert values(project, "select count(*) from {schema}.view_on_merged") == [91]

    def test_a_key_twice_is_refused_by_name(self, project: Any) -> None:
        project.run_sql("insert into {schema}.events values (100, '2025-06-01', 1, '[1]')")
        assert "(id)=(100) is duplicated" in failure("merged")
        project.run_sql("delete from {schema}.events where id = 100 and day = '2025-06-01'")
        assert "2025_06" not in partitions(project, "merged")

    def test_numbers(self, project: Any) -> None:
        # Left by a build that was not one transaction.
        project.run_sql("create table {schema}.numbered__0__new (); create table {schema}.numbered__aside ()")
        build("numbered")
        project.run_sql("insert into {schema}.numbers values (25)")
        build("numbered")
        assert partitions(project, "numbered") == {
            f"{'minus_' if low < 0 else ''}{abs(low)}": f"FOR VALUES FROM ({low if low >= 0 else repr(str(low))}) TO"
            f" ({low + 10 if low + 10 >= 0 else repr(str(low + 10))})"
            for low in (-20, -10, 0, 10, 20)
        }
        assert values(project, "select count(*) from {schema}.numbered") == [24]

    def test_full_refresh_and_empty(self, project: Any) -> None:
        project.run_sql("delete from {schema}.events where day >= '2025-05-01'")
        events = values(project, "select count(*) from {schema}.events")
        build("merged view_on_merged", "--full-refresh")
        assert sorted(partitions(project, "merged")) == ["2025_01", "2025_02", "2025_03"]
        assert values(project, "select count(*) from {schema}.view_on_merged") == events
        build("merged", "--empty")
        assert values(project, "select count(*) from {schema}.merged") == events
        build("merged", "--full-refresh", "--empty")
        assert partitions(project, "merged") == {}


class TestReplacing:
    """replace_partitions, windows and retention: whole partitions, and no others."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        window = f"{EVENTS} where {{{{ in_partition_window('day') }}}}"
        kept = "select id, day from {{ target.schema }}.recent"
        by_month = "partition_by={'column': 'day', 'step': 'month'}, unique_key='id', retention="
        return {
            "replaced.sql": partitioned(
                EVENTS + "{{ ' where day >= (select date_trunc($$month$$, max(day)) from ' ~ this ~ ')'"
                " if is_incremental() }}",
                MONTHS,
                "incremental_strategy='replace_partitions'",
                "indexes=[{'columns': ['id']}]",
            ),
            "windowed.sql": partitioned(window, MONTHS, MERGED),
            "unfiltered.sql": partitioned(EVENTS, MONTHS, MERGED),
            "dropped.sql": partitioned(kept, by_month + "{'keep': '2 months', 'action': 'drop'}"),
            "detached.sql": partitioned(kept, by_month + "{'keep': '2 months', 'action': 'detach'}"),
            "archived.sql": partitioned(
                kept, by_month + "{'keep': '2 months', 'action': 'archive', 'schema': 'archive'}"
            ),
            "numbered.sql": partitioned(
                "select generate_series(0, 29) as number",
                "partition_by={'column': 'number', 'step': 10}, unique_key='number'",
                "retention={'before': 15, 'action': 'drop'}",
            ),
            "view_on_replaced.sql": "{{ config(materialized='view') }} select * from {{ ref('replaced') }}",
        }

    @pytest.fixture(scope="class", autouse=True)
    def events(self, project: Any) -> None:
        project.run_sql(
            "create table {schema}.events as select n as id, '2025-01-01'::date + n as day, n as amount,"
            " 'x' as note from generate_series(0, 89) as n"
        )
        project.run_sql(
            "create table {schema}.recent as select n as id, (current_date - n * interval '10 days')::date as day"
            " from generate_series(0, 30) as n"
        )

    def test_only_the_partitions_of_the_result_are_replaced(self, project: Any) -> None:
        build("replaced view_on_replaced")
        files = (
            "select inhrelid::regclass::text, relfilenode from pg_inherits join pg_class on oid = inhrelid "
            "where inhparent = '{schema}.replaced'::regclass"
        )
        before = dict(values(project, files))
        project.run_sql("update {schema}.events set amount = -1 where day >= '2025-02-28'")
        project.run_sql("delete from {schema}.events where id = 89")
        project.run_sql("insert into {schema}.events values (200, '2025-04-02', 5, 'new')")
        build("replaced")
        after = dict(values(project, files))
        changed = {name[-7:] for name in after if after[name] != before.get(name)}
        assert changed == {"2025_03", "2025_04"}
        # Through the view, which a replaced partition leaves in place. 28 February was not in the result.
        assert values(
            project, "select count(*), count(*) filter (where amount = -1) from {schema}.view_on_replaced"
        ) == [(90, 30)]
        assert values(
            project, "select count(*) from pg_indexes where schemaname = '{schema}' and tablename ~ '^replaced__'"
        ) == [4]
        assert values(project, "select relname from pg_class where relname ~ '(__new|__aside)$'") == []

    def test_a_window_is_rebuilt_whole_and_nothing_else(self, project: Any) -> None:
        build("windowed")
        project.run_sql("grant select on {schema}.windowed__2025_02 to pg_monitor")
        project.run_sql("update {schema}.events set amount = 7")
        project.run_sql("delete from {schema}.events where day between '2025-02-01' and '2025-02-10'")
        project.run_sql("update {schema}.events set day = '2025-02-15' where id = 0")
        counts = "select to_char(day, 'MM'), count(*), count(*) filter (where amount = 7) from {schema}.windowed"
        # Rounded outwards to February. Row 0 came from January, which is not in the window: it must not be there twice.
        build("windowed", "--event-time-start", "2025-02-05", "--event-time-end", "2025-02-06")
        assert values(project, f"{counts} where id <> 7 group by 1 order by 1") == [
            ("01", 29, 0), ("02", 19, 19), ("03", 30, 0), ("04", 1, 0),
        ]  # fmt: skip
        given = "select has_table_privilege('pg_monitor', '{schema}.windowed__2025_02', 'select')"
        assert values(project, given) == [True]
        project.run_sql("delete from {schema}.events where day >= '2025-03-01'")
        build("windowed", "--vars", "{partition_start: 2025-03-01, partition_end: 2025-04-01}")
        assert values(project, f"{counts} group by 1 order by 1") == [("01", 30, 1), ("02", 19, 19), ("04", 1, 0)]
        assert sorted(partitions(project, "windowed"))[2:] == ["2025_03", "2025_04"]

    def test_a_window_is_refused_where_it_would_lose_rows(self, project: Any) -> None:
        build("unfiltered")
        window = ("--event-time-start", "2025-01-01", "--event-time-end", "2025-02-01")
        assert "filter the query by {{ in_partition_window('day') }}" in failure("unfiltered", *window)
        assert "leave out one of them" in failure("unfiltered", *window, "--full-refresh")
        assert "of the years 1 to 9998, got 0044-03-15 BC" in failure(
            "unfiltered", "--vars", "{partition_start: 0044-03-15 BC, partition_end: 2025-01-01}"
        )
        build("windowed", *window, "--empty")
        assert values(project, "select count(*) from {schema}.windowed where day < '2025-02-01'") == [30]

    def test_retention(self, project: Any) -> None:
        today = dt.datetime.now(dt.UTC).date()
        first = (today.replace(day=1) - dt.timedelta(days=40)).replace(day=1)
        kept = [
            f"{month:%Y_%m}" for month in (first, (first + dt.timedelta(days=40)).replace(day=1), today.replace(day=1))
        ]
        assert len(set(kept)) == 3
        build("dropped detached archived numbered")
        for model in ("dropped", "detached", "archived"):
            assert sorted(partitions(project, model)) == kept
        assert sorted(partitions(project, "numbered")) == ["10", "20"]
        # Time passes, or so it looks: partitions that are too old now are taken out, and stay out.
        for model in ("dropped", "detached", "archived"):
            project.run_sql(
                f"create table {{schema}}.{model}__2020_01 (like {{schema}}.{model} including all);"
                f"insert into {{schema}}.{model}__2020_01 values (1000, '2020-01-05');"
                f"alter table {{schema}}.{model} attach partition {{schema}}.{model}__2020_01"
                " for values from ('2020-01-01') to ('2020-02-01')"
            )
        build("dropped detached archived")
        for model in ("dropped", "detached", "archived"):
            assert sorted(partitions(project, model)) == kept
        assert values(project, "select to_regclass('{schema}.dropped__2020_01') is null") == [True]
        assert values(project, "select id from {schema}.detached__2020_01") == [1000]
        assert values(project, "select id from {schema}_archive.archived__2020_01") == [1000]
        project.run_sql("drop schema {schema}_archive cascade")


class TestListsAndLeftovers:
    """Lists, groups and the default partition."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        regions = "select id, region from {{ target.schema }}.regions"
        days = "select id, day from {{ target.schema }}.days"
        return {
            "listed.sql": partitioned(regions, "partition_by={'method': 'list', 'column': 'region'}, unique_key='id'"),
            "grouped.sql": partitioned(
                regions,
                "partition_by={'method': 'list', 'column': 'region', 'default': true,"
                " 'groups': {'emea': ['DE', 'FR'], 'amer': ['US', none]}}, unique_key='id'",
            ),
            "strict.sql": partitioned(days, MONTHS, "unique_key='id'"),
            "lenient.sql": partitioned(
                days,
                "partition_by={'column': 'day', 'step': 'month', 'default': true, 'from': '2020-01-01',"
                " 'until': '2030-01-01'}, unique_key='id'",
                "indexes=[{'columns': ['id', 'day'], 'unique': true}]",
            ),
            "replacing.sql": partitioned(
                days,
                "partition_by={'column': 'day', 'step': 'month', 'default': true},"
                " incremental_strategy='replace_partitions'",
            ),
        }

    @pytest.fixture(scope="class", autouse=True)
    def rows(self, project: Any) -> None:
        project.run_sql(
            "create table {schema}.regions as select * from (values (1, 'DE'), (2, 'US'), (3, null),"
            " (4, 'Côte d''Ivoire'), (5, 'null'), (6, 'default')) as regions (id, region)"
        )
        project.run_sql(
            "create table {schema}.days as select * from (values (1, '2025-01-05'::date), (2, null),"
            " (3, 'infinity'), (4, '1925-01-05')) as days (id, day)"
        )

    def test_every_value_has_its_partition(self, project: Any) -> None:
        build("listed")
        project.run_sql("insert into {schema}.regions values (7, 'FR')")
        project.run_sql("update {schema}.regions set region = 'US' where id = 1")
        build("listed")
        found = partitions(project, "listed")
        assert found["null"] == "FOR VALUES IN (NULL)"
        assert sorted(found.values()) == sorted(
            f"FOR VALUES IN ({value})"
            for value in ("'DE'", "'US'", "NULL", "'Côte d''Ivoire'", "'null'", "'default'", "'FR'")
        )
        assert values(project, "select id, region from {schema}.listed order by id") == values(
            project, "select id, region from {schema}.regions order by id"
        )

    def test_groups(self, project: Any) -> None:
        build("grouped")
        assert partitions(project, "grouped") == {
            "emea": "FOR VALUES IN ('DE', 'FR')",
            "amer": "FOR VALUES IN ('US', NULL)",
            "default": "DEFAULT",
        }
        assert values(project, "select id from {schema}.grouped__default order by id") == [4, 5, 6]
        assert values(project, "select id from {schema}.grouped__amer order by id")[-1] == 3

    def test_a_row_without_partition_is_an_error_that_says_so(self, project: Any) -> None:
        assert "2 rows fit no partition: day is null, infinite" in failure("strict")

    def test_default_partition(self, project: Any) -> None:
        build("lenient replacing")
        assert sorted(partitions(project, "lenient")) == ["2025_01", "default"]
        assert values(project, "select id from {schema}.lenient__default order by id") == [2, 3, 4]
        # New months come out of the default partition, rows move both ways.
        project.run_sql("insert into {schema}.days values (5, '2025-02-05'), (6, '2030-01-01')")
        project.run_sql("update {schema}.days set day = '2025-02-06' where id = 2")
        project.run_sql("update {schema}.days set day = null where id = 1")
        build("lenient replacing")
        assert sorted(partitions(project, "lenient")) == ["2025_01", "2025_02", "default"]
        assert values(project, "select id from {schema}.lenient__default order by id") == [1, 3, 4, 6]
        assert values(project, "select id from {schema}.lenient__2025_02 order by id") == [2, 5]
        assert values(project, "select id from {schema}.replacing__default order by id") == [1, 3]
        assert sorted(partitions(project, "replacing")) == ["1925_01", "2025_01", "2025_02", "2030_01", "default"]


class TestChanges:
    """Contracts, unit tests, other kinds of tables before, builds that fail, wrong settings."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        one = "select 1 as id, '2025-01-05'::date as day"
        wrong = {
            "no_column": "partition_by={'step': 'month'}",
            "no_step": "partition_by={'column': 'day'}",
            "wrong_step": "partition_by={'column': 'day', 'step': 'hour'}",
            "wrong_type": "partition_by={'column': 'id', 'step': 'month'}",
            "no_such_column": "partition_by={'column': 'date', 'step': 'month'}",
            "unknown_key": "partition_by={'column': 'day', 'step': 'month', 'size': 3}",
            "unique_without_day": MONTHS + ", indexes=[{'columns': ['id'], 'unique': true}]",
            "archive_nowhere": MONTHS + ", retention={'keep': '1 month', 'action': 'archive'}",
            "no_unit": MONTHS + ", retention={'keep': '24', 'action': 'drop'}",
            "less_than_nothing": MONTHS + ", retention={'keep': '-1 month', 'action': 'drop'}",
            "list_retention": "partition_by={'method': 'list', 'column': 'id'}, retention={'keep': '1 day'}",
            "microbatch": MONTHS + ", incremental_strategy='microbatch'",
        }
        return {
            f"wrong_{name}.sql": partitioned(one, settings, "unique_key='id'") for name, settings in wrong.items()
        } | {
            "wrong_no_key.sql": partitioned(one, MONTHS),
            "base.sql": "{{ config(materialized='view') }} " + one + ", 1 as amount",
            "contracted.sql": partitioned(
                "select id, day, amount from {{ ref('base') }} {{ 'where id > 1' if is_incremental() }}",
                MONTHS,
                "unique_key='id'",
            ),
            "failing.sql": partitioned(one, MONTHS, "unique_key='id', post_hook='select 1/0'"),
            "kind.sql": "{{ config(materialized=var('kind', 'table'), unique_key='id', "
            "partition_by={'column': 'day', 'step': 'month'}) }} " + one,
            "schema.yml": json.dumps(
                {
                    "models": [
                        {
                            "name": "contracted",
                            "config": {"contract": {"enforced": True}},
                            "constraints": [
                                {"type": "primary_key", "columns": ["id", "day"], "warn_unsupported": False},
                                {
                                    "type": "check",
                                    "expression": "amount < 9",
                                    "name": "small",
                                    "warn_unsupported": False,
                                },
                            ],
                            "columns": [
                                {"name": "id", "data_type": "integer"},
                                {"name": "day", "data_type": "date"},
                                {"name": "amount", "data_type": "integer"},
                            ],
                        }
                    ],
                    "unit_tests": [
                        {
                            "name": f"contracted__{kind}",
                            "model": "contracted",
                            "overrides": {"macros": {"is_incremental": incremental}},
                            "given": [
                                {"input": "ref('base')", "rows": [{"id": 1, "amount": 5}, {"id": 2, "amount": 6}]}
                            ],
                            "expect": {"rows": expected},
                        }
                        for kind, incremental, expected in (
                            ("first", False, [{"id": 1, "amount": 5}, {"id": 2, "amount": 6}]),
                            ("increment", True, [{"id": 2, "amount": 6}]),
                        )
                    ],
                }
            ),
        }

    def test_contract_and_unit_tests(self, project: Any) -> None:
        results = run_dbt(["build", "--select", "base", "contracted"])
        assert [str(result.status) for result in results] == ["success", "pass", "pass", "success"]
        constraints = (
            "select conname, contype::text from pg_constraint where conrelid = '{schema}.contracted__2025_01'::regclass"
            " and contype in ('c', 'p') order by contype, conname"
        )
        assert [kind for _, kind in values(project, constraints)] == ["c", "c", "p"]
        project.run_sql(
            "create or replace view {schema}.base as select 2 as id, '2025-02-05'::date as day, 9 as amount"
        )
        assert '"small"' in failure("contracted")
        assert sorted(partitions(project, "contracted")) == ["2025_01"]
        # The partition replaced by a window has the same key and checks.
        project.run_sql(
            "create or replace view {schema}.base as select 2 as id, '2025-01-07'::date as day, 8 as amount"
        )
        build("contracted", "--vars", "{partition_start: 2025-01-01, partition_end: 2025-02-01}")
        assert values(project, "select id from {schema}.contracted") == [2]
        assert [kind for _, kind in values(project, constraints)] == ["c", "c", "p"]

    def test_a_build_that_fails_leaves_nothing(self, project: Any) -> None:
        assert "division by zero" in failure("failing")
        assert values(project, "select relname from pg_class where relname ~ '^failing'") == []

    def test_tables_and_views_become_partitioned_by_a_full_refresh_only(self, project: Any) -> None:
        build("kind")
        partitioned_kind = ("--vars", "{kind: partitioned}")
        assert "is not a partitioned table; run dbt with --full-refresh" in failure("kind", *partitioned_kind)
        build("kind", *partitioned_kind, "--full-refresh")
        assert sorted(partitions(project, "kind")) == ["2025_01"]
        build("kind", "--vars", "{kind: view}", "--full-refresh")
        build("kind", *partitioned_kind)
        assert values(project, "select count(*) from {schema}.kind") == [1]
        assert values(project, "select relkind::text from pg_class where oid = '{schema}.kind'::regclass") == ["p"]

    def test_wrong_settings_are_named(self, project: Any) -> None:
        results = run_dbt(["run", "--select", "wrong_*"], expect_pass=False)
        messages = {result.node.name: str(result.message) for result in results}
        for name, wanted in {
            "no_key": "incremental_strategy 'merge' needs a unique_key",
            "no_column": "needs partition_by={'column'",
            "no_step": "partition_by.step is day, week, month, quarter, year or a whole number above 0, got None",
            "wrong_step": "got hour",
            "wrong_type": "step month needs a column of type date, timestamp without time zone",
            "no_such_column": "the query gives no column date to partition by",
            "unknown_key": "got size",
            "unique_without_day": "has to contain the partition column day, this one does not: id",
            "archive_nowhere": "retention.schema goes with action archive",
            "no_unit": "retention.keep is a number of days, weeks, months or years, such as '24 months', got 24",
            "less_than_nothing": "such as '24 months', got -1 month",
            "list_retention": "retention is for ranges",
            "microbatch": "--event-time-start",
        }.items():
            assert wanted in messages.pop(f"wrong_{name}"), name
        assert messages == {}


class TestSchemaChanges(BaseIncrementalOnSchemaChange):
    """dbt's own cases for on_schema_change, with the models partitioned."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        texts = {
            name.removeprefix("_MODELS__").lower() + ".sql": text
            for name, text in vars(fixtures).items()
            if name.startswith("_MODELS__") and "SPECIAL_CHARS" not in name
        }
        texts["model_a.sql"] = texts.pop("a.sql")
        return {name: partitioned_text(text) for name, text in texts.items()}

    def test_every_partition_follows(self, project: Any) -> None:
        assert values(
            project,
            "select count(distinct attname) from pg_attribute join pg_inherits on inhrelid = attrelid"
            " where inhparent = '{schema}.incremental_sync_all_columns'::regclass and attnum > 0 and not attisdropped",
        ) == [4]


class TestMergeExcludeColumns(BaseMergeExcludeColumns):
    """dbt's own case for merge_exclude_columns, partitioned."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {"merge_exclude_columns.sql": partitioned_text(models__merge_exclude_columns_sql)}


def partitioned_text(text: str) -> str:
    """Return a model of dbt-tests-adapter, partitioned by its id instead of incremental."""
    kind = "materialized='partitioned', partition_by={'column': 'id', 'step': 2}"
    for written in ("materialized='incremental'", "materialized = 'incremental'"):
        text = text.replace(written, kind)
    return text


class TestReaders:
    """Readers that keep the table: builds wait for them in short attempts, and give up by name."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            "held.sql": partitioned(
                "select 1 as id, '2025-01-05'::date as day, txid_current() as build",
                MONTHS,
                "incremental_strategy='replace_partitions', partition_lock={'timeout_ms': 20, 'patience_s': 1}",
            )
        }

    def test_a_reader_that_stays_is_named_and_others_pass(self, project: Any, server: Connection) -> None:
        build("held")
        with closing(connect(server)) as stays, closing(connect(server)) as passes:
            passes.autocommit = True
            query = f"select build from {project.test_schema}.held"
            with stays.cursor() as holder, passes.cursor() as cursor:
                holder.execute(query)
                before = holder.fetchall()
                with ThreadPoolExecutor() as pool:
                    failed = pool.submit(failure, "held")
                    waits = []
                    while not failed.done():
                        started = time.monotonic()
                        cursor.execute(query)
                        waits.append(time.monotonic() - started)
                        assert cursor.fetchall() == before
                        time.sleep(0.005)
                assert "was in use for 1 s without a gap; held by pid" in failed.result()
                # Behind a lock request without a limit every one of these would have waited for a second and more.
                assert max(waits) < 0.5
                assert len(waits) > 50
            stays.rollback()
            build("held")
            with passes.cursor() as cursor:
                cursor.execute(query)
                assert cursor.fetchall() != before

    def test_partitions_are_swapped_under_100_reads_a_second(
        self, cluster_home: Path, server: Connection, tmp_path: Path
    ) -> None:
        """A short `ONLY=swap make bench`; that one says how long readers wait on a machine that is at rest."""
        bench = Bench(cluster_home, server, server)
        found = swap.measure(bench, tmp_path / "swap project", 20_000, 2, seconds_alone=1)
        assert found["builds"] > 0
        assert found["swapping"]["transactions"] > 200
        # The machine does other things meanwhile; behind a queue for a lock it would be seconds.
        assert found["swapping"]["p99_ms"] < 500


class TestPostgres15:
    """One table through its life on PostgreSQL 15."""

    @pytest.fixture(scope="class")
    def dbt_profile_target(self, debian_server: Connection) -> dict[str, Any]:
        return profile(debian_server)

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        lenient = "partition_by={'column': 'day', 'step': 'month', 'default': true}"
        return {
            "merged.sql": partitioned(EVENTS, lenient, MERGED, "indexes=[{'columns': ['id']}]"),
            "replaced.sql": partitioned(EVENTS, MONTHS, "incremental_strategy='replace_partitions'"),
            "numbered.sql": partitioned(
                EVENTS, "partition_by={'column': 'id', 'step': 2}", MERGED, "on_schema_change='append_new_columns'"
            ),
        }

    def test_life_of_a_table(self, project: Any) -> None:
        project.run_sql("create table {schema}.events (id bigint, day date, amount int, note json)")
        project.run_sql("insert into {schema}.events values (1, '2025-01-05', 1, '[]'), (2, '2025-02-05', 2, '{{}}')")
        build("merged replaced numbered")
        project.run_sql("update {schema}.events set day = '2025-03-05' where id = 1")
        project.run_sql("insert into {schema}.events values (3, '2025-02-06', 3, null)")
        build("merged replaced numbered")
        everything = "select id, day, amount, note::text from {schema}.{table} order by id"
        wanted = values(project, everything.replace("{table}", "events"))
        assert values(project, everything.replace("{table}", "merged")) == wanted
        assert values(project, everything.replace("{table}", "numbered")) == wanted
        # January is in no result any more, so it is not replaced.
        assert sorted(row[0] for row in values(project, everything.replace("{table}", "replaced"))) == [1, 1, 2, 3]
        assert sorted(partitions(project, "merged")) == ["2025_01", "2025_02", "2025_03", "default"]
        build("merged replaced", "--full-refresh")
        assert sorted(partitions(project, "replaced")) == ["2025_02", "2025_03"]
