"""Profiles against real databases: every number exact, every type survives, no personal value gets out."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import Browser, Databases, Project, clean_environment, rows
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection

from runner import profile as profile_package
from runner.connect import connect
from runner.contract import read_contract
from runner.dbt import run_dbt
from runner.profile import ProfileRequest, TableProfile, engine, profile_tables
from runner.profile.dictionary import dictionary
from runner.profile.document import document
from runner.profile.page import write_page
from runner.profile.references import is_named_after
from runner.report.masking import PiiRules
from runner.settings import Connection

NO_RULES = PiiRules(frozenset(), frozenset(), frozenset())
PROFILES = Path(__file__).parents[2] / "profiles.yml"
Profile = Callable[..., dict[str, Any]]


def source_node(name: str, load: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return what dbt's manifest says of one source table."""
    return {
        "unique_id": f"source.shop.shop.{name}",
        "source_name": "shop",
        "name": name,
        "schema": "raw",
        "identifier": name,
        "original_file_path": "models/sources.yml",
        "resource_type": "source",
        "meta": {"load": load or {}},
        "columns": {},
        "description": "",
    } | more


def profile_all(
    source: Connection,
    *nodes: dict[str, Any],
    warehouse: Connection | None = None,
    snapshots: dict[str, Any] | None = None,
    rules: PiiRules = NO_RULES,
    sample: int = 0,
    only: tuple[str, ...] = (),
) -> list[TableProfile]:
    """Profile the tables of these nodes, or `only` some of them."""
    manifest = {
        "sources": {node["unique_id"]: node for node in nodes},
        "nodes": snapshots or {},
    }
    request = ProfileRequest(read_contract(manifest), manifest, rules, sample, only)
    return profile_tables(request, source, warehouse, lambda done: None)


@pytest.fixture
def profile(source_settings: Connection) -> Profile:
    """A function that profiles tables (names or nodes) and returns the checked document's tables by name."""
    schema = json.loads(Path(profile_package.__file__).with_name("profile.schema.json").read_text())

    def run(*tables: str | dict[str, Any], **options: Any) -> dict[str, Any]:
        nodes = [source_node(t) if isinstance(t, str) else t for t in tables]
        made = document(profile_all(source_settings, *nodes, **options))
        jsonschema.validate(json.loads(json.dumps(made, allow_nan=False)), schema)
        return {table["label"].removeprefix("shop."): table for table in made["tables"]}

    return run


def column(table: dict[str, Any], name: str) -> dict[str, Any]:
    """Return one column of a table of the document."""
    assert table["error"] is None, table["error"]
    return next(c for c in table["columns"] if c["name"] == name)


def tops(found: dict[str, Any]) -> list[tuple[str, int]]:
    """Return a column's frequent values and their rows."""
    return [(top["value"], top["rows"]) for top in found["top"]]


# --- columns ------------------------------------------------------------------------------------


def test_numbers_are_measured_exactly(source_connection: PgConnection, profile: Profile) -> None:
    values = [3, 1, 2, 4, 5, 6, 7, 8, -9, 100, 5]
    rows(source_connection, "create table reading (id int primary key, amount numeric(12, 2))")
    rows(
        source_connection,
        "insert into reading select n, v from unnest(%s || array[null, null]::int[]) "
        "with ordinality as u (v, n)",
        values,
    )

    table = profile("reading")["reading"]
    found = column(table, "amount")

    assert (table["rows"], table["duplicate_rows"], table["is_sampled"]) == (13, 0, False)
    assert table["size_bytes"] > 0
    assert (found["nulls"], found["null_share"], found["distinct"]) == (2, 2 / 13, 10)
    assert found["distinct_basis"] == "exact"
    assert (found["min"], found["max"]) == ("-9.00", "100.00")
    assert float(found["avg"]) == pytest.approx(statistics.mean(values), rel=1e-9)
    assert float(found["stddev"]) == pytest.approx(statistics.stdev(values), rel=1e-9)
    assert found["negative"] == 1
    assert tops(found)[:2] == [("5.00", 2), ("-9.00", 1)]
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    spread = found["spread"]
    assert [float(spread[n]) for n in ("q1", "median", "q3")] == [q1, median, q3]
    assert [float(spread[n]) for n in ("low_fence", "high_fence")] == [low, high]
    assert spread["outliers"] == sum(not low <= v <= high for v in values) == 2
    assert set(found["notes"]) == {"1 negative", "2 outliers"}
    assert sum(b["rows"] for b in found["histogram"]) == len(values)
    assert (found["histogram"][0]["low"], found["histogram"][-1]["high"]) == ("-9", "100")


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 10, 101])
def test_quartiles_of_any_number_of_rows(
    source_connection: PgConnection, profile: Profile, size: int
) -> None:
    values = [(n * 7919) % 53 - 20 for n in range(size)]
    rows(source_connection, "create table reading as select unnest(%s)::bigint as amount", values)

    spread = column(profile("reading")["reading"], "amount")["spread"]

    expected = statistics.quantiles(values, n=4, method="inclusive") if size > 1 else values * 3
    assert [float(spread[n]) for n in ("q1", "median", "q3")] == expected


def test_histograms_of_small_ranges_have_a_bar_for_each_number(
    source_connection: PgConnection, profile: Profile
) -> None:
    rows(source_connection, "create table vote as select unnest('{1,1,1,5,5,3}'::int[]) as stars")

    bars = column(profile("vote")["vote"], "stars")["histogram"]

    assert [(b["low"], b["rows"]) for b in bars] == [
        ("1", 3),
        ("2", 0),
        ("3", 1),
        ("4", 0),
        ("5", 2),
    ]


