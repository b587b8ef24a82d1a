"""`haven discover`: a database that no one described is described so that it loads, and what people wrote stays."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from difflib import ndiff
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, Databases, Project, rows
from psycopg2 import sql
from test_northwind import NORTHWIND, SMALL_DUMP

from runner.connect import connect
from runner.discover.yaml_file import YamlFile, scalar
from runner.errors import ConfigError
from runner.settings import Connection

LONG = "é" * 31 + "x"  # 63 bytes
ODD = """
create extension hstore;
create extension file_fdw;
create server files foreign data wrapper file_fdw;
create type mood as enum ('sad', 'happy');
create domain price as numeric(10, 2);

create schema "Odd.Schema";
set search_path to "Odd.Schema", public;
create table "Order Details" (
    "Order ID" bigint primary key, "no" text, "1e3" integer, "null" text, "select" text, "a""b" bigint,
    "{{ x }}" text, "updatedAt" timestamptz not null, password_changed_at timestamptz, price price, mood mood,
    tags hstore, doubled bigint generated always as ("Order ID" * 2) stored, "E-Mail" text
);
create index by_change on "Order Details" ("updatedAt");
comment on table "Order Details" is E'{{ doc("none") }}: it''s "quoted" # and\non two lines';
comment on column "Order Details"."no" is '{% nothing %} - null';
insert into "Order Details" values (1, 'a', 2, 'b', 'c', 1, 'd', '2026-01-01', null, 3.5, 'sad', 'a=>1');
create table order_details (
    id bigint unique not null,
    detail bigint references "Order Details" ("Order ID"),
    "odd""one" bigint references "Order Details"
);
insert into order_details values (1, 1, 1), (2, null, null);
create table "no" ("true" boolean, "null" integer);
insert into "no" values (true, 1), (true, 1);
create table "LONG_NAME" (x integer primary key, created_at timestamptz default now());
create table measured (at date, place integer, value real, primary key (at, place)) partition by range (at);
create table measured_2026 partition of measured for values from ('2026-01-01') to ('2027-01-01');
insert into measured values ('2026-05-01', 1, 2.5);
create table noted (
    id bigint primary key, at date, place integer, foreign key (at, place) references measured,
    again bigint references noted, modified_on date
);
create view seen as select "Order ID", now() - now() as _loaded_at from "Order Details";
create materialized view filled as select 1 as one;
create materialized view unfilled as select 1 as one with no data;
create foreign table lines (line text) server files options (program 'echo 1');
create table nothing ();

create schema other;
create table other.orders (
    order_id bigint primary key, detail_id bigint, created_at timestamptz not null
);
alter table other.orders add foreign key (detail_id) references "Order Details" ("Order ID") not valid;
insert into other.orders values (1, null, '2026-01-01');
create table other.events as
select n as id, '2026-01-01 00:00+00'::timestamptz + n * interval '1 minute' as created_at
from generate_series(1, 5000) as n;
create schema empty;
""".replace("LONG_NAME", LONG)


def minimal(folder: Path, source: Connection, warehouse: Connection) -> Project:
    """Return a project of a dbt_project.yml and nothing else."""
    folder.mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: haven\n")
    return Project(folder, source, warehouse, env={"HAVEN_HOME": str(ROOT)})


def discover(project: Project, *args: str, expect: int = 0, **env: str) -> Any:
    """Run `haven discover` with --json and return what was added."""
    done = project.haven("discover", "--json", "--project-dir", str(project.path), *args, expect=expect, **env)
    return done.json if expect == 0 else done.err


def entries(file: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the tables of a sources YAML by source (of a database `test_…`, short: `shop`) and name."""
    said = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {(short(s["name"]), t["name"]): t for s in said["sources"] for t in s["tables"]}


def short(name: str) -> str:
    """Return a name or text with the random name of a database as `shop`."""
    return re.sub(r"test_[0-9a-f]{12}", "shop", name)


