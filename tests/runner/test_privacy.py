"""Privacy, tried from the outside: the pipeline as its own two roles, each reader at every door, and a person erased.

One small demo serves all tests here, in the order of this file: the last ones change it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg2
import pytest
from conftest import ROOT, Databases, Project, copy_project, rows
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection
from test_personal_data import HARMLESS, PERSONAL

from runner.access.apply import apply_roles
from runner.connect import connect
from runner.contract import person_of
from runner.errors import ConfigError
from runner.operation import raise_refusal
from runner.ops import prepare_operator
from runner.settings import DBT_PASSWORD, load_settings

PASSWORD = "only-for-this-test"
SECRET = "a-secret-of-this-module"
LOGINS = ("haven_loader", "haven_transformer", "haven_analyst", "haven_ml", "haven_developer", "test_shop")
PERSON = 7
TEXTS = ("zelda.quux@unique.example", "zelda quuxington", "555 987 6543", "77 quuxington way")
MODELS = ("+customer_contacts", "+dim_customers", "+fct_listing_views", "+vendor_order_items", "+ops_access_rights")


@dataclass(frozen=True)
class Guarded:
    """A built demo with roles; `vendors` are two of its vendors, the first of them test_shop's."""

    project: Project
    vendors: tuple[int, int]

    def as_role(self, role: str) -> dict[str, str]:
        """Return the settings with which a command works as `role`, and its dbt as the transformer."""
        return {
            "HAVEN_WAREHOUSE_USER": role,
            "HAVEN_WAREHOUSE_PASSWORD": PASSWORD,
            "HAVEN_TRANSFORMER_USER": "haven_transformer",
            "HAVEN_TRANSFORMER_PASSWORD": PASSWORD,
        }

    def session(self, role: str | None = None) -> PgConnection:
        """Return a session of `role`, or of the cluster's superuser."""
        warehouse = self.project.warehouse
        return connect(replace(warehouse, user=role, password=PASSWORD) if role else warehouse)

    def rows(self, query: str, *args: object) -> list[tuple[object, ...]]:
        """Run a statement as the superuser."""
        with closing(self.session()) as session:
            return rows(session, query, *args)

    def build(self, *args: str) -> None:
        """Build what these tests look at as the transformer; a failing test of the project fails here."""
        self.project.dbt(
            "build", "--indirect-selection", "empty", "--select", *MODELS, "resource_type:seed",
            "no_personal_data_is_readable", "readers_only_read_what_is_theirs",
            "contacts_single_nobody_out", "unit_test:customer_contacts__*", *args,
            **self.as_role("haven_transformer"),
        )  # fmt: skip