def test_not_finite_values_are_counted_and_left_out(
    source_connection: PgConnection, profile: Profile
) -> None:
    rows(
        source_connection,
        """
        create table odd as
        select
            unnest('{1,3,NaN,Infinity,-Infinity}'::float8[]) as f,
            unnest('{1,3,NaN,Infinity,-Infinity}'::numeric[]) as n,
            unnest('{2026-01-01,2026-01-03,infinity,-infinity,2026-01-02}'::date[]) as d,
            unnest(array['4713-01-01 BC', '294276-12-31', 'infinity', null, null]::timestamptz[]) as t,
            unnest('{1e308,-1e308,1e308,5e-324,NaN}'::float8[]) as big
        """,
    )

    table = profile("odd")["odd"]

    for name in ("f", "n"):
        found = column(table, name)
        assert (found["min"], found["max"], found["avg"]) == ("1", "3", "2")
        assert float(found["stddev"]) == pytest.approx(2**0.5)
        assert found["not_finite"] == 3
        assert found["negative"] == 0  # -Infinity is not finite
    found = column(table, "d")
    assert (found["min"], found["max"], found["not_finite"]) == ("2026-01-01", "2026-01-03", 2)
    assert found["spread"]["median"] == "2026-01-02"
    found = column(table, "t")
    assert (found["min"], found["max"]) == ("4713-01-01 00:00:00+00 BC", "294276-12-31 00:00:00+00")
    assert found["spread"]["median"] is None  # in the year 144782, which no client's calendar has
    assert column(table, "big")["avg"] == "2.5e+307"


def test_numbers_beyond_the_range_of_a_mean_cost_the_mean_only(
    source_connection: PgConnection, profile: Profile
) -> None:
    rows(
        source_connection,
        "create table huge as select n * (repeat('9', 131072))::numeric as n, 7 as small "
        "from unnest('{-1,1}'::int[]) as n",
    )

    table = profile("huge")["huge"]

    found = column(table, "n")
    assert (found["distinct"], found["avg"], found["notes"]) == (
        2,
        None,
        ["unique", "1 negative", "too large for a mean"],
    )
    assert found["max"] == "9" * 131072
    assert (found["spread"], found["histogram"]) == (None, [])
    assert column(table, "small")["notes"] == ["constant"]


def test_text_is_measured(source_connection: PgConnection, profile: Profile) -> None:
    values = ["ca", "CA", " ca", "ny ", "", "  ", "\t", "tx", "tx", None]
    rows(source_connection, "create table state as select unnest(%s::text[]) as code", values)

    found = column(profile("state")["state"], "code")

    assert found["text"] == {
        "min_length": 0, "max_length": 3, "blank": 3, "untrimmed": 4, "is_mixed_case": True,
    }  # fmt: skip
    assert (found["nulls"], found["distinct"], tops(found)[0]) == (1, 8, ("tx", 2))
    assert found["notes"] == ["3 blank", "4 untrimmed", "mixed case: values differ by case only"]
    assert found["min"] is None


def test_patterns_are_noted(source_connection: PgConnection, profile: Profile) -> None:
    rows(
        source_connection,
        "create table thing as select n as ident, 'x' as same, case when n > 2 then 'y' end as some,"
        " null::text as none from generate_series(1, 6) as n",
    )

    table = profile("thing")["thing"]

    notes = {c["name"]: c["notes"] for c in table["columns"]}
    assert notes == {
        "ident": ["unique"],
        "same": ["constant"],
        "some": ["constant but for nulls"],
        "none": ["all null"],
    }


def test_large_documents_are_told_apart_but_not_shown(
    source_connection: PgConnection, profile: Profile
) -> None:
    rows(
        source_connection,
        "create table doc as select string_agg(md5((n * m)::text), '') as body, "
        "decode(string_agg(md5((n * m)::text), ''), 'hex') as bytes "
        "from generate_series(1, 3) as n, generate_series(1, 3000) as m group by n",
    )
    rows(source_connection, "insert into doc select * from doc limit 1")

    table = profile("doc")["doc"]

    body = column(table, "body")
    assert (body["distinct"], body["top"], body["text"]["max_length"]) == (3, [], 96000)
    assert (column(table, "bytes")["distinct"], table["duplicate_rows"]) == (3, 1)


ZOO = {
    "json": "'{\"a\": 1}'", "jsonb": "'[1, null]'", "point": "'(1,2)'", "box": "'(1,2),(3,4)'",
    "circle": "'<(1,2),3>'", "path": "'[(1,2),(3,4)]'", "polygon": "'((1,2),(3,4))'", "line": "'{1,2,3}'",
    "lseg": "'[(1,2),(3,4)]'", "integer[]": "'{{1,null},{3,4}}'", "json[]": "array['{}'::json]",
    "point[]": "array['(1,2)'::point]", "int4range": "'[1,5)'", "int4multirange": "'{[1,3),[5,7)}'",
    "mood": "'sad'", "mood[]": "'{sad,ok}'", "positive": "7", "address": "'code'", "positive[]": "'{7}'",
    "pair": "row(1, '{}')", "pair[]": "array[row(1, '{}')::pair]", "bytea": "'\\xdeadbeef'", "boolean": "true",
    "uuid": "'00000000-0000-0000-0000-000000000001'", "inet": "'10.0.0.1'", "cidr": "'10.0.0.0/8'",
    "macaddr": "'08:00:2b:01:02:03'", "bit(3)": "'101'", "bit varying": "'10'", "money": "'-12.34'", "time": "'24:00'",
    "time with time zone": "'12:00+14'", "interval": "'1 mon -1 day'", "date": "'infinity'", "tsvector": "'a b'",
    "tsquery": "'a & b'", "char(5)": "'ab'", '"char"': "'x'", "name": "'n'", "oid": "5", "regclass": "'pg_class'",
    "pg_lsn": "'0/1'", "xid": "'3'", "jsonpath": "'$.a'", "real": "'NaN'", "double precision": "'-Infinity'",
    "numeric": "'NaN'", "smallint": "'-32768'", "bigint": "9223372036854775807", "timestamp": "'0044-03-15 BC'",
    "timestamptz": "'-infinity'", "int2vector": "'1 2'", "aclitem": "'=r/haven'", "txid_snapshot": "'1:1:'",
    "xid8": "'4'", "tid": "'(0,1)'",
}  # fmt: skip