def column(table: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the entry of one column."""
    return next(c for c in table["columns"] if c["name"] == name)


def to(test: dict[str, Any]) -> tuple[str, str]:
    """Return where a relationships test leads: its source and column."""
    arguments = test["relationships"]["arguments"]
    return short(arguments["to"]), arguments["field"]


@pytest.fixture(scope="module")
def made(cluster_home: Path) -> Iterator[Databases]:
    """Databases that all tests of this file share."""
    databases = Databases(cluster_home)
    yield databases
    databases.drop_all()


@pytest.fixture(scope="module")
def shop(made: Databases, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Northwind beside schemas full of odd names, in a project without a line about them."""
    source = made.create("source")
    with closing(connect(source)) as session, session, session.cursor() as cursor:
        if NORTHWIND.is_file():
            dump = NORTHWIND.read_text(encoding="utf-8")
            cursor.execute(re.sub(r"SET default_with_oids.*", "", dump))
        else:
            cursor.execute(SMALL_DUMP)
        cursor.execute("set search_path to public")
        cursor.execute(ODD)
        cursor.execute("analyze")
    return minimal(tmp_path_factory.mktemp("discover") / "shop", source, made.create("warehouse"))


@pytest.fixture(scope="module")
def file(shop: Project) -> Path:
    """The YAML that `haven discover` wrote of it."""
    return Path(discover(shop)["file"])


def test_what_was_written_loads_reconciles_and_builds_without_a_line_by_hand(shop: Project, file: Path) -> None:
    folder = ["--project-dir", str(shop.path)]
    loaded = shop.haven("load", "--json", *folder).json["tables"]
    assert {t["error"] for t in loaded} == {None}
    compared = shop.haven("reconcile", "--json", *folder).json["tables"]
    assert {t["status"] for t in compared} == {"ok"}
    tables = {label for label, table in entries(file).items() if "enabled" not in table["config"]}
    assert {tuple(short(t["table"]).split(".")) for t in loaded} == tables
    # Every warning, deprecations too, is an error. Relationships hold in raw.
    built = shop.dbt("--warn-error-options", '{"error": "all"}', "build")
    tests = sum(len(c.get("data_tests", [])) for t in entries(file).values() for c in t.get("columns", []))
    assert f"PASS={tests} " in built.out
    assert tests >= 3


def test_a_second_run_changes_nothing(shop: Project, file: Path) -> None:
    before = (file.read_bytes(), file.stat().st_mtime_ns)
    again = discover(shop)
    assert (again["tables"], again["columns"], again["file"]) == ([], [], str(file))
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before


@pytest.mark.skipif(not NORTHWIND.is_file(), reason="Northwind is not beside the checkout")
def test_northwind_is_described(file: Path) -> None:
    orders = entries(file)["shop", "orders"]
    assert orders["config"]["meta"]["load"] == {"strategy": "full", "primary_key": ["order_id"]}
    assert [to(test) for test in column(orders, "customer_id")["data_tests"]] == [
        ("source('shop', 'customers')", "customer_id")
    ]
    assert column(orders, "ship_address")["config"] == {"meta": {"pii": "address"}}
    assert column(entries(file)["shop", "employees"], "home_phone")["config"]["meta"] == {"pii": "phone"}
    details = entries(file)["shop", "order_details"]["config"]["meta"]["load"]
    assert details["primary_key"] == ["order_id", "product_id"]
    text = file.read_text(encoding="utf-8")
    assert "- name: orders\n        # table, about 830 rows, 1" in text
    assert "strategy: full  # no column says when a row last changed" in text


def test_odd_names_and_kinds(file: Path) -> None:
    found = entries(file)
    odd = "shop_odd_schema"
    names = {
        "order_details", "order_details_2", "no", LONG, "measured", "noted", "seen", "filled", "unfilled",
        "lines", "nothing",
    }  # fmt: skip
    assert {table for source, table in found if source == odd} == names  # no partition
    details = found[odd, "order_details_2"]
    assert details["config"]["meta"]["load"] == {
        "strategy": "incremental",
        "primary_key": ["Order ID"],
        "watermark": "updatedAt",
        "source_table": "Order Details",
    }
    text = file.read_text(encoding="utf-8")
    assert "watermark: updatedAt  # index by_change\n" in text
    assert [c["name"] for c in details["columns"]][1:6] == ["no", "1e3", "null", "select", 'a"b']
    assert column(details, "mood")["data_type"] == "text"
    assert "data_type: text  # mood in the source" in text
    assert column(details, "price")["data_type"] == "numeric(10,2)"
    assert "data_type: bigint  # generated" in text
    assert column(details, "E-Mail")["config"]["meta"] == {"pii": "email"}
    assert column(details, "select")["quote"] is True
    loads = {table: entry["config"]["meta"]["load"] for (source, table), entry in found.items() if source == odd}
    assert loads["seen"]["exclude"] == ["_loaded_at"]
    assert loads["order_details"]["primary_key"] == ["id"]
    assert loads["noted"]["watermark"] == "modified_on"
    assert "primary_key" not in loads["no"]
    assert {n for n, load in loads.items() if load["strategy"] == "incremental"} == {"order_details_2", "noted"}
    disabled = {t: e for (_, t), e in found.items() if e["config"].get("enabled") is False}
    assert set(disabled) == {"unfilled", "nothing"}
    assert "was never filled: refresh materialized view" in text
    assert "foreign key (at, place) to" in text
    assert 'foreign key to "Odd.Schema"."Order Details"."Order ID", whose names dbt cannot quote' in text


def test_sources_of_several_schemas_do_not_meet(file: Path) -> None:
    said = yaml.safe_load(file.read_text(encoding="utf-8"))["sources"]
    assert {short(s["name"]): short(s["schema"]) for s in said} == {
        "shop_odd_schema": "raw_shop_odd_schema", "shop_other": "raw_shop_other", "shop": "raw_shop",
    }  # fmt: skip
    other = entries(file)["shop_other", "orders"]
    (test,) = column(other, "detail_id")["data_tests"]
    assert to(test) == ("source('shop_odd_schema', 'order_details_2')", '"Order ID"')
    assert test["relationships"]["config"] == {"where": "_deleted_at is null", "severity": "warn"}
    text = file.read_text(encoding="utf-8")
    assert "made, not when it changed" in text
    assert re.search("# grows by about 1,4[0-9]{2} rows a day of late, by created_at\n", text)
    assert "# 5,000 rows inserted, 0 updated, 0 deleted since" in text


def test_what_is_new_is_added_and_what_people_wrote_stays(made: Databases, tmp_path: Path) -> None:
    project = minimal(tmp_path / "p", made.create("source"), made.create("warehouse"))
    with closing(connect(project.source)) as session:
        rows(session, "create table item (id bigint primary key, email text, secret text)")
        rows(session, "create table tag (id bigint primary key)")
    path = project.path / "models" / "mine.yml"
    path.parent.mkdir()
    path.write_text(
        """\
# What we load.
models: []   # none yet
sources:
  - name:   ours
    tables:
    - {name: tag, columns: [{name: id}]}   # written by hand
    - name: things
      config:
        meta: {load: {source_table: item, exclude: [secret]}}
      columns:
        - name: id
          description: >
            The id,
            in two lines.

          # email: ask first
    # no more tables
    schema: raw_ours

# The end.
""",
        encoding="utf-8",
    )
    before = path.read_text(encoding="utf-8")
    added = discover(project)
    assert added["file"] == str(path)
    assert (added["tables"], added["columns"]) == ([], ["ours.things.email"])
    with closing(connect(project.source)) as session:
        rows(session, "alter table tag add column label text")
        rows(session, "create table late (id bigint primary key, item_id bigint references item)")
    added = discover(project)
    assert (added["tables"], added["columns"]) == (["ours.late"], ["ours.tag.label"])
    after = path.read_text(encoding="utf-8")
    changed = [line for line in ndiff(before.splitlines(), after.splitlines()) if line[0] in "-?"]
    assert [line for line in changed if line[0] == "-"] == [
        "-     - {name: tag, columns: [{name: id}]}   # written by hand"
    ]
    assert "[{name: id}, {name: label, data_type: text}]}   # written by hand\n" in after
    assert "          # email: ask first\n        - name: email\n" in after
    assert after.index("# no more tables") < after.index("- name: late") < after.index("schema: raw_ours")
    (test,) = column(entries(path)["ours", "late"], "item_id")["data_tests"]
    assert to(test) == ("source('ours', 'things')", "id")
    assert discover(project)["tables"] == []
    assert path.read_text(encoding="utf-8") == after
    # Columns that the YAML leaves out stay out; what cannot be loaded is said.
    assert after.count("secret") == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sources: [", "is not valid YAML"),
        ("- a\n", "must hold a mapping"),
        ("sources: 5\n", "must be a list"),
        ("sources: [{name: a, tables: {}}, b]\n", "must be a list"),
        ("sources:\n", "is no list"),
        ("all: &all []\nsources: *all\n", "an anchor that several entries share"),
    ],
)
def test_a_file_that_cannot_be_added_to_stays(shop: Project, tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "broken.yml"
    path.write_text(text)
    assert complaint in discover(shop, "--into", str(path), expect=2)
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_what_may_not_be_read_is_said(made: Databases, tmp_path: Path) -> None:
    source = made.create("source")
    role = f"narrow_{source.dbname}"
    with closing(connect(source)) as session, session, session.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                """
                create role {0} login password 'narrow';
                create table shut (id bigint primary key);
                create table half (id bigint primary key, open text, shut text);
                create table keyless (id bigint primary key, open text);
                create table filtered (id bigint primary key);
                create table follower (id bigint primary key, shut_id bigint references shut);
                alter table filtered enable row level security;
                grant select on filtered, follower to {0};
                grant select (id, open) on half to {0};
                grant select (open) on keyless to {0};
                create schema closed;
                create table closed.one (id bigint primary key);
                """
            ).format(sql.Identifier(role))
        )
    try:
        project = minimal(tmp_path / "p", replace(source, user=role, password="narrow"), made.create("warehouse"))
        path = Path(discover(project)["file"])
        text = path.read_text(encoding="utf-8")
        found = entries(path)
        off = {t for (_, t), entry in found.items() if entry["config"].get("enabled") is False}
        assert off == {"shut", "keyless", "filtered", "one"}
        for said in (
            f"enabled: false  # cannot be read: grant select on public.shut to {role}; when that is mended, remove",
            "enabled: false  # its key (id) cannot be loaded",
            "enabled: false  # row-level security hides rows",
            f"enabled: false  # cannot be read: grant usage on schema closed to {role}",
            f"- shut  # cannot be read: grant select (shut) on public.half to {role}",
            "# foreign key to public.shut.id, which is not loaded",
        ):
            assert said in text
        assert found["shop", "half"]["config"]["meta"]["load"]["exclude"] == ["shut"]
        assert "data_tests" not in text
        again = discover(project)
        assert again["tables"] == again["columns"] == []
        assert {short(label) for label in again["problems"]} == {
            "shop.shut", "shop.keyless", "shop.filtered", "shop_closed.one",
        }  # fmt: skip
    finally:
        with closing(connect(source)) as session:
            rows(session, sql.SQL("drop owned by {}").format(sql.Identifier(role)))
            rows(session, sql.SQL("drop role {}").format(sql.Identifier(role)))