@pytest.fixture(scope="module")
def guarded(cluster_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """The demo, loaded as haven_loader and built as haven_transformer, with a person that is easy to find."""
    made = Databases(cluster_home)
    folder = copy_project(tmp_path_factory.mktemp("guarded") / "haven copy")
    policy = folder / "models/staging/clutter_haven/_clutter_haven__sources.yml"
    text = policy.read_text(encoding="utf-8")
    assert "keep: 5 years" in text
    policy.write_text(text.replace("keep: 5 years", "keep: 400 days"), encoding="utf-8")
    project = Project(folder, made.create("source"), made.create("warehouse"))
    project.haven("deps", "--offline")
    project.haven("demo", "init", "--scale", "0.02")
    with closing(connect(project.source)) as session:
        rows(
            session,
            "update customers set email = 'Zelda.Quux@unique.example ', full_name = 'Zelda Quuxington', "
            "phone = '+1 555 987 6543' where customer_id = %s",
            PERSON,
        )
        rows(
            session,
            "update orders set shipping_address = shipping_address || "
            '\'{"name": "Zelda Quuxington", "street": "77 Quuxington Way"}\' where order_id in '
            "(select min(order_id) from orders)",
        )
        rows(session, "update orders set customer_id = %s where order_id in (select min(order_id) from orders)", PERSON)
        (one,), (two,) = rows(
            session,
            "select distinct vendor_id from products inner join order_items using (product_id) order by 1 limit 2",
        )
    project.haven("access", HAVEN_MASK_SECRET=SECRET)
    done = Guarded(project, (one, two))
    with closing(connect(project.warehouse)) as session:
        rows(session, "drop role if exists test_shop")
        rows(session, "create role test_shop in role haven_vendor")
        for role in LOGINS:
            rows(session, f"alter role {role} login password '{PASSWORD}'")
        rows(session, "insert into privacy.vendor_logins values ('test_shop', %s)", one)
    project.haven("load", **done.as_role("haven_loader"))
    done.build()
    yield done
    made.drop_all()


def refusal(guarded: Guarded, role: str, statement: str) -> str | None:
    """Return how PostgreSQL refuses the statement, or None if it does not."""
    with closing(guarded.session(role)) as session:
        try:
            rows(session, statement)
        except psycopg2.Error as error:
            return type(error).__name__
    return None


OPEN = (
    ("haven_analyst", "select * from analytics.customer_contacts"),
    ("haven_analyst", "select * from quality.ops_access_rights"),
    ("haven_analyst", "select * from reference.us_states"),
    ("haven_ml", "select * from reference.us_states"),
    ("haven_transformer", "select * from raw.customers"),
    ("haven_transformer", "select * from ops.table_loads"),
    ("haven_transformer", "insert into ops.node_results select * from ops.node_results where false"),
    ("test_shop", "select * from vendor.vendor_order_items"),
    ("haven_developer", "select * from raw_masked.customers"),
    ("haven_developer", "select * from analytics.dim_customers"),
    ("haven_developer", "select status, loading_from from ops.runs"),
)
SHUT = (
    *(
        (role, statement)
        for role in ("haven_analyst", "haven_ml", "test_shop")
        for statement in (
            "select email from raw.customers",
            "select email from staging.stg_clutter_haven__customers",
            "select email from snapshots.customers_snapshot",
            "select * from ops.runs",
            "select * from model_state.model_inputs",
            "select privacy.pseudonym('a@b.example')",
            "select * from privacy.hash_keys",
            "select ops.view_ddl('pg_class')",
            "create table public.mine (id int)",
            "create temporary table mine (id int)",
            "create schema mine",
            "set role haven_loader",
            "set role haven_transformer",
            "set session authorization haven_transformer",
            "select pg_read_file('/etc/passwd')",
            "copy (select 1) to program 'true'",
            "delete from analytics.dim_customers",
        )
    ),
    ("haven_developer", "select email from raw.customers"),
    ("haven_developer", "select email from staging.stg_clutter_haven__customers"),
    ("haven_developer", "select email from snapshots.customers_snapshot"),
    ("haven_developer", "select summary from ops.runs"),
    ("haven_developer", "select privacy.pseudonym('a@b.example')"),
    ("haven_developer", "create table analytics.mine (id int)"),
    ("haven_developer", "create or replace view raw_masked.customers as select 1 as customer_id"),
    ("haven_ml", "select * from analytics.dim_customers"),
    ("haven_analyst", "select * from vendor.vendor_order_items"),
    ("test_shop", "select * from analytics.fct_order_items"),
    ("test_shop", "insert into privacy.vendor_logins values ('test_shop', 1)"),
    ("haven_loader", "select * from analytics.dim_customers"),
    ("haven_loader", "select * from privacy.hash_keys"),
    ("haven_transformer", "update raw.customers set email = null"),
    ("haven_transformer", "delete from ops.runs"),
    ("haven_transformer", "create table ops.of_my_own (id int)"),
    ("haven_analyst", "select * from ops.node_results"),
    ("haven_transformer", "select * from privacy.hash_keys"),
    ("haven_transformer", "select privacy.set_hash_key('x')"),
    ("haven_transformer", "insert into privacy.vendor_logins values ('test_shop', 1)"),
)


def test_each_role_enters_by_its_own_doors_only(guarded: Guarded) -> None:
    refused = {door: refusal(guarded, *door) for door in OPEN}
    assert {door: why for door, why in refused.items() if why} == {}
    answers = {door: refusal(guarded, *door) for door in SHUT}
    assert {door: why for door, why in answers.items() if why != "InsufficientPrivilege"} == {}


def test_tables_made_later_are_as_shut(guarded: Guarded) -> None:
    """What the two makers create gets the rights of its place: raw is for the transformer, the rest for nobody."""
    with closing(guarded.session("haven_loader")) as session:
        rows(session, "create table raw.later (id int)")
        rows(session, "create schema raw_other create table later (id int)")
    with closing(guarded.session("haven_transformer")) as session:
        rows(session, "create table analytics.later (id int)")
        rows(session, "create function analytics.one() returns int language sql as 'select 1'")
    for name in ("raw.later", "raw_other.later"):
        assert refusal(guarded, "haven_transformer", f"select * from {name}") is None
    for statement in (
        "select * from raw.later", "select * from raw_other.later", "select * from analytics.later",
        "select analytics.one()",
    ):  # fmt: skip
        assert refusal(guarded, "haven_analyst", statement) == "InsufficientPrivilege", statement
    guarded.rows("drop table raw.later, analytics.later; drop schema raw_other cascade")
    guarded.rows("drop function analytics.one()")


def test_a_vendor_sees_its_own_rows_whatever_it_says_it_is(guarded: Guarded) -> None:
    own, other = guarded.vendors
    everything = guarded.rows("select distinct vendor_id from analytics.fct_order_items")
    assert {own, other} <= {row[0] for row in everything}
    # A function that tells what it is shown: a view without a barrier would show it every row first.
    guarded.rows(
        "create function public.tell(value bigint) returns boolean language plpgsql cost 0.0000001 as "
        "$$begin raise notice 'seen %', value; return true; end$$"
    )
    guarded.rows("grant usage on schema public to test_shop; grant execute on function public.tell to test_shop")
    with closing(guarded.session("test_shop")) as session:
        for before in ("", "set role haven_vendor", "set haven.vendor_id = '1'", "reset role"):
            if before:
                rows(session, before)
            seen = rows(session, "select distinct vendor_id from vendor.vendor_order_items")
            assert seen == [(own,)], before
        rows(session, "select count(*) from vendor.vendor_order_items where public.tell(vendor_id)")
        assert {notice.split()[-1] for notice in session.notices} == {str(own)}
    guarded.rows("drop function public.tell; revoke usage on schema public from test_shop")


def test_masks_are_keyed_and_the_key_is_nowhere_to_be_read(guarded: Guarded) -> None:
    """Python's own HMAC gives the same; neither secret nor key is in what dbt writes."""
    key = hashlib.sha256(SECRET.encode()).digest()
    wanted = hmac.new(key, b"zelda.quux@unique.example", hashlib.sha256).hexdigest()
    found = guarded.rows(
        "select email_hash, email_masked, name_initials, phone_masked from analytics.customer_contacts "
        "where customer_id = %s",
        PERSON,
    )
    # Nobody else has these: the unit tests of the model show what larger groups see.
    assert found == [(wanted, None, None, None)]
    for path in (guarded.project.path / "target").rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="ignore")
            assert SECRET not in text and key.hex() not in text, path


