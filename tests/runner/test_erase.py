"""Erasing people: exactly those, however their keys are spelled, in a town of two sources that share names and keys.

One small project serves all tests here; each erases people of its own.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Databases, Project, rows
from psycopg2 import sql
from psycopg2.extras import Json

from runner.commands.erase import finish
from runner.connect import connect
from runner.contract import person_of
from runner.errors import ConfigError, DataError
from runner.operation import raise_refusal
from runner.ops import prepare_operator
from runner.personal_data import personal_kind, personal_kinds

# Per kind of person: the type of their key, two keys as the source writes them, and other spellings of the first.
KINDS: Mapping[str, tuple[str, tuple[str, str], tuple[str, ...]]] = {
    "whole": ("integer", ("46", "47"), ("046", " 46 ", "+46")),
    "big": ("bigint", ("12345678901", "12345678902"), ("0012345678901", "+12345678901")),
    "exact": ("numeric", ("46.50", "46.5001"), ("46.5", "046.500", "4.65e1")),
    "cents": ("numeric(12, 2)", ("46.00", "4.60"), ("46", "46.0", "+46")),
    "unique": (
        "uuid",
        ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12"),
        ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc999c0b4ef8bb6d6bb9bd380a11}"),
    ),
    "padded": ("character(6)", ("ab", "abc"), ("ab    ",)),
    "worded": ("text", ("046", "46"), ()),
    "folded": ("citext", ("Ann@Mail.example", "Ann@Mail.exampl"), ("ANN@mail.example",)),
    "folded_too": ("folding", ("Bob", "Bo"), ("bob",)),
    "dated": ("date", ("2026-02-01", "2026-01-02"), ("2026-2-1", "20260201")),
    "timed": (
        "timestamp with time zone",
        ("2026-02-01 10:00:00+00", "2026-02-01 11:00:00+00"),
        ("2026-02-01 11:00+01", "2026-02-01T10:00Z"),
    ),
}
WRONG = {"whole": "46.5", "unique": "46", "dated": "01/02/2026", "cents": "4,6", "big": "1e3"}

SOURCE = """
create extension citext;
create domain folding as citext;
create schema shop;
create schema erp;
create table shop.customers (id bigint primary key, name text, email text, phone text);
create table shop.reviews (id bigint primary key, customer_id bigint, body text);
create table shop.notes (id bigint primary key, body jsonb);
create table shop.guests
(id integer primary key, full_name text, email text, "workPhone" bigint, motto text, visits int);
create table shop.members (id integer primary key, phone text, company text, shop_name text, label text, spare text);
create table erp.suppliers (id bigint primary key, name text, email text);
insert into shop.customers
select id, 'Person Number' || id, 'person' || id || '@mail.example', '+1 555 123 4' || (100 + id)
from generate_series(1, 60) as id;
insert into erp.suppliers select id, name, email from shop.customers;
insert into shop.guests
select
    id, 'Guest Number' || id, 'guest' || id || '@mail.example', 15551000 + id,
    case when id = 11 then 'Carpe diem' end, id
from generate_series(11, 13) as id;
insert into shop.members select id, '+1 666 123 4' || (100 + id), 'Company ' || id, 'Shop', 'label ' || id, 'spare'
from generate_series(1, 9) as id;
insert into shop.reviews select 61 - id, id, 'What person ' || id || ' thinks of it, at length' from shop.customers;
"""


def _sources() -> str:
    """Return the YAML: customers and the kinds are people, suppliers and notes are not."""
    kinds = "".join(
        f"""
      - name: {kind}
        columns:
          - {{name: id, config: {{meta: {{person: {kind}}}}}}}
          - {{name: name, config: {{meta: {{pii: name}}}}}}"""
        for kind in KINDS
    )
    return f"""
sources:
  - name: shop
    schema: raw_shop
    config: {{meta: {{load: {{source_schema: shop}}}}}}
    tables:
      - name: customers
        columns:
          - {{name: id, config: {{meta: {{person: customer}}}}}}
          - {{name: name, config: {{meta: {{pii: name}}}}}}
          - {{name: email, config: {{meta: {{pii: email}}}}}}
          - {{name: phone, config: {{meta: {{pii: phone}}}}}}
      - name: reviews
        columns:
          - {{name: customer_id, config: {{meta: {{person: customer}}}}}}
          - {{name: body, config: {{meta: {{pii: free_text}}}}}}
      - name: notes{kinds}
      - {{name: guests, columns: [{{name: id, config: {{meta: {{person: guest}}}}}}]}}
      - name: members
        columns:
          - {{name: id, config: {{meta: {{person: member}}}}}}
          - {{name: phone, config: {{meta: {{pii: phone}}}}}}
          - {{name: company, config: {{meta: {{erase: true}}}}}}
          - {{name: shop_name, config: {{meta: {{pii: false}}}}}}
  - name: erp
    schema: raw_erp
    config: {{meta: {{load: {{source_schema: erp}}}}}}
    tables:
      - name: suppliers
        config:
          meta:
            shown: "{{{{ env_var('HAVEN_SOURCE_PASSWORD', '-') ~ env_var('HAVEN_WAREHOUSE_PASSWORD', '-') }}}}"