def test_every_type_survives(source_connection: PgConnection, profile: Profile) -> None:
    types = (
        "create type mood as enum ('sad', 'ok')", "create type pair as (n int, j json)",
        "create domain positive as int check (value > 0)", "create domain inner_code as text",
        "create domain address as inner_code",
    )  # fmt: skip
    for statement in types:
        rows(source_connection, statement)
    names = {type_: f"c{at}" for at, type_ in enumerate(ZOO)}
    defined = ", ".join(f"{names[type_]} {type_}" for type_ in ZOO)
    rows(source_connection, f"create table zoo ({defined})")
    values = ", ".join(ZOO[type_] + f"::{type_}" for type_ in ZOO)
    rows(source_connection, f"insert into zoo select {values} from generate_series(1, 3)")
    rows(source_connection, f"insert into zoo select {', '.join(['null'] * len(ZOO))}")

    table = profile("zoo")["zoo"]

    assert (table["rows"], table["duplicate_rows"], len(table["columns"])) == (4, 2, len(ZOO))
    for type_, name in names.items():
        found = column(table, name)
        assert (found["nulls"], found["distinct"]) == (1, 1), type_
        assert found["personal"] or tops(found)[0][1] == 3, type_
    assert tops(column(table, names["json"])) == [('{"a": 1}', 3)]
    assert tops(column(table, names["positive"])) == [("7", 3)]
    assert column(table, names["positive"])["kind"] == "number"
    assert column(table, names["address"])["kind"] == "text"
    assert column(table, names["money"])["avg"] == "-12.34"
    assert column(table, names["interval"])["min"] == "1 mon -1 days"
    assert column(table, names["inet"])["personal"]


STRANGE = [
    "CamelCase", "select", "with space", 'quo"te', "per%cent", "%(name)s", "{brace}", "ünïcödé_列",
    "x" * 63, "t", "n", "value", "facts", "back\\slash", "new\nline", "<b>&", "a|b",
]  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_any_name_of_table_schema_and_column(
    source_connection: PgConnection, profile: Profile, tmp_path: Path, name: str
) -> None:
    schema, table, col = (sql.Identifier(name),) * 3
    other = sql.Identifier("and another")
    rows(source_connection, sql.SQL("create schema {}").format(schema))
    rows(
        source_connection,
        sql.SQL("create table {}.{} ({} int not null, {} timestamptz)").format(
            schema, table, col, other
        ),
    )
    rows(
        source_connection,
        sql.SQL("insert into {}.{} select n % 7, now() + n * '1 day'::interval from generate_series(1, 9) as n")
        .format(schema, table),
    )  # fmt: skip

    node = source_node(
        name, {"source_schema": name, "watermark": "and another", "strategy": "incremental"}
    )
    table_found = profile(node)[name]

    assert column(table_found, name)["distinct"] == 7
    made = {"tables": [table_found]}
    assert dictionary(made).count("\n| ") >= 3
    write_page(made, tmp_path / "page.html", project="x")


def test_tables_without_rows_columns_or_storage(
    source_connection: PgConnection, profile: Profile
) -> None:
    rows(source_connection, "create table empty (a int, b text, c json, d timestamptz)")
    rows(source_connection, "create table bare ()")
    rows(source_connection, "insert into bare default values; insert into bare default values")
    rows(
        source_connection,
        "create view seen as select 1 as a, '2'::text as b union all select 1, '2'",
    )
    rows(source_connection, "create materialized view kept as select * from seen")
    rows(source_connection, "create table part (a int) partition by range (a)")
    rows(source_connection, "create table part_1 partition of part for values from (0) to (9)")
    rows(source_connection, "insert into part values (1), (2)")

    found = profile("empty", "bare", "seen", "kept", "part")

    assert {n: (t["kind"], t["rows"], t["duplicate_rows"]) for n, t in found.items()} == {
        "empty": ("table", 0, 0),
        "bare": ("table", 2, 1),
        "seen": ("view", 2, 1),
        "kept": ("materialized view", 2, 1),
        "part": ("partitioned table", 2, 0),
    }
    assert column(found["empty"], "a")["null_share"] is None
    assert found["empty"]["growth"] is None
    assert found["part"]["size_bytes"] > 0