def test_p6_no_plan_of_a_vendor_tells_of_others(guarded: Guarded) -> None:
    """Estimates and costs are the same for any vendor, and for ten times the rows of others."""
    _, other = guarded.vendors
    predicates = (
        "where vendor_id = {}", "where vendor_id <> {}", "where vendor_id > {} order by ordered_at",
        "where vendor_id in ({}, 999999)", "where ordered_at < '2026-01-01' and vendor_id = {}",
        "where item_amount > {}",
        "as one inner join vendor.vendor_order_items as two using (vendor_id) where vendor_id = {}",
        "where currency_code = 'EUR' or 1 / (vendor_id - {}) = 1",
    )  # fmt: skip

    def plans(vendor: int) -> list[str]:
        with closing(guarded.session("test_shop")) as session:
            return [
                "\n".join(
                    str(line).replace(f"{vendor}", "N")
                    for (line,) in rows(
                        session, "explain select * from vendor.vendor_order_items " + text.format(vendor)
                    )
                )
                for text in predicates
            ]

    before = plans(100000 + other)
    assert "analytics" not in str(before) and "fct_order_items" not in str(before)
    guarded.rows("create table public.kept as select * from analytics.fct_order_items")
    guarded.rows(
        "insert into analytics.fct_order_items select (jsonb_populate_record(items, jsonb_build_object("
        "'order_item_id', items.order_item_id + 1000000 * copies))).* from analytics.fct_order_items as items "
        "cross join generate_series(1, 9) as copies where vendor_id = %s",
        other,
    )
    guarded.rows("update analytics.fct_order_items set vendor_id = %s", 100000 + other)
    guarded.rows("analyze analytics.fct_order_items")
    assert plans(100000 + other) == before
    with closing(guarded.session("test_shop")) as session:
        # An error would tell that the other vendor has rows.
        assert rows(session, "select 1 / (vendor_id - %s) from vendor.vendor_order_items", 100000 + other) == []
        assert rows(session, "select * from pg_stats where schemaname = 'analytics'") == []
    guarded.rows("truncate analytics.fct_order_items")
    guarded.rows("insert into analytics.fct_order_items select * from public.kept")
    guarded.rows("drop table public.kept; analyze analytics.fct_order_items")