"""


MODELS = {
    # Known by lineage only; what is made from both sources says of no row whose it is.
    "dim_customers": "select id, name, email from {{ source('shop', 'customers') }}",
    "dim_suppliers": "select id, name, email from {{ source('erp', 'suppliers') }}",
    "everybody": "select * from {{ ref('dim_customers') }} union all select * from {{ ref('dim_suppliers') }}",
    "quoted": "select reviews.id, reviews.body, customers.name from {{ source('shop', 'reviews') }} as reviews "
    "inner join {{ source('shop', 'customers') }} as customers on reviews.customer_id = customers.id",
    "guest_list": "select id, email, \"workPhone\", id * 2 as birth_year from {{ source('shop', 'guests') }}",
    "opinions": "select id, customer_id, body from {{ source('shop', 'reviews') }}",
}


# The SQL of the macros erasure_…_functions, which have no Jinja inside: dbt is started for the command's tests only.
FUNCTIONS = "".join(
    re.sub(r"{%.*?%}", "", path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "macros" / "erase").glob("erasure_*_functions.sql"))
)
SHOWN_NODES = "{% macro shown_nodes(kinds) %}{% do print_answer(person_nodes(kinds)) %}{% endmacro %}"
KINDS_OF_DATA = [{"kind": one.kind, "column_names": one.column_names} for one in personal_kinds()]


@dataclass(frozen=True)
class Erasure:
    """What an erasure did, or would do."""

    key_hash: str
    changed: Mapping[str, int]
    tasks: list[str]


@dataclass(frozen=True)
class Town:
    """The loaded and built town; `nodes` are those of macro person_nodes."""

    project: Project
    manifest: Mapping[str, Any]
    nodes: list[dict[str, Any]]

    def ask(self, query: str, *args: object) -> list[tuple[Any, ...]]:
        """Run a statement in the warehouse."""
        with closing(connect(self.project.warehouse)) as session:
            return rows(session, query, *args)

    def tell(self, query: str) -> None:
        """Run a statement in the source."""
        with closing(connect(self.project.source)) as session:
            rows(session, query)

    def erase(self, kind: str, key: str, *, is_dry_run: bool = False, is_killed: bool = False) -> Erasure:
        """Erase a person as the command and its macro do, without starting them; or only until the commit."""
        with closing(connect(self.project.warehouse)) as session, session.cursor() as cursor:
            prepare_operator(cursor)
            cursor.execute(FUNCTIONS)
            hidden = key.encode().hex()
            cursor.execute("select set_config('haven.person_key', %s, false)", (hidden,))
            cursor.execute("select name from pg_temp.column_names() as name")
            personal = {name: pii for (name,) in cursor.fetchall() if (pii := personal_kind(name))}
            cursor.execute(
                "select pg_temp.erase_quietly(%s, %s, %s, 'test', %s)",
                (Json(self.nodes), kind, kind.startswith("folded"), Json(personal)),
            )
            answer = cursor.fetchone()[0]  # type: ignore[index]
            if is_dry_run or "refused" in answer:
                session.rollback()
            else:
                session.commit()
        raise_refusal(answer, key)
        tasks = [task["text"] for task in answer["tasks"]]
        if not is_dry_run and not is_killed:
            tasks += finish(self.project.warehouse, "test", 0, answer["afterwards"])
        return Erasure(answer["key_hash"], answer["changed"], tasks)

    def everything(self, without: str = "false") -> dict[str, list[str]]:
        """Return all rows of all tables but those of customers that meet a condition, without the loader's columns."""
        found = {}
        for schema, table in self.ask(
            "select nspname::text, relname::text from pg_class "
            "inner join pg_namespace on relnamespace = pg_namespace.oid where relkind = 'r' "
            "and nspname in ('raw_shop', 'raw_erp', 'analytics', 'model_state')"
        ):
            key = "customer_id" if table in ("reviews", "opinions") else "id"
            is_of_customers = "customer" in table or key == "customer_id"
            with closing(connect(self.project.warehouse)) as session:
                found[f"{schema}.{table}"] = [
                    row[0]
                    for row in rows(
                        session,
                        sql.SQL(
                            "select (to_jsonb(held) - array['_loaded_at', '_load_id'])::text "
                            "from {} as held where not ({}) order by 1"
                        ).format(
                            sql.Identifier(schema, table),
                            sql.SQL(f"{key} in {without}" if is_of_customers and without != "false" else "false"),
                        ),
                    )
                ]
        return found