def test_two_hundred_and_sixteen_hundred_columns(
    source_connection: PgConnection, profile: Profile
) -> None:
    for count in (200, 1600):
        names = ", ".join(f"c{n} smallint default {n}" for n in range(count))
        rows(source_connection, f"create table wide_{count} ({names})")
        rows(source_connection, f"insert into wide_{count} select from generate_series(1, 3)")
    rows(source_connection, "create view cut as select c0 from wide_1600")

    found = profile("wide_200", source_node("wide_1600", {"exclude": ["c7"]}))

    assert len(found["wide_200"]["columns"]) == 200
    assert column(found["wide_200"], "c199")["max"] == "199"
    assert (len(found["wide_1600"]["columns"]), found["wide_1600"]["duplicate_rows"]) == (1599, 2)


# --- keys and references ------------------------------------------------------------------------


def test_keys_are_declared_or_inferred(source_connection: PgConnection, profile: Profile) -> None:
    rows(
        source_connection,
        "create table declared (id int primary key, code text not null unique, n int)",
    )
    rows(
        source_connection,
        "insert into declared select n, 'c' || n, n % 3 from generate_series(1, 9) as n",
    )
    rows(
        source_connection,
        """
        create table plain as
        select n as number, 'code ' || n as code, n::float8 as f, now() + n * interval '1 s' as moment,
            case when n > 1 then n end as holed, n % 3 as few
        from generate_series(1, 9) as n
        """,
    )
    rows(
        source_connection,
        "create table pairs as select n / 4 as a, n % 4 as b, n % 2 as c from generate_series(0, 15) as n",
    )
    rows(
        source_connection,
        "create table twice as select n / 4 as a, n % 3 as b from generate_series(0, 15) as n",
    )

    found = profile("declared", "plain", "pairs", "twice")

    keys = {
        name: [(k["columns"], k["is_declared"]) for k in table["keys"]]
        for name, table in found.items()
    }
    assert keys == {
        "declared": [(["id"], True), (["code"], True)],
        "plain": [(["number"], False), (["code"], False)],
        "pairs": [(["a", "b"], False)],
        "twice": [],
    }
    assert all(k["is_proven"] for table in found.values() for k in table["keys"])
    # 4 values of a times 3 of b: 12 different of 16, less what never meets.
    different = rows(
        source_connection, "select count(*) from (select distinct a, b from twice) as d"
    )
    assert found["twice"]["duplicate_rows"] == 16 - different[0][0]


def make_shop(session: PgConnection) -> None:
    """Make people and deals that refer to them: declared, undeclared, with orphans, and not at all."""
    rows(session, "create table people (id int primary key, login uuid not null unique, tier int)")
    rows(
        session,
        "insert into people select n, md5(n::text)::uuid, n % 4 from generate_series(1, 100) as n",
    )
    rows(
        session,
        """
        create table deals (
            deal_id bigint primary key, owner_id int references people, people_id int,
            "peopleRef" int, people_bad int, account uuid, tier int, kind_id int, happened_at timestamptz
        )
        """,
    )
    rows(
        session,
        """
        insert into deals
        select n, n % 100 + 1, nullif(n % 100 + 1, 7), case when n <= 20 then 1000 + n else n % 100 + 1 end,
            1000 + n, md5((n % 50 + 1)::text)::uuid, n % 4, n % 5 + 1, '2026-01-01'::timestamptz + n * interval '1 h'
        from generate_series(1, 1000) as n
        """,
    )
    rows(session, "create table kinds (kind_id bigint primary key)")
    rows(session, "insert into kinds select generate_series(1, 5)")


def test_references_are_declared_or_inferred(
    source_connection: PgConnection, profile: Profile
) -> None:
    make_shop(source_connection)

    found = profile("people", "deals", "kinds")

    references = {
        r["columns"][0]: (r["to_table"], r["to_columns"], r["evidence"], r["rows"], r["orphans"])
        for r in found["deals"]["references"]
    }
    people = "shop.people"
    assert (
        references
        == {
            "owner_id": (people, ["id"], "constraint", 1000, 0),
            "people_id": (people, ["id"], "name and values", 990, 0),
            "peopleRef": (people, ["id"], "name and values", 1000, 20),
            "account": (people, ["login"], "values", 1000, 0),
        }
    )  # all of people_bad are orphans; kind_id is an integer, kinds.kind_id a bigint; tier is no reference
    shares = {r["columns"][0]: r["orphan_share"] for r in found["deals"]["references"]}
    assert shares["peopleRef"] == 0.02
    assert found["people"]["references"] == found["kinds"]["references"] == []


def test_references_lead_to_tables_that_are_not_profiled_now(
    source_connection: PgConnection, profile: Profile
) -> None:
    make_shop(source_connection)
    rows(source_connection, "create table login (people_id int, login uuid)")
    rows(source_connection, "insert into login select id, login from people")
    rules = PiiRules(frozenset({"id"}), frozenset(), frozenset())

    found = profile("people", "deals", "login", only=("login", "shop.deals"), rules=rules)

    assert list(found) == ["deals", "login"]
    assert [(r["columns"], r["to_table"]) for r in found["login"]["references"]] == [
        (["people_id"], "shop.people"),
        (["login"], "shop.people"),
    ]
    assert column(found["login"], "people_id")["personal"] == "it refers to personal data"