def test_p10_the_secret_of_masks_is_in_no_statement(guarded: Guarded, cluster_home: Path) -> None:
    """With all statements logged, as they are and as parameters; source and masks' secret are not for dbt."""
    project = guarded.project
    secret = 'zap"pa, and\\ "all"'
    guarded.rows(f"alter database {project.warehouse.dbname} set log_statement = 'all'")
    project.haven("access", HAVEN_MASK_SECRET=secret)
    guarded.rows(f"alter database {project.warehouse.dbname} reset log_statement")
    key = hashlib.sha256(secret.encode()).digest()
    wanted = hmac.new(key, b"x", hashlib.sha256).hexdigest()
    assert guarded.rows("select privacy.pseudonym('x')") == [(wanted,)]
    (log,) = Path(json.loads((cluster_home / ".haven" / "connections.json").read_text())["data_root"]).glob(
        "warehouse/server.log"
    )
    text = log.read_text(errors="replace")
    assert "privacy.set_hash_key" in text and "zap" not in text and key.hex() not in text
    project.haven("access", HAVEN_MASK_SECRET=SECRET)

    environ = {
        **project.source.as_env(), **project.warehouse.as_env(), **guarded.as_role("haven_loader"),
        "HAVEN_MASK_SECRET": SECRET, "HAVEN_HOME": str(project.path), "PGPASSWORD": "x", "HAVEN_ALERT_TOKEN": "y",
    }  # fmt: skip
    child = load_settings(project.path, environ).child_env()
    assert child[DBT_PASSWORD] == PASSWORD
    hidden = {name for name in environ if "PASSWORD" in name or "SECRET" in name or "TOKEN" in name}
    assert not (hidden | set(project.source.as_env())) & set(child)


def test_p7_rights_that_drifted_are_taken_back(guarded: Guarded) -> None:
    """Roles, memberships, schemas, tables, columns, functions; a schema that somebody else made is refused."""
    for statement in (
        "grant usage on schema raw to haven_analyst", "grant select on raw.customers to public",
        "grant select (email) on staging.stg_clutter_haven__customers to haven_ml",
        "grant delete on analytics.dim_customers to haven_analyst", "grant all on schema analytics to haven_analyst",
        "grant pg_read_all_data to haven_vendor", "alter role haven_ml createdb",
        "grant usage on schema privacy to haven_ml",
        "grant create on schema public to public", "grant execute on all functions in schema ops to public",
    ):  # fmt: skip
        guarded.rows(statement)
    guarded.project.haven("access", HAVEN_MASK_SECRET=SECRET)
    answers = {door: refusal(guarded, *door) for door in (*OPEN, *SHUT)}
    assert {door for door, why in answers.items() if why is None} == set(OPEN)
    assert guarded.rows("select rolname from pg_roles where rolname like 'haven%%' and (rolcreatedb or "
                        "pg_has_role(rolname, 'pg_read_all_data', 'member')) and not rolsuper", ) == []  # fmt: skip
    guarded.rows("create function privacy.trap() returns int language sql as 'select 1'")
    guarded.rows("alter function privacy.trap() owner to haven_transformer")
    done = guarded.project.haven("access", expect=1)
    assert "the schema privacy, or something in it, belongs to haven_transformer" in done.err
    guarded.rows("drop function privacy.trap()")