@pytest.fixture(scope="module")
def town(cluster_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Two sources, their people loaded and built."""
    made = Databases(cluster_home)
    folder = tmp_path_factory.mktemp("town")
    (folder / "models").mkdir()
    (folder / "dbt_project.yml").write_text(
        "name: town\nversion: 1.0.0\nprofile: haven\nmodels: {+materialized: table, +schema: analytics}\n"
    )
    (folder / "models" / "sources.yml").write_text(_sources())
    for name, text in MODELS.items():
        (folder / "models" / f"{name}.sql").write_text(text)
    for name in ("schemas", "sessions", "erase"):
        shutil.copytree(ROOT / "macros" / name, folder / "macros" / name)
    shutil.copy(ROOT / "macros" / "privacy" / "personal_data.sql", folder / "macros")
    (folder / "macros" / "shown_nodes.sql").write_text(SHOWN_NODES)
    shutil.copy(ROOT / "profiles.yml", folder)
    project = Project(folder, made.create("source"), made.create("warehouse"))
    with closing(connect(project.source)) as session:
        rows(session, SOURCE)
        for kind, (key_type, keys, _) in KINDS.items():
            rows(session, f"create table shop.{kind} (id {key_type} primary key, name text)")
            for key in keys:
                rows(session, f"insert into shop.{kind} values (%s, %s)", key, f"Name of {key}")
    project.haven("load")
    manifest = json.loads((folder / "target" / "manifest.json").read_text())
    project.dbt("run")
    shown = project.dbt("run-operation", "shown_nodes", "--quiet", "--args", json.dumps({"kinds": KINDS_OF_DATA}))
    yield Town(project, manifest, json.loads(shown.out.partition("haven answers: ")[2]))
    made.drop_all()


def test_p3_a_key_is_the_same_person_in_every_spelling_of_its_type(town: Town) -> None:
    """Each spelling finds the first person of a kind and not the second; a whole load brings nobody back."""
    for kind, (_, (key, _), spellings) in KINDS.items():
        first, *others = (*spellings, key)
        done = town.erase(kind, first)
        assert done.changed[f"raw_shop.{kind}"] == 1, kind
        found = {town.erase(kind, spelling, is_dry_run=True).key_hash for spelling in others}
        assert found <= {done.key_hash}, kind
    for kind, text in WRONG.items():
        with pytest.raises(ConfigError, match="is no key of a"):
            town.erase(kind, text)
    for kind, text in {"worded": "0046", "padded": "abcdefgh", "cents": "46.001", "whole": "4"}.items():
        with pytest.raises(DataError, match="nobody"):
            town.erase(kind, text)
    town.project.haven("load", "--full", *KINDS)
    for kind, (_, (_, other), _) in KINDS.items():
        names = dict(town.ask(f"select id::text, name from raw_shop.{kind}"))
        assert list(names.values()).count(None) == 1, kind
        assert f"Name of {other}" in names.values(), kind
    assert town.ask("select count(*) from ops.suppressions") == [(len(KINDS),)]


def test_p3_the_command_says_so_and_the_next_load_does_not_bring_them_back(town: Town) -> None:
    done = town.project.haven("erase", "whole", "4x7", expect=2)
    assert done.err.strip().endswith("'4x7' is no key of a whole: keys are of type integer")
    done = town.project.haven("erase", "folded", "ann@mail.exampl")
    assert "raw_shop.folded" in done.out
    town.tell("alter table shop.whole alter id type bigint")
    town.tell("update shop.whole set name = name || '!'")
    town.project.haven("load", "--full", "folded", "whole")
    assert town.ask("select count(*) from raw_shop.folded where name is not null") == [(0,)]
    assert town.ask("select id, name from raw_shop.whole order by 1") == [(46, None), (47, "Name of 47!")]
    # What was erased before there was one spelling: the hash is of the key as the source writes it.
    town.ask(
        "insert into ops.suppressions select 'cents', encode(sha256(convert_to(salt || '4.60', 'UTF8')), 'hex'), salt "
        "from ops.suppressions limit 1"
    )
    town.project.haven("load", "--full", "cents")
    assert town.ask("select count(*) from raw_shop.cents where name is not null") == [(0,)]


def spelled(number: int) -> str:
    """Return a number as somebody may write it."""
    return ("{}", "0{}", " {} ", "+{}", "000{}")[number % 5].format(number)


def test_p4_twenty_people_go_and_everyone_else_stays_byte_for_byte(town: Town) -> None:
    """A source with the same tables, keys and names, its marts, a mart of both, and what is kept of their changes."""
    people = range(1, 21)
    town.ask("create schema model_state")
    town.ask("create schema ann_analytics")
    for name in ("dim_customers", "dim_suppliers"):
        town.ask(f"create table model_state.{name}__changes as select 1 as _build_number, * from analytics.{name}")
        town.ask(f"create table ann_analytics.{name} as select * from analytics.{name}")
    listed = "(" + ", ".join(map(str, people)) + ")"
    before = town.everything(listed)
    for number in people:
        done = town.erase("customer", spelled(number))
        assert set(done.changed) == {
            "raw_shop.customers", "raw_shop.reviews", "analytics.dim_customers", "analytics.opinions",
            "model_state.dim_customers__changes", "ann_analytics.dim_customers",
        }  # fmt: skip
        tasks = "\n".join(done.tasks)
        assert f"raw_erp.suppliers: 1 row (key {number}" in tasks
        assert "analytics.everybody: 2 rows" in tasks
        assert "analytics.quoted: 1 row (key row" in tasks
    assert town.everything(listed) == before
    assert len(before["raw_erp.suppliers"]) == len(before["analytics.everybody"]) / 2 == 60
    held = " or ".join(f"{name} is not null" for name in ("name", "email"))
    for table in (
        "raw_shop.customers", "analytics.dim_customers", "model_state.dim_customers__changes",
        "ann_analytics.dim_customers",
    ):  # fmt: skip
        assert town.ask(f"select count(*) from {table} where id in {listed} and ({held})") == [(0,)], table
    town.project.haven("load", "--full")
    town.project.dbt("run", "--full-refresh")
    after = town.everything(listed)
    for name in ("everybody", "quoted"):
        del before[f"analytics.{name}"], after[f"analytics.{name}"]
    assert after == before
    assert town.ask("select count(*), count(name) from analytics.everybody") == [(120, 100)]
    assert town.ask(f"select count(*) from raw_shop.customers where id in {listed} and ({held})") == [(0,)]


def test_p1_what_others_wrote_about_a_person_becomes_a_task(town: Town) -> None:
    """In any case, notation and place; not in a longer word or address; said again as long as it is there."""
    town.tell("insert into shop.customers values (301, 'Al Ng', 'al@x.io', '030 5551234'), "
              "(302, 'Zelda Quux', 'zelda@quux.example', '+49 171 5559876'), "
              "(303, 'Zelda Quux', 'other@x.example', null), "
              "(304, 'Double', 'zelda@quux.example', null)")  # fmt: skip
    town.tell("insert into shop.reviews values (301, 1, 'Also Alfred said: not al@x.iota'), "
              "(302, 40, 'Ask ZELDA@QUUX.EXAMPLE, she knows'), (303, 40, 'grizelda@quux.example is somebody else'), "
              "(304, 40, 'call 0171/555 98 76 now'), (305, 40, 'Zelda Quux is a common name')")  # fmt: skip
    town.tell("""insert into shop.notes values (1, '{"to": ["zelda@quux.example"]}'), (2, '{"to": "x"}')""")
    town.project.haven("load")
    town.ask("create table analytics.private as select 1 as id, 302 as customer_id, 'Zelda Quux'::text as name")
    town.ask("create materialized view analytics.seen as select body from raw_shop.reviews where id = 302")
    done = town.erase("customer", "301")
    assert [task for task in done.tasks if "raw_shop" in task] == []
    plan = town.erase("customer", "302", is_dry_run=True)
    done = town.erase("customer", "302")
    assert (plan.changed, plan.tasks) == (done.changed, done.tasks)
    tasks = "\n".join(done.tasks)
    assert "raw_shop.reviews: 2 rows (key 302 | 304), body, of the source" in tasks
    assert "raw_shop.notes: 1 row (key 1), body, of the source" in tasks
    assert "raw_shop.customers: 1 row (key 304), email, of the source" in tasks
    assert "analytics.private: 1 row" in tasks and "analytics.seen: 1 row" in tasks
    texts = str(town.ask("select changed_rows::text, open_tasks::text from ops.erasures")).lower()
    assert not any(text in texts for text in ("quux", "5559876", "559876"))
    # The texts are known no more, but what was found then is looked at again.
    again = "\n".join(town.erase("customer", "302").tasks)
    assert "raw_shop.reviews: 2 rows (key 302 | 304)" in again
    town.tell("update shop.reviews set body = '-' where id in (302, 304); update shop.notes set body = 'null'")
    town.project.haven("load")
    town.ask("drop materialized view analytics.seen; drop table analytics.private")
    tasks = town.erase("customer", "302").tasks
    assert [task for task in tasks if "raw_shop" in task] == [
        task for task in tasks if task.startswith("raw_shop.customers: 1 row (key 304)")
    ]


def test_p8_the_planner_forgets_the_person_as_well(town: Town) -> None:
    """Statistics hold values: histograms, most common values, extended ones; also of rows that are long gone."""
    town.tell("insert into shop.customers select 400 + id, 'Stat Person' || id, 'stat' || id || '@stat.example' "
              "from generate_series(1, 30) as id")  # fmt: skip
    town.project.haven("load")
    town.ask("create statistics raw_shop.both_names (mcv) on name, email from raw_shop.customers")
    town.ask("analyze raw_shop.customers")
    remembered = (
        "select count(*) from pg_stats where most_common_vals::text ~ 'stat7@' or histogram_bounds::text ~ 'stat7@'"
    )
    extended = "select count(*) from pg_statistic_ext_data where stxdmcv::text ~ '7374617437'"
    ((before,),) = town.ask(remembered)
    assert before == 1
    town.erase("customer", "407")
    assert town.ask(remembered) == [(0,)]
    ((left,),) = town.ask(
        "select count(*) from pg_stats_ext where most_common_vals::text ~ 'stat7@' or "
        "most_common_val_nulls is null and statistics_name = 'both_names'"
    )
    assert left == 0
    assert town.ask(extended) == [(0,)]


def test_p9_a_call_that_was_killed_is_finished_by_the_next(town: Town) -> None:
    """Killed after its commit, before it has removed files and statistics."""
    folder = town.project.path
    town.tell("insert into shop.customers values (501, 'Killed Person', 'killed@mail.example')")
    town.project.haven("load")
    town.ask("analyze raw_shop.customers")
    assert town.erase("customer", "501", is_killed=True).changed
    for name in ("target/run_results.json", "target/compiled/a.sql", "logs/dbt.log"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("killed@mail.example")
    done = town.project.haven("erase", "customer", "501")
    assert "files in target and logs removed" in done.out
    assert "other checkouts" in done.out and "WAL" in done.out and "nothing" not in done.out
    left = [path for name in ("target", "logs") for path in (folder / name).rglob("*") if path.is_file()]
    assert not any("killed@" in path.read_text(errors="ignore") for path in left)
    assert town.ask("select count(*) from pg_stats where histogram_bounds::text ~ 'killed@'") == [(0,)]


def test_p2_columns_that_no_yaml_lists_are_judged_by_their_names(town: Town) -> None:
    """Of raw and of marts, whatever their type; texts that no name tells become a task; a new column is one of them."""
    plan = town.project.haven("erase", "guest", "11", "--dry-run", "--json").json
    done = town.project.haven("erase", "guest", "11", "--json").json
    assert plan["changed"] == done["changed"] == {"raw_shop.guests": 1, "analytics.guest_list": 1}
    assert plan["tasks"] == done["tasks"]
    (birth, motto) = [task for task in done["tasks"] if "no YAML says" in task]
    assert birth.startswith("analytics.guest_list: rows of the person have values of birth_year, ")
    assert motto.startswith("raw_shop.guests: rows of the person have values of motto, ")
    assert town.ask('select email, "workPhone", birth_year from analytics.guest_list order by id limit 1') == [
        (None, None, 22)
    ]
    kept = (11, None, None, None, "Carpe diem", 11)
    town.tell("alter table shop.guests add mobile_phone text; update shop.guests set mobile_phone = '0171/' || id")
    held = 'select id, full_name, email, "workPhone", motto, visits, mobile_phone from raw_shop.guests order by id'
    for options in ((), ("--full",), ("--rebuild",)):
        town.project.haven("load", "guests", *options)
        first, second, _ = town.ask(held)
        assert first == (*kept, None), options
        assert second == (12, "Guest Number12", "guest12@mail.example", 15551012, None, 12, "0171/12"), options
    town.project.haven("reconcile", "guests")
    done = town.project.haven("erase", "guest", "12", "--json").json
    assert done["changed"]["raw_shop.guests"] == 1
    assert not [task for task in done["tasks"] if "raw_shop.guests: rows" in task]
    assert town.ask(held)[1] == (12, None, None, None, None, 12, None)


def test_p2_a_table_without_the_key_that_the_yaml_names_becomes_a_task(town: Town) -> None:
    town.ask("alter table raw_shop.reviews rename customer_id to author")
    done = town.erase("customer", "23", is_dry_run=True)
    town.ask("alter table raw_shop.reviews rename author to customer_id")
    assert "raw_shop.reviews" not in done.changed
    assert [task for task in done.tasks if task.startswith("raw_shop.reviews: lacks the column that the YAML marks")]


def test_p3_a_renamed_column_stays_erased_under_every_name(town: Town) -> None:
    """By whole loads too, through several names, one that raw has already, two that swap; and who is erased later."""
    town.erase("member", "1")
    before = "select phone, company, shop_name, label from raw_shop.members where id = 1"
    assert town.ask(before) == [(None, None, "Shop", "label 1")]
    town.tell("alter table shop.members rename phone to contact")
    done = town.project.haven("load", "members", "--rebuild")
    assert "phone -> contact renamed" in done.err
    assert town.ask("select contact from raw_shop.members order by id limit 2") == [(None,), ("+1 666 123 4102",)]
    town.tell("alter table shop.members rename contact to reach; alter table shop.members rename company to works_at")
    town.project.haven("load", "members", "--full")
    assert town.erase("member", "2").changed == {"raw_shop.members": 1}
    # Raw has a column of the new name: the values move, and with them what they are.
    town.tell("alter table shop.members drop spare")
    town.project.haven("load", "members")
    town.tell("alter table shop.members rename reach to spare")
    town.project.haven("load", "members")
    town.tell("alter table shop.members rename works_at to other; alter table shop.members rename label to works_at; "
              "alter table shop.members rename other to label")  # fmt: skip
    for options in ((), ("--full",), ("--rebuild",)):
        town.project.haven("load", "members", *options)
        found = town.ask("select id, spare, label, shop_name from raw_shop.members order by id limit 3")
        assert found == [
            (1, None, None, "Shop"), (2, None, None, "Shop"), (3, "+1 666 123 4103", "Company 3", "Shop"),
        ], options  # fmt: skip
    town.project.haven("reconcile", "members")
    assert town.erase("member", "3").changed == {"raw_shop.members": 1}
    assert town.ask("select spare, label, shop_name from raw_shop.members where id = 3") == [(None, None, "Shop")]


def test_p3_a_kind_that_the_yaml_lost_stops_the_load(town: Town) -> None:
    """Of all tables, or of one of two; renamed in ops.suppressions as well, nobody comes back."""
    sources = town.project.path / "models" / "sources.yml"
    text = sources.read_text()
    town.erase("customer", "22")
    held = "select name, email, phone from raw_shop.customers where id = 22"
    town.tell("update shop.customers set name = name || '!' where id = 22")
    one = text.replace("person: customer", "person: client", 1)
    try:
        for changed in (one, one.replace("person: customer", "person: client")):
            sources.write_text(changed)
            for command in (
                ("load", "customers"),
                ("load", "--full"),
                ("reconcile", "customers"),
                ("load", "--dry-run"),
            ):
                done = town.project.haven(*command, expect=2)
                (line,) = [line for line in done.err.splitlines() if "suppressions" in line]
                assert "erased people of kind customer" in line and "Put it back" in line
                assert "`update ops.suppressions set person_kind = '<new name>' where person_kind = 'customer'`" in line
                assert town.ask(held) == [(None, None, None)]
        town.ask("update ops.suppressions set person_kind = 'client' where person_kind = 'customer'")
        town.project.haven("load", "--full")
        assert town.ask(held) == [(None, None, None)]
    finally:
        sources.write_text(text)
        town.ask("update ops.suppressions set person_kind = 'customer' where person_kind = 'client'")
    town.project.haven("load", "--full")
    assert town.ask(held) == [(None, None, None)]


def test_p5_code_of_a_tables_owner_never_runs_with_the_operators_rights(town: Town) -> None:
    """Triggers, rules, index expressions, policies and casts of types: each tries to make its owner a superuser."""
    for statement in (
        "create role hostile login password 'x'",
        "grant create on schema analytics to hostile",
        "grant create, temporary on database " + town.project.warehouse.dbname + " to hostile",
    ):
        town.ask(statement)
    attack = """
        create function {schema}.attack_{name}() returns {returns} language plpgsql {volatility} as $$
        begin
            begin execute 'reset role'; exception when others then null; end;
            begin execute 'set session authorization default'; exception when others then null; end;
            begin execute 'alter role hostile superuser'; exception when others then null; end;
            insert into hostile.seen values (current_user);
            return {value};
        end $$"""
    login = replace(town.project.warehouse, user="hostile", password="x")
    with closing(connect(login)) as session:
        rows(session, "create schema hostile create table seen (who text)")
        rows(session, attack.format(schema="hostile", name="trigger", returns="trigger", volatility="", value="new"))
        rows(session, "create function hostile.attack_index(value text) returns text language plpgsql immutable as $$ "
             "begin perform hostile.note(); return value; end $$")  # fmt: skip
        rows(session, attack.format(schema="hostile", name="any", returns="text", volatility="", value="'x'"))
        rows(session, "create function hostile.note() returns void language sql as 'select hostile.attack_any()'")
        names = ("triggered", "deferred", "ruled", "indexed", "checked", "viewed", "typed")
        rows(session, "create type hostile.evil as (value text)")
        rows(session, "create function hostile.cast_evil(hostile.evil) returns text language sql as "
             "'select hostile.attack_any()'")  # fmt: skip
        rows(session, "create cast (hostile.evil as text) with function hostile.cast_evil(hostile.evil) as implicit")
        for name in names:
            rows(session, f"create table hostile.{name} (id bigint, name text, email text)")
            rows(session, f"insert into hostile.{name} values (41, 'Person Number41', 'person41@mail.example')")
        rows(
            session,
            "create trigger a after update on hostile.triggered for each row execute function hostile.attack_trigger()",
        )
        rows(session, "create constraint trigger a after update on hostile.deferred deferrable initially deferred "
             "for each row execute function hostile.attack_trigger()")  # fmt: skip
        rows(session, "create rule a as on update to hostile.ruled do also select hostile.attack_any()")
        rows(session, "create index on hostile.indexed (hostile.attack_index(name))")
        rows(session, "alter table hostile.checked add check (hostile.attack_index(name) is not null)")
        rows(session, "alter table hostile.typed add evil hostile.evil default row('person41@mail.example')")
        rows(session, "alter table hostile.viewed enable row level security, force row level security")
        rows(session, "create policy a on hostile.viewed using (hostile.attack_any() = 'x')")
        rows(session, "truncate hostile.seen")
    template = next(node for node in town.nodes if node["name"] == "dim_customers")
    made = [{**template, "id": f"model.town.{n}", "schema": "hostile", "name": n} for n in names]
    hostile = replace(town, nodes=[*town.nodes, *made])
    # The loader's own tables are somebody's, too.
    town.ask("grant usage on schema ops to hostile; grant select on all tables in schema ops to hostile")
    town.ask("alter table ops.erasures owner to hostile")
    with closing(connect(login)) as session:
        rows(
            session,
            "create trigger a before insert on ops.erasures for each row execute function hostile.attack_trigger()",
        )
    done = hostile.erase("customer", "41")
    assert town.ask("select rolsuper from pg_roles where rolname = 'hostile'") == [(False,)]
    assert {row[0] for row in town.ask("select distinct who from hostile.seen")} == {"hostile"}
    tasks = "\n".join(done.tasks)
    for name in ("triggered", "deferred", "ruled"):
        assert f"hostile.{name}: has " in tasks and f"hostile.{name}" not in done.changed, tasks
    assert done.changed["hostile.indexed"] == 1
    assert "could not be searched" in tasks and "hostile.viewed" in tasks
    town.ask("alter table ops.erasures owner to current_user; drop trigger a on ops.erasures")
    town.ask("drop schema hostile cascade; drop owned by hostile; drop role hostile")


def test_dbt_and_the_loader_agree_on_who_is_where_and_what_is_personal(town: Town) -> None:
    """The macro person_nodes says of every node what person_of says; both read meta and the same list of names."""
    nodes = {**town.manifest["sources"], **town.manifest["nodes"]}
    said = {node["id"]: (node["person"], node["key"], tuple(node["columns"])) for node in town.nodes if node["person"]}
    assert said == {name: found for name, node in nodes.items() if (found := person_of(node["columns"]))}
    assert len(said) == len(KINDS) + 4
    assert {node["id"]: node["parents"] for node in town.nodes} == {
        name: node.get("depends_on", {}).get("nodes", []) for name, node in nodes.items()
    }


def test_the_key_reaches_no_log_no_artifact_and_no_statement(town: Town, cluster_home: Path) -> None:
    """Every statement logged, dbt at its most talkative, a call that waits, one that fails, and one that is done."""
    project, key = town.project, "Zoë O'Quokka <zoe@quokka.example>"
    signs = ("quokka", "Quokka", "Zo\u00eb", "Zo\\u00eb", key.encode().hex())
    town.tell(f"insert into shop.folded values ('{key.replace(chr(39), chr(39) * 2)}', 'Somebody')")
    project.haven("load", "folded")
    town.ask(f"alter database {project.warehouse.dbname} set log_statement = 'all'")
    town.ask(f"alter database {project.warehouse.dbname} set log_min_messages = 'log'")
    said: list[str] = []

    def texts() -> dict[str, str]:
        state = json.loads((cluster_home / ".haven" / "connections.json").read_text())
        found = {"server.log": Path(state["data_root"], "warehouse", "server.log")}
        for name in ("target", "logs"):
            files = (path for path in (project.path / name).rglob("*") if path.is_file())
            found |= {str(path.relative_to(project.path)): path for path in files}
        return {name: path.read_text(errors="replace") for name, path in found.items()}

    def nowhere(*outputs: str) -> None:
        found = texts() | {f"output {n}": text for n, text in enumerate(outputs)}
        assert {n: s for n, text in found.items() for s in signs if s in text} == {}

    def erase_in_vain() -> None:
        done = project.haven("erase", "folded", key, expect=1, HAVEN_LOCK_TIMEOUT="2", **loud)
        said.extend((done.out, done.err))

    loud = {"DBT_DEBUG": "true", "DBT_LOG_LEVEL_FILE": "debug", "DBT_LOG_LEVEL": "debug"}
    # A call that waits for a table is seen by everybody in pg_stat_activity, then fails.
    with closing(connect(project.warehouse)) as blocker, blocker.cursor() as cursor:
        cursor.execute("lock table raw_shop.folded in share mode")
        waiting = threading.Thread(target=erase_in_vain)
        waiting.start()
        seen = ""
        while waiting.is_alive():
            seen += str(town.ask("select application_name, query from pg_stat_activity"))
            time.sleep(0.1)
        waiting.join()
    assert "pg_temp.erase_quietly" in seen and "haven erase" in seen
    assert "HAVEN_LOCK_TIMEOUT" in said[1]
    nowhere(seen, *said)
    # The same by hand, with all that dbt can log; then as it is meant.
    by_hand = project.dbt(
        "--debug", "run-operation", "erase_person", "--args",
        json.dumps({"kind": "folded", "run_id": "x", "is_folded": True, "is_dry_run": True, "kinds": KINDS_OF_DATA}),
        PGOPTIONS=f"-c haven.person_key={key.encode().hex()}", **loud,
    )  # fmt: skip
    assert '"raw_shop.folded": 1' in by_hand.out
    assert "pg_temp.erase_quietly" in texts()["logs/dbt.log"]
    assert "pg_temp.erase_quietly" in texts()["server.log"]
    nowhere(by_hand.out, by_hand.err)
    plan = project.haven("erase", "folded", key, "--dry-run", **loud)
    nowhere(plan.out, plan.err)
    done = project.haven("erase", "folded", key.lower(), **loud)
    assert "raw_shop.folded" in done.out
    nowhere(done.out, done.err)
    kept = town.ask("select to_jsonb(e)::text from ops.erasures as e") + town.ask(
        "select to_jsonb(r)::text from ops.runs as r"
    )
    nowhere(str(kept))
    town.ask(f"alter database {project.warehouse.dbname} reset all")
    assert town.ask("select name from raw_shop.folded where id ~ 'quokka'") == [(None,)]


def test_p10_what_dbt_reads_of_the_project_cannot_show_a_password(town: Town) -> None:
    """The YAML of the suppliers asks for both; `haven load` let dbt parse it."""
    assert town.manifest["sources"]["source.town.erp.suppliers"]["config"]["meta"]["shown"] == "--"