def test_constraints_that_are_composite_not_valid_or_lead_outside(
    source_connection: PgConnection, profile: Profile
) -> None:
    rows(source_connection, "create schema far; create table far.place (id int primary key)")
    rows(source_connection, "create table pair (a int, b int, primary key (a, b))")
    rows(
        source_connection,
        "insert into pair values (1, 1), (1, 2); insert into far.place values (1)",
    )
    rows(source_connection, "create table child (a int, b int, place_id int)")
    rows(
        source_connection,
        "insert into child values (1, 1, 1), (1, 9, 1), (null, 1, null), (2, 2, 5)",
    )
    rows(source_connection, "alter table child add foreign key (a, b) references pair not valid")
    rows(
        source_connection,
        "alter table child add foreign key (place_id) references far.place not valid",
    )

    references = profile("child", "pair")["child"]["references"]

    assert [(r["columns"], r["to_table"], r["rows"], r["orphans"]) for r in references] == [
        (["a", "b"], "shop.pair", 3, 2),
        (["place_id"], "far.place", 3, 1),
    ]
    assert {r["evidence"] for r in references} == {"constraint, not validated"}


@pytest.mark.parametrize(
    ("mine", "target", "table", "is_key", "expected"),
    [
        ("customer_id", "customer_id", "x", False, True),
        ("billing_customer_id", "customer_id", "x", False, True),
        ("category_id", "id", "categories", False, True),
        ("companyId", "id", "companies", False, True),
        ("boxRef", "code", "boxes", False, True),
        ("id", "id", "users", False, False),
        ("quantity", "id", "users", False, False),
        ("user_profile_id", "id", "user_profiles", False, True),
        ("profile_id", "id", "user_profiles", False, False),
        ("customer_id", "customer_id", "x", True, True),
        ("customer_id", "id", "customers", True, True),
        ("billing_customer_id", "customer_id", "x", True, False),
        ("id", "id", "customers", True, False),
    ],
)
def test_names_that_tell_of_a_reference(
    mine: str, target: str, table: str, is_key: bool, expected: bool
) -> None:
    assert is_named_after(mine, target, table, is_key=is_key) is expected


# --- growth and changes -------------------------------------------------------------------------


def test_growth_by_the_column_that_tells_when_a_row_was_made(
    source_connection: PgConnection, profile: Profile
) -> None:
    """Two rows a day in January to March, three in the last 30 days; every tenth was changed later."""
    rows(
        source_connection,
        """
        create table event as
        select
            row_number() over (order by day, part)::bigint as id,
            date '1980-01-01' + (day * 7919 %% 9000) as born,
            day + time '10:00' + part * interval '1 minute' as entered,
            day + time '10:00' + part * interval '1 minute'
                + case when extract(day from day) = 10 then interval '5 days' else interval '0' end as changed,
            null::timestamptz as ended
        from (select d, date '2026-01-01' + d as day, generate_series(1, case when d >= 60 then 3 else 2 end) as part
            from generate_series(0, 89) as d) as days
        """.replace("day * 7919", "d * 7919").replace("%%", "%"),
    )
    rows(source_connection, "alter table event add primary key (id)")

    node = source_node("event", {"strategy": "incremental", "watermark": "changed"})
    growth = profile(node)["event"]["growth"]

    assert (growth["column"], growth["first_day"], growth["last_day"]) == (
        "entered",
        "2026-01-01",
        "2026-03-31",
    )
    assert growth["rows_per_day"] == round((60 * 2 + 30 * 3) / 90, 2)
    assert (growth["last_day_rows"], growth["last_7_days"], growth["last_30_days"]) == (3, 21, 90)
    assert growth["rate"] == 0.5
    assert growth["months"] == [["2026-01", 62], ["2026-02", 56], ["2026-03", 92]]
    assert (growth["touched_by"], growth["touched"]) == ("changed", 2 + 2 + 3)


def test_no_growth_where_no_column_tells(source_connection: PgConnection, profile: Profile) -> None:
    rows(
        source_connection,
        "create table person as select n as id, date '1950-01-01' + (n * 7919 %% 9973) as born "
        "from generate_series(1, 500) as n".replace("%%", "%"),
    )
    rows(source_connection, "alter table person add primary key (id)")

    assert profile("person")["person"]["growth"] is None


def test_changes_come_from_the_snapshot_in_the_warehouse(
    source_connection: PgConnection,
    profile: Profile,
    warehouse_settings: Connection,
    warehouse_connection: PgConnection,
) -> None:
    rows(
        source_connection,
        "create table person (id int primary key, city text, tier int, note text)",
    )
    rows(
        warehouse_connection,
        """
        create schema history;
        create table history.person_snapshot as
        select * from (values
            (1, 'Rome', 1, now()), (1, 'Oslo', 1, now()), (1, 'Rome', 1, now()),
            (2, 'Bern', null, now()), (2, 'Bern', 4, now()), (3, 'Kyiv', 2, now())
        ) as versions (id, city, tier, dbt_valid_from)
        """,
    )
    base = {"resource_type": "snapshot", "schema": "history", "alias": "person_snapshot"}
    snapshots = {
        "model.shop.stg": {"unique_id": "model.shop.stg", "resource_type": "model", "name": "stg", "schema": "staging",
                           "depends_on": {"nodes": ["source.shop.shop.person"]}},
        "snapshot.shop.person": base | {"unique_id": "snapshot.shop.person", "name": "person_snapshot",
            "config": {"unique_key": "id"}, "depends_on": {"nodes": ["model.shop.stg"]}},
        "snapshot.shop.gone": base | {"unique_id": "snapshot.shop.gone", "name": "gone", "alias": "gone",
            "config": {"unique_key": "id"}, "depends_on": {"nodes": ["source.shop.shop.person"]}},
    }  # fmt: skip

    seen = profile("person", warehouse=warehouse_settings, snapshots=snapshots)["person"]["changes"]

    assert seen == [{"snapshot": "person_snapshot", "keys": 3, "changed": {"city": 1, "tier": 1}}]
    unreachable = Connection("warehouse", "127.0.0.1", 1, "x", "", "x")
    assert profile("person", warehouse=unreachable, snapshots=snapshots)["person"]["changes"] == []