def test_p11_a_planted_column_is_found_by_mark_name_and_value_whoever_may_read_it(guarded: Guarded) -> None:
    """The project's test passed in the build; now it must fail, on the planted columns and on no other."""
    guarded.rows(
        "create table analytics.leak as select 'x ' || email as note, phone as reached, full_name as label, "
        "'-'::text as birth_date, 'harmless'::text as word, email as hidden from raw.customers"
    )
    guarded.rows("grant select (note, reached, label, birth_date, word) on analytics.leak to haven_ml")
    guarded.rows("grant select on analytics.leak to haven_transformer")
    guarded.rows("create table analytics.unseen as select 'word'::text as word")
    guarded.rows("grant select on analytics.unseen to haven_ml")
    guarded.rows("grant usage on schema analytics to haven_ml")
    # Readable by one analyst alone, in one column; and by everybody.
    guarded.rows("drop role if exists test_ann; create role test_ann in role haven_analyst")
    for name, grant in (
        ("anns", "(note) on analytics.anns to test_ann"),
        ("everyones", "on analytics.everyones to public"),
    ):
        guarded.rows(f"create table analytics.{name} as select email as note, phone as shut from raw.customers")
        guarded.rows(f"grant select {grant}; grant select on analytics.{name} to haven_transformer")
    # One list of names for every reader of it (test_personal_data.py).
    words = ", ".join(f"'word'::text as \"{name}\"" for name in (*PERSONAL, *HARMLESS))
    guarded.rows(f"create table analytics.named as select {words}")
    guarded.rows("grant select on analytics.named to haven_analyst, haven_transformer")
    guarded.rows("grant select on staging.stg_clutter_haven__customers to haven_analyst")
    guarded.rows("grant usage on schema staging to haven_analyst")
    done = guarded.project.dbt(
        "test", "--select", "no_personal_data_is_readable", expect=1, **guarded.as_role("haven_transformer")
    )
    assert "FAIL" in done.out, done.out
    found = dict(guarded.rows("select column_name, string_agg(reason, '; ') from "
                              "quality.no_personal_data_is_readable group by 1"))  # fmt: skip
    assert found.pop("analytics.leak.note") == "sampled values look like email"
    assert found.pop("analytics.leak.reached") == "sampled values look like phone"
    assert found.pop("analytics.leak.label") == "sampled values look like name"
    assert found.pop("analytics.anns.note") == "sampled values look like email"
    assert found.pop("analytics.everyones.note") == "sampled values look like email"
    assert found.pop("analytics.everyones.shut") == "sampled values look like phone"
    assert "by its name" in str(found.pop("analytics.leak.birth_date"))
    assert "cannot be looked at" in str(found.pop("analytics.unseen.word"))
    by_name = {name: found.pop(f"analytics.named.{name}", None) for name in PERSONAL}
    assert by_name == {
        name: f"personal by its name ({kind}); mark it, or say meta.pii: false" for name, kind in PERSONAL.items()
    }
    staging = "staging.stg_clutter_haven__customers."
    marked = {"email", "full_name", "phone", "city", "postal_code"}
    assert {name: "marked" in str(why) for name, why in found.items()} == {staging + name: True for name in marked}
    guarded.rows("drop table analytics.leak, analytics.unseen, analytics.named, analytics.anns, analytics.everyones")
    guarded.rows("drop role test_ann")
    guarded.rows("revoke usage on schema analytics from haven_ml")
    guarded.rows("revoke select on staging.stg_clutter_haven__customers from haven_analyst")
    guarded.rows("revoke usage on schema staging from haven_analyst")


def test_roles_are_mended_and_may_be_applied_again(guarded: Guarded) -> None:
    """What a superuser left behind gets its owner, partitions too; a second time changes nothing, the key included."""
    guarded.rows("create table analytics.left_plain (id int generated always as identity)")
    guarded.rows("create table analytics.left_parted (id serial, day date) partition by list (day)")
    guarded.rows("create table analytics.left_part partition of analytics.left_parted default")
    guarded.rows("create view analytics.left_view as select id from analytics.left_parted")
    key = guarded.rows("select inner_key from privacy.hash_keys")
    for _ in range(2):
        with closing(guarded.session()) as session:
            apply_roles(session)
    owners = (
        "select distinct relowner::regrole::text, count(*) from pg_class "
        "where relnamespace = 'analytics'::regnamespace and relname like 'left%%' group by 1"
    )
    assert guarded.rows(owners) == [("haven_transformer", 6)]  # two sequences among them
    assert guarded.rows("select inner_key from privacy.hash_keys") == key
    guarded.rows("drop table analytics.left_plain, analytics.left_parted cascade")