def test_schemas_that_are_empty_or_missing_and_a_server_that_is_not_there(shop: Project, tmp_path: Path) -> None:
    path = tmp_path / "none.yml"
    assert discover(shop, "--schema", "empty", "--into", str(path))["tables"] == []
    said = discover(shop, "--schema", "emtpy", "--into", str(path), expect=2)
    assert "the source has no schema emtpy: it has Odd.Schema, empty, other, public" in said
    said = discover(shop, "--into", str(path), expect=3, HAVEN_SOURCE_PORT="1")
    assert "cannot connect to" in said
    assert not path.exists()


def test_a_thousand_tables_in_less_than_ten_seconds(made: Databases, tmp_path: Path) -> None:
    project = minimal(tmp_path / "p", made.create("source"), made.create("warehouse"))
    columns = ", ".join(f"column_{n} text" for n in range(8))
    with closing(connect(project.source)) as session:
        for start in range(0, 1000, 200):  # locks are few
            rows(
                session,
                f"""
                do $$ begin
                    for n in {start} .. {start + 199} loop
                        execute format(
                            'create table t_%s (id bigint primary key, up_id bigint references t_%s, '
                            'updated_at timestamptz not null, {columns})', n, greatest(n - 1, 0)
                        );
                    end loop;
                end $$
                """,
            )
    began = time.monotonic()
    added = discover(project)
    assert time.monotonic() - began < 10
    assert len(added["tables"]) == 1000


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a:\n- x\n# end\n", "a:\n- x\n- new\n# end\n"),
        ("a:\n  - x # y\n\n\nb: 1", "a:\n  - x # y\n  - new\n\n\nb: 1"),
        ("a:\n  - x", "a:\n  - x\n  - new\n"),
        ("a: [x]", "a: [x, new]"),
        ("a: [x,]\n", "a: [x,new]\n"),
        ("a: []\r\n", "a: [new]\r\n"),
        ("a:\r\n  - x\r\nb: 1\r\n", "a:\r\n  - x\r\n  - new\r\nb: 1\r\n"),
        ("a:\n  - |\n    # x\n\nb: 1\n", "a:\n  - |\n    # x\n  - new\n\nb: 1\n"),
        ("x: &x y\na:\n  - z\n  - *x\n", "x: &x y\na:\n  - z\n  - *x\n  - new\n"),
        ("b: 1\n", "b: 1\na:\n  - new\n"),
        ("# only words\n", "# only words\na:\n  - new\n"),
        ("{b: 1}\n", "{b: 1, a: [new]}\n"),
        ("---\na:\n  - x\n...\n", "---\na:\n  - x\n  - new\n...\n"),
    ],
)
def test_items_go_to_the_end_of_a_list(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "a.yml"
    path.write_bytes(before.encode())
    file = YamlFile(path)
    file.add(["a"], "- new\n")
    assert file.merged() == after


@pytest.mark.parametrize("text", ["x: &x [1]\na: *x\n", "d: &d {a: [1]}\n<<: *d\n", "a: 5\n"])
def test_a_list_that_others_share_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yml"
    path.write_text(text)
    file = YamlFile(path)
    with pytest.raises(ConfigError, match=r"no list|nothing can be added"):
        file.add(["a"], "- new\n")
        file.merged()


@pytest.mark.parametrize(
    "text",
    ["no", "NULL", "~", "1e3", "1_000", "2026-01-01", "12:30", "=", "<<", "a: b", "a #b", " a", "a\nb", "'", '"', "é",
     "x" * 200, "yes", "\x07", "\u2028", "- a", "[a]", "*a", "text[]", "numeric(5,4)", "🙂", ""],
)  # fmt: skip
def test_a_value_is_read_as_it_was_written(text: str) -> None:
    assert yaml.safe_load(f"a: {scalar(text)}\n") == {"a": text}