# --- personal data ------------------------------------------------------------------------------

SECRETS = (
    "zq-secret",
    "Zqsecret",
    "zq@secret",
    "555 0199",
    "10.99.0.1",
    "1961-02-03",
    "Hidden Lane",
)


def make_people(session: PgConnection) -> None:
    """Make a table of personal data, each column personal for another reason, each value a known secret."""
    rows(
        session,
        """
        create table person as
        select
            n as id,
            'zq-secret ' || n as nickname,
            'Zqsecret ' || n as full_name,
            'zq@secret' || n || '.example' as contact,
            '+1 ' || 200 + n || ' 555 0199' as reach,
            'Zqsecret Zqsecret' || repeat('x', n) as who,
            '10.99.0.1'::inet as origin,
            jsonb_build_object('street', 'Hidden Lane ' || n) as extra,
            date '1961-02-03' + n as birth_date,
            jsonb_build_object('street', 'Hidden Lane ' || n)::text as shipping_address,
            case n % 3 when 0 then 'write to zq@secret.example' else 'fine' end as remark,
            'open ' || n as shown_name,
            61.5 + n as weight
        from generate_series(1, 30) as n
        """,
    )
    rows(
        session,
        "create table visit as select n as id, 'zq-secret ' || n as by_whom from generate_series(1, 25) as n",
    )


def personal_nodes() -> list[dict[str, Any]]:
    """Return nodes of those tables; the YAML marks some columns."""
    marked = {
        "nickname": {"config": {"meta": {"pii": True}}},
        "weight": {"meta": {"pii": "health"}},
    }
    shown = {"shown_name": {"meta": {"pii": False}}}
    return [source_node("person", columns=marked | shown), source_node("visit")]


RULES = PiiRules(frozenset({"nickname", "weight"}), frozenset({"shown_name"}), frozenset())


def test_no_personal_value_is_in_any_output(
    source_connection: PgConnection, profile: Profile, source_settings: Connection, tmp_path: Path
) -> None:
    make_people(source_connection)

    tables = profile(*personal_nodes(), rules=RULES)

    person = tables["person"]
    reasons = {c["name"]: c["personal"] for c in person["columns"] if c["personal"]}
    assert reasons == {
        "nickname": "marked as personal in the YAML",
        "full_name": "its name is that of personal data",
        "contact": "values look like e-mail addresses",
        "reach": "values look like phone numbers",
        "who": "values look like names",
        "origin": "network addresses may be personal",
        "extra": "its JSON has keys of personal data",
        "birth_date": "its name is that of personal data",
        "shipping_address": "its name is that of personal data",
        "weight": "marked as personal in the YAML",
    }
    assert column(tables["visit"], "by_whom")["personal"] == "it refers to personal data"
    assert "open 1" in json.dumps(person)
    assert column(person, "contact")["distinct"] == 30
    assert tops(column(person, "remark"))[1] == ("write to •••", 10)
    weight = column(person, "weight")
    assert [weight[n] for n in ("min", "max", "avg", "stddev", "top", "histogram")] == [
        None
    ] * 4 + [[], []]
    made = {"tables": list(tables.values())}
    write_page(made, tmp_path / "page.html", project="x")
    outputs = [
        json.dumps(made, ensure_ascii=False),
        dictionary(made),
        (tmp_path / "page.html").read_text(),
    ]
    for text in outputs:
        assert not [secret for secret in SECRETS if secret in text]
        assert "zq" not in text.lower()


def test_xml_survives(source_connection: PgConnection, profile: Profile) -> None:
    rows(source_connection, "create table page (body xml, bodies xml[])")
    rows(source_connection, "insert into page values (null, null)")

    table = profile("page")["page"]

    assert [c["notes"] for c in table["columns"]] == [["all null"]] * 2


# --- samples ------------------------------------------------------------------------------------


def test_a_sample_is_labelled_and_stable(
    source_connection: PgConnection, profile: Profile, tmp_path: Path
) -> None:
    rows(
        source_connection,
        "create table big as select n as number, n % 10 as digit, md5(n::text) as hash, n % 2000 as other_id, "
        "'2026-01-01'::timestamptz + n * interval '1 minute' as made from generate_series(1, 100000) as n",
    )
    rows(source_connection, "create table other as select generate_series(0, 1999) as other_id")
    rows(source_connection, "create view seen as select * from big")

    first = profile("big", "other", "seen", sample=5000)
    second = profile("big", "other", "seen", sample=5000)

    big, seen = first["big"], first["seen"]
    for table in (big, seen):
        assert (table["rows"], table["is_sampled"], table["duplicate_rows"]) == (100000, True, None)
        assert 2500 < table["profiled_rows"] < 7500
        assert column(table, "number")["notes"] == ["unique in the sample"]
        assert all(not key["is_proven"] for key in table["keys"])
        (reference,) = table["references"]
        assert (reference["to_table"], reference["orphans"], reference["is_proven"]) == (
            "shop.other",
            0,
            False,
        )
        assert reference["rows"] == table["profiled_rows"]
    assert column(big, "digit")["distinct_basis"] == "sample"
    assert not first["other"]["is_sampled"]
    for table in [*first.values(), *second.values()]:
        del table["seconds"]
    assert first == second
    page = tmp_path / "page.html"
    made = {"tables": list(first.values())}
    write_page(made, page, project="x")
    assert page.read_text().count(">Sampled<") == 2
    assert f"of a sample of {big['profiled_rows']:,}" in dictionary(made)