def places_of(guarded: Guarded, texts: tuple[str, ...], *, role: str | None = None) -> dict[str, int]:
    """Return how many rows of each relation hold one of `texts` in any column, of any type, that `role` may read."""
    found = {}
    with closing(guarded.session(role)) as session:
        for schema, table, columns in rows(
            session,
            "select nspname, relname, array_agg(attname::text) from pg_attribute "
            "inner join pg_class on attrelid = pg_class.oid inner join pg_namespace on relnamespace = pg_namespace.oid "
            "where relkind in ('r', 'p', 'm', 'v') and nspname not in ('pg_catalog', 'information_schema') "
            "and attnum > 0 and not attisdropped and has_schema_privilege(pg_namespace.oid, 'usage') "
            "and has_column_privilege(pg_class.oid, attnum, 'select') group by 1, 2",
        ):
            ((count,),) = rows(
                session,
                sql.SQL("select count(*) from (select {} from {}) as held where held::text ilike any(%s)").format(
                    sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(schema, table)
                ),
                [f"%{text}%" for text in texts],
            )
            if count:
                found[f"{schema}.{table}"] = count
    return found


def totals(guarded: Guarded) -> list[tuple[object, ...]]:
    """Return what the warehouse says was sold."""
    return guarded.rows(
        "select currency_code, count(*), sum(item_amount), sum(commission_amount) "
        "from analytics.fct_order_items group by 1 order by 1"
    )


def test_b6_a_developer_builds_every_layer_and_sees_no_personal_value(guarded: Guarded) -> None:
    """Marts of their own from masked raw, and nothing they may read anywhere holds the person."""
    assert set(places_of(guarded, TEXTS)) >= {"raw.customers", "snapshots.customers_snapshot"}
    guarded.rows("alter table raw.customers add nickname text default 'zelda quuxington'")
    guarded.build()  # which shows developers the new column, as nulls: no YAML says what it is
    guarded.project.dbt(
        "build", "--indirect-selection", "empty", "--select", *MODELS[:2], "+vendor_order_items",
        "resource_type:seed", "no_personal_data_is_readable",
        **guarded.as_role("haven_developer")
        | {"HAVEN_TARGET": "dev", "HAVEN_SCHEMA": "dora", "HAVEN_RAW": "raw_masked"},
    )  # fmt: skip
    assert guarded.rows(
        "select count(*), count(full_name), count(email) from dora_staging.stg_clutter_haven__customers"
    ) == guarded.rows("select count(*), 0::bigint, 0::bigint from raw.customers")
    assert guarded.rows("select count(nickname) from raw_masked.customers") == [(0,)]
    same = "select customer_id, state_code, valid_from from {}analytics.dim_customers order by 1, 2, 3"
    theirs = guarded.rows(same.format("dora_"))
    assert {row[0] for row in theirs} == {row[0] for row in guarded.rows(same.format(""))}
    seen = places_of(guarded, (*TEXTS, "zelda"), role="haven_developer")
    assert seen == {}
    guarded.rows("drop view raw_masked.customers cascade")
    guarded.rows("alter table raw.customers drop nickname")
    for (schema,) in guarded.rows("select nspname from pg_namespace where nspname ~ '^dora_'"):
        guarded.rows(f"drop schema {schema} cascade")