def test_a_sample_takes_distinct_counts_and_growth_from_the_whole_table(
    source_connection: PgConnection, profile: Profile
) -> None:
    rows(
        source_connection,
        "create table big as select n as number, n % 10 as digit, "
        "'2026-01-01'::timestamptz + n * interval '1 minute' as made from generate_series(1, 100000) as n",
    )
    rows(source_connection, "analyze big")

    table = profile("big", sample=20000)["big"]

    digit, number = column(table, "digit"), column(table, "number")
    assert (digit["distinct"], digit["distinct_basis"]) == (10, "statistics")
    assert (number["distinct"], number["distinct_basis"]) == (100000, "statistics")
    growth = table["growth"]
    assert (growth["column"], growth["is_estimate"]) == ("made", True)
    assert growth["rows_per_day"] == pytest.approx(1440, rel=0.05)
    assert sum(count for _, count in growth["months"]) == pytest.approx(100000, rel=0.001)


# --- failures -----------------------------------------------------------------------------------


def test_a_table_that_cannot_be_read_stops_no_other(
    databases: Databases, source_connection: PgConnection, source_settings: Connection
) -> None:
    rows(source_connection, "create table good (id int); create table shut (id int)")
    rows(
        source_connection,
        "create view broken as select 1 / id as x from good",
    )
    rows(source_connection, "insert into good values (0)")
    rows(source_connection, "drop role if exists profile_reader")
    rows(source_connection, "create role profile_reader login password 'reader'")
    rows(source_connection, "grant select on good, broken to profile_reader")
    reader = Connection(
        "source", source_settings.host, source_settings.port, "profile_reader", "reader", source_settings.dbname
    )  # fmt: skip
    try:
        nodes = [source_node(n) for n in ("shut", "gone", "broken", "good")]
        nodes.append(source_node("typo", {"watermrak": "x"}))
        found = {p.label.removeprefix("shop."): p for p in profile_all(reader, *nodes)}
    finally:
        rows(source_connection, "drop owned by profile_reader; drop role profile_reader")

    assert {name: one.exit_code for name, one in found.items()} == {
        "shut": 2, "gone": 1, "broken": 1, "good": 0, "typo": 2,
    }  # fmt: skip
    errors = {name: one.error or "" for name, one in found.items()}
    assert "shop.shut: permission denied for table shut: grant it" in errors["shut"]
    assert "the source has no table public.gone" in errors["gone"]
    assert "division by zero" in errors["broken"]
    assert "unknown key 'watermrak'" in errors["typo"]
    assert all("\n" not in text for text in errors.values())


def test_nothing_is_written_to_the_source(
    source_connection: PgConnection, profile: Profile
) -> None:
    """A function that writes, behind a view, fails in the profile's read-only transaction."""
    rows(source_connection, "create table log (id int)")
    rows(
        source_connection,
        "create function note() returns int language plpgsql as "
        "'begin insert into log values (1); return 1; end'",
    )
    rows(source_connection, "create view sly as select note() as x")

    error = profile("sly")["sly"]["error"]

    assert "read-only" in error
    assert rows(source_connection, "select count(*) from log") == [(0,)]


def test_a_table_that_takes_too_long_or_stays_locked_is_given_up(
    source_connection: PgConnection, source_settings: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "STATEMENT_TIMEOUT_S", 2)
    monkeypatch.setattr(engine, "LOCK_TIMEOUT_S", 1)
    rows(source_connection, "create table held (id int); create table good (held_id int)")
    rows(source_connection, "create view slow as select pg_sleep(60)::text as x")
    with source_connection.cursor() as cursor:
        cursor.execute("lock table held")

        nodes = [source_node(n) for n in ("slow", "held", "good")]
        found = profile_all(source_settings, *nodes)

    source_connection.rollback()
    assert [(p.exit_code, p.error) for p in found] == [
        (1, "shop.slow: one of its statements took more than 2 s: read fewer rows with --sample"),
        (1, "shop.held: it stayed locked for 1 s: try again later"),
        (0, None),
    ]


def test_a_connection_that_breaks_keeps_what_was_found(
    source_connection: PgConnection, source_settings: Connection
) -> None:
    rows(source_connection, "create table one (id int); create table two (id int)")

    def end_session(done: TableProfile) -> None:
        rows(
            source_connection,
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where application_name = 'haven profile' and datname = current_database()",
        )

    nodes = {node["unique_id"]: node for node in map(source_node, ("one", "two", "three"))}
    manifest = {"sources": nodes, "nodes": {}}
    request = ProfileRequest(read_contract(manifest), manifest, NO_RULES, 0)
    found = profile_tables(request, source_settings, None, end_session)

    assert [(p.label, p.exit_code) for p in found] == [
        ("shop.one", 0), ("shop.two", 3), ("shop.three", 3),
    ]  # fmt: skip
    assert all("the connection" in (p.error or "") for p in found[1:])


# --- command, page and dictionary ---------------------------------------------------------------

SOURCES = """
sources:
  - name: shop
    schema: raw_shop
    config: {meta: {load: {strategy: full}}}
    tables:
      - name: person
        description: "People | of the <b>shop</b>."
        columns:
          - {name: id, description: "Who it is."}
          - {name: nickname, config: {meta: {pii: true}}}
          - {name: shown_name, config: {meta: {pii: false}}}
      - name: visit
"""