def test_an_erased_person_is_found_nowhere_and_does_not_come_back(guarded: Guarded) -> None:
    project = guarded.project
    # Rows that a test of the project kept, and a table that nobody knows.
    guarded.rows("create table quality.untrimmed_state_codes as select customer_id, to_jsonb(c) as doc, "
                 "array[email] as mails from raw.customers as c")  # fmt: skip
    guarded.rows('update ops.runs set summary = \'{"error": "key Zelda Quuxington"}\'')
    guarded.rows("create schema dev_ann create table people (customer_id bigint, full_name text)")
    guarded.rows("insert into dev_ann.people select customer_id, full_name from raw.customers")
    guarded.rows("create schema ann_snapshots")
    guarded.rows("create table ann_snapshots.customers_snapshot as select * from snapshots.customers_snapshot")
    guarded.rows("alter table ann_snapshots.customers_snapshot alter full_name set not null")
    report = project.path / "target" / "reports" / "planted.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text('["ZELDA QUUXINGTON"]', encoding="utf-8")
    sessions = guarded.rows("select distinct session_id::text from raw.listing_views where customer_id = %s", PERSON)
    texts = (*TEXTS, *(str(session) for (session,) in sessions))
    money, before = totals(guarded), places_of(guarded, texts)
    held = {"raw.customers", "raw.orders", "snapshots.customers_snapshot", "quality.untrimmed_state_codes"}
    assert held | {"ops.runs", "raw.listing_views", "analytics.fct_listing_views"} <= set(before)

    plan = project.haven("erase", "customer", str(PERSON), "--dry-run", "--json").json
    assert plan["changed"]["raw.customers"] == 1
    assert "target/reports/planted.json" in plan["removed_files"]
    assert places_of(guarded, texts) == before
    assert report.is_file()
    done = project.haven("erase", "customer", str(PERSON), "--json").json
    assert (done["changed"], done["tasks"]) == (plan["changed"], plan["tasks"])
    assert {"ann_snapshots.customers_snapshot", "ops.runs"} <= set(done["changed"])
    (task, *standing) = done["tasks"]
    assert task.startswith("dev_ann.people: 1 row (key row (0,")
    assert "backups" in standing[0]
    assert places_of(guarded, texts) == {"dev_ann.people": 1}
    guarded.rows("drop table dev_ann.people")
    assert not report.exists()

    project.haven("access")  # what the superuser's commands made goes back to its owners
    loads = project.haven("load", "--full", "--json", **guarded.as_role("haven_loader")).json
    assert {load["rows_updated"] for load in loads["tables"]} == {0}
    project.haven("reconcile", **guarded.as_role("haven_loader"))
    guarded.build("--full-refresh")
    assert places_of(guarded, texts) == {}
    assert totals(guarded) == money
    assert guarded.rows("select count(*) from analytics.customer_contacts where customer_id = %s and "
                        "email_hash is null and name_initials is null", PERSON) == [(1,)]  # fmt: skip
    # Rebuilt tables are as open, and as shut, as before.
    assert refusal(guarded, "haven_analyst", "select * from analytics.dim_customers") is None

    again = project.haven("erase", "customer", str(PERSON), "--json").json
    assert (again["changed"], again["tasks"]) == ({}, standing)
    audit = json.dumps(guarded.rows("select to_jsonb(e)::text from ops.erasures as e"))
    assert audit.count("erasure_id") == 2
    assert not any(text in audit.lower() for text in texts)
    # A new person is loaded as ever, and one who changes in the source while erased stays erased.
    with closing(connect(project.source)) as session:
        rows(
            session,
            "update customers set phone = '+1 555 987 6543', updated_at = now() where customer_id in (%s, %s)",
            PERSON,
            PERSON + 1,
        )
    project.haven("load", "customers", **guarded.as_role("haven_loader"))
    assert guarded.rows(
        "select customer_id, phone from raw.customers where customer_id in (%s, %s) order by 1", PERSON, PERSON + 1
    ) == [(PERSON, None), (PERSON + 1, "+1 555 987 6543")]


def test_erase_says_what_is_wrong(guarded: Guarded) -> None:
    done = guarded.project.haven("erase", "customer", "987654", expect=1)
    assert "nobody in the warehouse is customer 987654" in done.err
    done = guarded.project.haven("erase", "bird", "1", expect=2)
    assert "known: customer, vendor" in done.err
    assert guarded.rows("select count(*) from ops.suppressions") == [(1,)]
    two = {"a": {"meta": {"person": "x"}}, "b": {"config": {"meta": {"person": "y"}}}}
    with pytest.raises(ConfigError, match="a, b each have"):
        person_of(two)