@pytest.fixture(scope="session")
def parsed_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project of its own, described by YAML alone and parsed by dbt once."""
    folder = tmp_path_factory.mktemp("shop") / "profile project"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: shop\nversion: 1.0.0\nprofile: haven\n")
    (folder / "models" / "sources.yml").write_text(SOURCES)
    (folder / "profiles.yml").write_text(PROFILES.read_text())
    assert run_dbt(["parse"], project_dir=folder, env=clean_environment()).returncode == 0
    return folder


@pytest.fixture
def shop(databases: Databases, parsed_project: Path) -> Iterator[Project]:
    """The small project with two source tables that have rows."""
    project = Project(parsed_project, databases.create("source"), databases.create("warehouse"))
    with closing(connect(project.source)) as session:
        make_people(session)
    yield project


def test_the_command_prints_blocks_json_page_and_dictionary(shop: Project, tmp_path: Path) -> None:
    dictionary_path, page = tmp_path / "docs" / "data.md", tmp_path / "pages" / "p.html"

    done = shop.haven("profile", "--dictionary", str(dictionary_path), "--html", str(page))

    assert "shop.person  30 rows" in done.out
    assert "key  id  (inferred)" in done.out
    assert f"written to {page}" in done.out
    found = shop.haven("profile", "person", "--json")
    assert [t["label"] for t in found.json["tables"]] == ["shop.person"]
    default_page = shop.path / "target" / "reports" / "profile.html"
    texts = [
        done.out,
        done.err,
        found.out,
        dictionary_path.read_text(),
        page.read_text(),
        default_page.read_text(),
    ]
    for text in texts:
        assert not [secret for secret in SECRETS if secret in text]
        assert "zq" not in text.lower()


def test_the_dictionary_is_the_same_for_the_same_data(shop: Project, tmp_path: Path) -> None:
    paths = [tmp_path / f"{at}.md" for at in range(2)]
    for path in paths:
        shop.haven("profile", "--dictionary", str(path))
        with closing(connect(shop.source)) as session:
            rows(session, "create table copy as select * from person order by id desc")
            rows(session, "drop table person; alter table copy rename to person")

    first, second = (path.read_text() for path in paths)

    assert first == second
    assert "People \\| of the &lt;b&gt;shop&lt;/b&gt;." in first
    (line,) = (
        line for line in first.splitlines() if line.startswith("| id | ") and "Who it is." in line
    )
    expected = "| id | `integer` | 0% | 30 | key (inferred) |  | Who it is. | {} |"
    assert line == expected.format("`1` to `30`")
    table_rows = [line for line in first.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table_rows} == {4, 9}
    for trace in (str(tmp_path), shop.source.host, str(shop.source.port), shop.source.dbname):
        assert trace not in first


def test_exit_codes_of_the_command(shop: Project) -> None:
    assert "did you mean person" in shop.haven("profile", "persn", expect=2).err
    with closing(connect(shop.source)) as session:
        rows(session, "drop table visit")
    done = shop.haven("profile", expect=1)
    assert "shop.person  30 rows" in done.out
    assert [line for line in done.err.splitlines() if line.startswith("error:")] == [
        "error: shop.visit: the source has no table public.visit: was it dropped or renamed? "
        "Mend or remove it in models/sources.yml"
    ]
    assert json.loads(shop.haven("profile", "--json", expect=1).out)["status"] == "failed"
    done = shop.haven("profile", expect=3, HAVEN_SOURCE_PORT="1")
    assert "cannot connect to source" in done.err
    assert "Traceback" not in done.err


def test_without_a_warehouse_the_source_is_profiled_all_the_same(shop: Project) -> None:
    done = shop.haven("profile", "visit", "--json", HAVEN_WAREHOUSE_PORT="1")
    assert done.json["tables"][0]["rows"] == 25


EVIL = """</script><img src=x onerror=alert(1)> "q" & 'r' | `c`"""


def test_the_page_in_a_browser(
    source_connection: PgConnection, profile: Profile, browser: Browser, tmp_path: Path
) -> None:
    rows(source_connection, "create table evil (id int primary key, note text, made timestamptz)")
    rows(
        source_connection,
        "insert into evil select n, %s, '2026-01-01'::timestamptz + n * interval '1 day' "
        "from generate_series(1, 70) as n",
        EVIL,
    )
    found = profile(source_node("evil", description="About " + EVIL), "gone")
    page = tmp_path / "page.html"
    write_page({"tables": list(found.values())}, page, project="shop")

    dom = browser(page)

    text = page.read_text()
    assert '<html lang="en">' in text
    assert not re.search(r"https?://|<img|<script", text)
    assert "onerror" in dom
    assert "<img" not in dom
    assert dom.count("<table") == dom.count("<caption") == 1
    assert dom.count('scope="row"') == 3
    assert len(re.findall(r"<h1", dom)) == 1
    charts = re.findall(r'<svg[^>]*role="img"[^>]*aria-label="([^"]+)"', dom)
    assert charts == [
        "Rows by month, 2026-01 to 2026-03",
        "Histogram from 2026-01-02 00:00:00+00 to 2026-03-12 00:00:00+00",
    ]
    assert dom.count("<rect") == 3 + 20
    assert "the source has no table public.gone" in dom
    assert dom.count('class="badge fail"') == 2