@pytest.mark.parametrize(
    ("keep", "purge_after", "words"),
    [
        ("-3 days", "30 days", "keep is '-3 days'; it must be a finite time from 0 on"),
        ("400", "30 days", "keep is '400': say of what, such as '400 minutes'"),
        ("infinity", "30 days", "keep is 'infinity'; it must be a finite time from 0 on"),
        ("5 hours", "30 days", "keep is '5 hours'; it must be a day at least"),
        ("a year", "30 days", "keep is 'a year', which is no interval"),
        ("400 days", "-1 day", "purge_after is '-1 day'; it must be a finite time from 0 on"),
    ],
)
def test_k10_a_retention_that_would_take_too_much_is_refused(
    guarded: Guarded, keep: str, purge_after: str, words: str
) -> None:
    policy = {
        "schema_name": "raw", "table_name": "listing_views", "column_name": "viewed_at", "keep": keep,
        "purge_after": purge_after, "is_raw": True,
    }  # fmt: skip
    before = guarded.rows("select count(*) from raw.listing_views where _deleted_at is null")
    # As macro apply_retention does.
    functions = (ROOT / "macros" / "retention" / "retention_functions.sql").read_text("utf-8")
    with closing(guarded.session()) as session, session.cursor() as cursor:
        session.autocommit = True
        prepare_operator(cursor)
        cursor.execute(re.sub(r"{%.*?%}", "", functions))
        cursor.execute("call pg_temp.apply_retention(%s, false, null)", (json.dumps([policy]),))
        answer = json.loads(cursor.fetchone()[0])  # type: ignore[index]
    with pytest.raises(ConfigError) as refused:
        raise_refusal(answer)
    assert f"retention of raw.listing_views: {words}" in str(refused.value)
    assert guarded.rows("select count(*) from raw.listing_views where _deleted_at is null") == before


def test_old_rows_leave_and_stay_away(guarded: Guarded) -> None:
    """`haven retain` marks old rows, which no load brings back, and deletes them when their time is over."""
    project = guarded.project
    with closing(connect(project.source)) as session:
        rows(session, "update listing_views set viewed_at = '2001-01-01' where view_id <= 5")
    project.haven("load", "listing_views", "--full", **guarded.as_role("haven_loader"))
    live = (
        "select count(*) from raw.listing_views where _deleted_at is null and viewed_at < now() - interval '400 days'"
    )
    ((old,),) = guarded.rows(live)
    assert old >= 5

    # P5: called by the operator, whatever the loader put on its table runs as the loader.
    guarded.rows("create table public.who (name text); grant insert on public.who to haven_loader")
    guarded.rows("grant usage on schema public to haven_loader")
    guarded.rows("create function raw.tell() returns trigger language plpgsql as "
                 "'begin insert into public.who values (current_user); return new; end'")  # fmt: skip
    guarded.rows("create trigger tell before update on raw.listing_views for each row execute function raw.tell()")
    guarded.rows("alter function raw.tell() owner to haven_loader")

    def retain(*args: str) -> tuple[int, int]:
        done = project.haven("retain", "--json", *args).json
        (views,) = [table for table in done["tables"] if table["table"] == "raw.listing_views"]
        return views["marked_rows"], views["deleted_rows"]

    marked, deleted = retain("--dry-run")
    assert (marked >= 5, deleted) == (True, 0)
    assert guarded.rows(live) == [(old,)]
    assert retain() == (marked, 0)
    assert guarded.rows("select distinct name from public.who") == [("haven_loader",)]
    guarded.rows("drop function raw.tell cascade; drop table public.who")
    guarded.rows("revoke usage on schema public from haven_loader")
    project.haven("load", "listing_views", "--full", **guarded.as_role("haven_loader"))
    project.haven("reconcile", "listing_views", **guarded.as_role("haven_loader"))
    assert retain() == (0, 0)
    guarded.rows(
        "update raw.listing_views set _deleted_at = _deleted_at - interval '31 days', _load_id = 0 "
        "where _deleted_at is not null"
    )
    assert retain() == (0, marked)
    assert guarded.rows("select count(*) from raw.listing_views where view_id <= 5") == [(0,)]
