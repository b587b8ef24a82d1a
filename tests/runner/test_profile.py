"""Profiles of real raw tables by real dbt: every number exact, every type survives, no personal value gets out."""

from __future__ import annotations

import json
import re
import shutil
import statistics
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import ROOT, Browser, Databases, Done, Project, clean_environment, rows
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection
from test_personal_data import HARMLESS, PERSONAL

from runner.connect import connect
from runner.dbt import run_dbt
from runner.report.data_dictionary import references_of

LOADED = "now() as _loaded_at, 1::bigint as _load_id, null::timestamptz as _deleted_at"
EVIL = """</script><img src=x onerror=alert(1)> "q" & 'r' | `c`"""
NUMBERS = [3, 1, 2, 4, 5, 6, 7, 8, -9, 100, 5]
SIZES = (1, 2, 3, 4, 7, 10, 101)
STRANGE = [
    "CamelCase", "select", "with space", 'quo"te', "per%cent", "%(name)s", "{brace}", "ünïcödé_列",
    "x" * 63, "value", "cells", "loaded", "back\\slash", "new\nline", "<b>&", "a|b", "apos'trophe",
]  # fmt: skip
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
    "xid8": "'4'", "tid": "'(0,1)'", "xml": "null",
}  # fmt: skip

# What raw holds: the SQL of each table, to which the loader's own columns are added.
TABLES = {
    "reading": "select n::int as id, v::numeric(12, 2) as amount "
    f"from unnest(array{NUMBERS} || array[null, null]::int[]) with ordinality as u (v, n)",
    **{
        f"size_{size}": f"select ((n::bigint * 7919) % 53 - 20) as amount from generate_series(0, {size - 1}) as n"
        for size in SIZES
    },
    "vote": "select unnest('{1,1,1,5,5,3}'::int[]) as stars",
    "odd": "select unnest('{1,3,NaN,Infinity,-Infinity}'::float8[]) as f, "
    "unnest('{1,3,NaN,Infinity,-Infinity}'::numeric[]) as n, "
    "unnest('{2026-01-01,2026-01-03,infinity,-infinity,2026-01-02}'::date[]) as d, "
    "unnest(array['4713-01-01 BC', '294276-12-31', 'infinity', null, null]::timestamptz[]) as t, "
    "unnest('{1e308,-1e308,1e308,5e-324,NaN}'::float8[]) as big, "
    "unnest('{1e-300,5e-324,-5e-324,null,null}'::float8[]) as tiny, "
    "unnest('{infinity,1 day,-infinity,1 mon,null}'::interval[]) as i, "
    "unnest(array['294276-12-31 23:59:59.999999', null, null, null, null]::timestamp[]) as last, "
    "unnest(array['5874897-12-31', '4713-01-01 BC', null, null, null]::date[]) as far",
    "huge": "select n * (repeat('9', 131072))::numeric as n, 7 as small from unnest('{-1,1}'::int[]) as n",
    "state": r"select unnest(array['ca','CA',' ca','ny ','','  ',E'\t','tx','tx',null]::text[]) as code",
    "thing": "select n as ident, 'x' as same, case when n > 2 then 'y' end as some, null::text as none "
    "from generate_series(1, 6) as n",
    "doc": "select string_agg(md5((n % 3 * m)::text), '') as body, "
    "decode(string_agg(md5((n % 3 * m)::text), ''), 'hex') as bytes "
    "from generate_series(1, 4) as n, generate_series(1, 3000) as m group by n",
    "zoo": "select {} from generate_series(1, 3) as n".format(
        ", ".join(f"case when n < 3 then {value}::{name} end as c{at}" for at, (name, value) in enumerate(ZOO.items()))
    ),
    "wide": "select {} from generate_series(1, 3)".format(", ".join(f"{n}::smallint as c{n}" for n in range(400))),
    "empty": "select null::int as a, null::text as b, null::json as c, null::timestamptz as d where false",
    "evil": "select n as id, '{}' as note, '2026-01-01'::timestamptz + n * interval '1 day' as made "
    "from generate_series(1, 70) as n".format(EVIL.replace("'", "''")),
    "names": "select {} from generate_series(1, 2)".format(
        ", ".join(f'true as "{name}"' for name in (*PERSONAL, *HARMLESS))
    ),
}

SECRETS = ("zq-secret", "Zqsecret", "zq@secret", "555 0199", "10.99.0.1", "1961-02-03", "Hidden Lane", "DE89")
PEOPLE = {
    "person": """
        select
            n as id,
            'zq-secret ' || n as nickname,
            'Zqsecret ' || n as full_name,
            'zq@secret' || n || '.example' as contact,
            '+1 ' || 200 + n || ' 555 0199' as reach,
            'Zqsecret Zqsecret' || repeat('x', n) as who,
            '10.99.0.1'::inet as origin,
            'DE89 3704 0044 0532 0130 ' || 10 + n as paid_from,
            jsonb_build_object('homeAddress', 'Hidden Lane ' || n) as extra,
            jsonb_build_object('kind', 'Open Lane ' || n) as more,
            date '1961-02-03' + n as birth_date,
            jsonb_build_object('street', 'Hidden Lane ' || n)::text as shipping_address,
            case n % 3 when 0 then 'write to zq@secret.example' else 'fine' end as remark,
            array['zq@secret.example'] as writes_to,
            'open ' || n as shown_name,
            61.5 + n as weight
        from generate_series(1, 30) as n
        """,
    "visit": "select n as id, 'zq-secret ' || n as by_whom, md5(n::text)::uuid as token "
    "from generate_series(1, 25) as n",
}
MARKS: dict[str, Any] = {
    "id": {"description": "Who it is."},
    "nickname": {"config": {"meta": {"pii": True}}},
    "shown_name": {"config": {"meta": {"pii": False}}},
    "weight": {"config": {"meta": {"pii": "health"}}},
}


def make_project(folder: Path, tables: list[str]) -> Path:
    """Make a small project with the real one's profiles in the new folder, parsed by dbt once."""
    for place in ("macros/profiles", "macros/schemas", "models/quality/profiles", "analyses/profiles"):
        shutil.copytree(ROOT / place, folder / place)
    for place in (
        "macros/privacy/personal_data.sql", "seeds/reference/personal_data.csv", "profiles.yml",
        "tests/reconciliation/profiles_are_steady.sql",
    ):  # fmt: skip
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / place, folder / place)
    settings = {
        "name": "shop",
        "profile": "haven",
        "models": {"shop": {"quality": {"+schema": "quality"}}},
        "seeds": {"+schema": "reference"},
    }
    (folder / "dbt_project.yml").write_text(json.dumps(settings))
    described = {"person": "People | of the <b>shop</b>.", "evil": "About " + EVIL}
    source = {
        "name": "shop",
        "schema": "raw_shop",
        "config": {"meta": {"load": {"strategy": "full"}}},
        "tables": [
            {"name": name, "description": described.get(name, "")}
            | ({"columns": [{"name": c} | mark for c, mark in MARKS.items()]} if name == "person" else {})
            for name in [*tables, "unloaded"]
        ],
    }
    (folder / "models" / "sources.yml").write_text(json.dumps({"sources": [source]}))
    if "person" in tables:
        weight = {"name": "weight", "description": "How heavy, as staging says."}
        model = {"name": "stg_person", "columns": [weight]}
        (folder / "models" / "stg_person.yml").write_text(json.dumps({"models": [model]}))
        (folder / "models" / "stg_person.sql").write_text(
            "{{ config(materialized='ephemeral') }} select * from {{ source('shop', 'person') }}"
        )
    (folder / "analyses" / "names.sql").write_text(NAMES_SQL)
    assert run_dbt(["parse"], project_dir=folder, env=clean_environment()).returncode == 0
    return folder


@dataclass
class Shop:
    """The small project, a session in its warehouse, and what one profile of all its tables printed and wrote."""

    project: Project
    session: PgConnection
    done: Done
    page: Path
    dictionary: Path

    def table(self, name: str) -> dict[str, Any]:
        """Return a table of the JSON, its columns by name."""
        (found,) = (t for t in self.done.json["tables"] if t["label"] == f"shop.{name}")
        assert found["error"] is None
        return dict(found) | {"columns": {c["name"]: c for c in found["columns"]}}

    def column(self, table: str, name: str) -> dict[str, Any]:
        """Return one column."""
        return dict(self.table(table)["columns"][name])


@pytest.fixture(scope="module")
def shop(cluster_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A project whose raw tables are all there, profiled once."""
    made = Databases(cluster_home)
    folder = tmp_path_factory.mktemp("shop")
    tables = TABLES | PEOPLE | dict.fromkeys(STRANGE, "")
    path = make_project(folder / "profile project", list(tables))
    project = Project(path, made.create("source"), made.create("warehouse"))
    with closing(connect(project.warehouse)) as session:
        for statement in (
            "create type mood as enum ('sad', 'ok')", "create type pair as (n int, j json)",
            "create domain positive as int check (value > 0)", "create domain inner_code as text",
            "create domain address as inner_code", "create schema raw_shop",
        ):  # fmt: skip
            rows(session, statement)
        for name, query in (TABLES | PEOPLE).items():
            statement = f"create table raw_shop.{name} as select made.*, {LOADED} from ({query}) as made"
            rows(session, statement)
        for name in STRANGE:
            table, column = sql.Identifier("raw_shop", name), sql.Identifier(name)
            statement = sql.SQL("create table {} as select n % 7 as {}, {} from generate_series(1, 9) as n")
            rows(session, statement.format(table, column, sql.SQL(LOADED)))
        rows(session, "alter table raw_shop.reading add primary key (id)")
        rows(session, "insert into raw_shop.vote select 9, now(), 1, now()")  # deleted in the source
        page, dictionary = folder / "pages" / "p.html", folder / "docs" / "data.md"
        done = project.haven(
            "profile", *tables, "--json", "--html", str(page), "--dictionary", str(dictionary), HAVEN_SOURCE_PORT="1"
        )
        yield Shop(project, session, done, page, dictionary)
    made.drop_all()


def tops(found: dict[str, Any]) -> list[tuple[str, int]]:
    """Return a column's frequent values and their rows."""
    return [(top["value"], top["rows"]) for top in found["top"]]


# --- values -------------------------------------------------------------------------------------


def test_the_json_is_as_its_schema_says(shop: Shop) -> None:
    """And it was made although the source cannot be reached: a profile reads raw."""
    schema = json.loads((ROOT / "runner" / "report" / "profile.schema.json").read_text())
    jsonschema.validate(shop.done.json, schema)
    assert shop.done.json["status"] == "ok"
    assert len(shop.done.json["tables"]) == len(TABLES) + len(PEOPLE) + len(STRANGE)


def test_numbers_are_measured_exactly(shop: Shop) -> None:
    table, found = shop.table("reading"), shop.column("reading", "amount")

    assert (table["row_count"], table["duplicate_row_count"], table["is_sampled"]) == (13, 0, False)
    assert table["size_bytes"] > 0
    assert (found["null_count"], found["null_share"], found["distinct_count"]) == (2, pytest.approx(2 / 13), 10)
    assert (found["distinct_basis"], found["duplicate_count"]) == ("exact", 1)
    assert found["key_share"] == pytest.approx(10 / 13)
    assert (found["min"], found["max"]) == ("-9.00", "100.00")
    assert found["mean"] == pytest.approx(statistics.mean(NUMBERS), rel=1e-9)
    assert found["standard_deviation"] == pytest.approx(statistics.stdev(NUMBERS), rel=1e-9)
    assert tops(found)[:2] == [("5.00", 2), ("-9.00", 1)]
    q1, median, q3 = statistics.quantiles(NUMBERS, n=4, method="inclusive")
    assert [float(found[n]) for n in ("first_quartile", "median", "third_quartile")] == [q1, median, q3]
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    assert found["outlier_count"] == sum(not low <= v <= high for v in NUMBERS) == 2
    assert set(found["notes"]) == {"1 negative", "2 outliers"}
    assert sum(found["histogram"]) == len(NUMBERS)
    ident = shop.column("reading", "id")
    assert (ident["is_key"], ident["key_share"], ident["notes"]) == (True, 1, ["unique"])


@pytest.mark.parametrize("size", SIZES)
def test_quartiles_of_any_number_of_rows(shop: Shop, size: int) -> None:
    values = [(n * 7919) % 53 - 20 for n in range(size)]
    found = shop.column(f"size_{size}", "amount")

    expected = statistics.quantiles(values, n=4, method="inclusive") if size > 1 else values * 3
    assert [float(found[n]) for n in ("first_quartile", "median", "third_quartile")] == expected


def test_deleted_rows_are_left_out_and_small_ranges_have_a_bar_for_each_number(shop: Shop) -> None:
    found = shop.column("vote", "stars")

    assert (found["min"], found["max"], found["histogram"]) == ("1", "5", [3, 0, 1, 0, 2])
    assert shop.table("vote")["row_count"] == 6


def test_not_finite_values_are_counted_and_left_out(shop: Shop) -> None:
    for name in ("f", "n"):
        found = shop.column("odd", name)
        assert (found["min"], found["max"], found["mean"]) == ("1", "3", 2)
        assert found["standard_deviation"] == pytest.approx(2**0.5)
        assert found["notes"] == ["unique", "3 not finite"]
    found = shop.column("odd", "d")
    assert (found["min"], found["max"], found["median"]) == ("2026-01-01", "2026-01-03", "2026-01-02")
    assert "2 not finite" in found["notes"]
    found = shop.column("odd", "t")
    assert (found["min"], found["max"]) == ("4713-01-01 00:00:00+00 BC", "294276-12-31 00:00:00+00")
    assert shop.column("odd", "big")["mean"] == pytest.approx(2.5e307)
    assert shop.column("odd", "tiny")["max"] == "1e-300"
    found = shop.column("odd", "i")
    assert (found["min"], found["max"]) == ("1 day", "1 mon")
    assert shop.column("odd", "last")["max"] == "294276-12-31 23:59:59.999999"
    assert shop.column("odd", "last")["median"].startswith("294276-12-31 23:59:5")
    assert shop.column("odd", "far")["max"] == "5874897-12-31"


def test_numbers_beyond_the_range_of_a_mean_cost_the_mean_only(shop: Shop) -> None:
    found = shop.column("huge", "n")

    assert (found["distinct_count"], found["mean"]) == (2, None)
    assert found["notes"] == ["unique", "1 negative", "too large for a mean"]
    assert found["max"] == "9" * 131072
    assert (found["median"], found["histogram"]) == (None, [])
    assert shop.column("huge", "small")["notes"] == ["constant"]


def test_text_is_measured(shop: Shop) -> None:
    found = shop.column("state", "code")

    assert (found["shortest_length"], found["longest_length"]) == (0, 3)
    assert (found["null_count"], found["distinct_count"], tops(found)[0]) == (1, 8, ("tx", 2))
    assert found["notes"] == ["3 blank", "4 untrimmed", "mixed case: values differ by case only"]
    assert (found["min"], found["first_quartile"], found["median"], found["third_quartile"]) == (None,) * 4


def test_patterns_are_noted(shop: Shop) -> None:
    notes = {name: c["notes"] for name, c in shop.table("thing")["columns"].items()}

    assert notes == {
        "ident": ["unique"], "same": ["constant"], "some": ["constant but for nulls"], "none": ["all null"],
    }  # fmt: skip


def test_large_documents_are_told_apart_but_not_shown(shop: Shop) -> None:
    body = shop.column("doc", "body")

    assert (body["distinct_count"], body["top"], body["longest_length"]) == (3, [], 96000)
    assert (shop.column("doc", "bytes")["distinct_count"], shop.column("doc", "bytes")["top"]) == (3, [])
    assert shop.table("doc")["duplicate_row_count"] == 1


def test_every_type_survives(shop: Shop) -> None:
    table = shop.table("zoo")

    assert (table["row_count"], table["duplicate_row_count"], len(table["columns"])) == (3, 1, len(ZOO))
    for at, type_ in enumerate(ZOO):
        found = table["columns"][f"c{at}"]
        empty = type_ == "xml"
        assert (found["null_count"], found["distinct_count"]) == ((3, 0) if empty else (1, 1)), type_
        assert empty or found["personal"] or tops(found)[0][1] == 2, type_
    by_type = dict(zip(ZOO, table["columns"].values(), strict=True))
    assert tops(by_type["json"]) == [('{"a": 1}', 2)]
    assert tops(by_type["bytea"]) == [("\\xdeadbeef", 2)]
    assert (tops(by_type["positive"]), by_type["positive"]["kind"]) == ([("7", 2)], "number")
    assert by_type["address"]["kind"] == "text"
    assert by_type["money"]["mean"] == -12.34
    assert by_type["interval"]["min"] == "1 mon -1 days"
    assert by_type["inet"]["personal"] == "network addresses may be personal"


@pytest.mark.parametrize("name", STRANGE)
def test_any_name_of_table_and_column(shop: Shop, name: str) -> None:
    assert shop.column(name, name)["distinct_count"] == 7


def test_tables_without_rows_and_with_many_columns(shop: Shop) -> None:
    empty, wide = shop.table("empty"), shop.table("wide")

    assert (empty["row_count"], empty["duplicate_row_count"]) == (0, 0)
    assert [c["null_share"] for c in empty["columns"].values()] == [None] * 4
    assert (len(wide["columns"]), wide["columns"]["c399"]["max"], wide["duplicate_row_count"]) == (400, "399", 2)


# --- personal data ------------------------------------------------------------------------------


def test_no_personal_value_is_in_any_output(shop: Shop) -> None:
    columns = shop.table("person")["columns"]

    looks = "values look like personal data: "
    assert {name: c["personal"] for name, c in columns.items() if c["personal"]} == {
        "nickname": "marked as personal in the YAML",
        "full_name": "its name is that of personal data",
        "contact": looks + "email",
        "reach": looks + "phone",
        "who": looks + "name",
        "origin": "network addresses may be personal",
        "paid_from": looks + "bank",
        "extra": "its JSON has keys of personal data",
        "birth_date": "its name is that of personal data",
        "shipping_address": "its name is that of personal data",
        "writes_to": looks + "email",
        "weight": "marked as personal in the YAML",
    }
    assert shop.column("visit", "by_whom")["personal"] == "its values are those of a personal column"
    assert shop.column("visit", "token")["personal"] is None
    assert "open 1" in json.dumps(columns)
    assert columns["contact"]["distinct_count"] == 30
    assert tops(columns["remark"])[1] == ("write to •••", 10)
    hidden = ("min", "max", "mean", "standard_deviation", "median", "top", "histogram")
    assert [columns["weight"][n] for n in hidden] == [None] * 5 + [[], []]
    shown = shop.project.haven("profile", "person", "visit")
    kept = rows(shop.session, "select to_jsonb(p)::text from quality.column_profiles as p where raw_table = 'person'")
    texts = [shop.done.out, shown.out, shown.err, shop.page.read_text(), shop.dictionary.read_text(), str(kept)]
    texts += [path.read_text() for path in (shop.project.path / "target").rglob("*.sql")]
    for text in texts:
        assert not [secret for secret in SECRETS if secret in text]
        assert "zq" not in text.lower()


def test_the_names_that_are_personal_for_everyone_are_for_profiles(shop: Shop) -> None:
    for name, column in shop.table("names")["columns"].items():
        assert (column["personal"] is not None) == (name in PERSONAL), name
        assert bool(column["top"]) == (name in HARMLESS), name


# --- command, page and dictionary ---------------------------------------------------------------


def test_the_command_prints_blocks_and_writes_the_page(shop: Shop) -> None:
    done = shop.project.haven("profile", "reading", "shop.visit")

    page = shop.project.path / "target" / "reports" / "profile.html"
    assert "shop.reading  13 rows" in done.out
    assert "  key  id\n" in done.out
    assert re.search(
        r"amount +numeric\(12,2\) +15.38% +10 +-9.00 +100.00 +12 +5.00 \(2\), .* 1 negative, 2 outliers", done.out
    )
    assert f"written to {page}" in done.out
    assert "Profile of shop" in page.read_text()


def test_a_profile_is_kept_each_day_and_what_moved_is_told(shop: Shop) -> None:
    """An ordinary build adds no profile, and warns of what moved."""
    project, session = shop.project, shop.session
    rows(session, "create table raw_shop.unloaded as select n as id, 'x' || n as code, " + LOADED +
                  " from generate_series(1, 20) as n")  # fmt: skip
    assert project.haven("profile", "unloaded", "--json").json["tables"][0]["previous_profiled_on"] is None
    rows(session, "update quality.column_profiles set profiled_on = profiled_on - 1, profile_id = 'old' || profile_id, "
                  "profiled_at = profiled_at - interval '1 day' where raw_table = 'unloaded'")  # fmt: skip
    rows(session, "update raw_shop.unloaded set code = case when id % 2 = 0 then 'x1' end where id > 10")
    rows(session, "delete from raw_shop.unloaded where id = 20")

    done = project.haven("profile", "unloaded")
    before = rows(session, "select count(*) from quality.column_profiles")
    built = project.dbt("build", "--full-refresh")
    rows(session, "drop table raw_shop.unloaded")

    assert re.search(r"shop.unloaded  19 rows \(-1 since [0-9-]{10}\)", done.out)
    assert re.search(r"id +integer .* unique *\n", done.out)
    assert "share of nulls 0.0% -> 26.3%, is not unique any more" in " ".join(done.out.split())
    assert rows(session, "select count(*) from quality.column_profiles") == before
    assert "WARN 1 profiles_are_steady" in built.out


def test_the_dictionary_is_the_same_for_the_same_data(shop: Shop, tmp_path: Path) -> None:
    first = shop.dictionary.read_text()
    path = tmp_path / "again.md"
    rows(shop.session, "create table raw_shop.copy as select * from raw_shop.person order by id desc")
    rows(shop.session, "drop table raw_shop.person; alter table raw_shop.copy rename to person")
    shop.project.haven("profile", "person", "--dictionary", str(path))

    section = path.read_text().split("## ")[1]
    assert section.rstrip() in first
    assert "People \\| of the &lt;b&gt;shop&lt;/b&gt;." in first
    assert "| id | `integer` | 0% | 30 | unique |  | Who it is. | `1` to `30` |" in first.splitlines()
    assert "How heavy, as staging says." in first
    table_rows = [line for line in first.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table_rows} == {4, 9}
    for trace in (str(tmp_path.parent), shop.project.warehouse.host, shop.project.warehouse.dbname):
        assert trace not in first


def test_exit_codes_of_the_command(shop: Shop) -> None:
    project = shop.project
    assert "did you mean person" in project.haven("profile", "persn", expect=2).err
    done = project.haven("profile", "visit", "unloaded", "--json", expect=1)
    assert done.json["status"] == "failed"
    assert [t["error"] is None for t in done.json["tables"]] == [True, False]
    assert [line for line in done.err.splitlines() if line.startswith("error:")] == [
        "error: shop.unloaded: the warehouse has no raw_shop.unloaded with columns: run `haven load shop.unloaded`"
    ]
    done = project.haven("profile", "visit", expect=3, HAVEN_WAREHOUSE_PORT="1")
    assert "cannot connect to warehouse" in done.err
    assert "Traceback" not in done.err


def test_a_table_that_may_not_be_read_is_named_and_keeps_the_old_profile(shop: Shop) -> None:
    rows(shop.session, "create view raw_shop.unloaded as select 1 / (id - 1) as x from raw_shop.visit")

    done = shop.project.haven("profile", "unloaded", expect=1)
    rows(shop.session, "drop view raw_shop.unloaded")

    assert "dbt could not profile" in done.err
    assert "division by zero" in done.err
    assert rows(shop.session, "select count(*) > 0 from quality.column_profiles") == [(True,)]


def test_the_page_in_a_browser(shop: Shop, browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    shop.project.haven("profile", "evil", "unloaded", "--html", str(page), expect=1)

    dom, text = browser(page), page.read_text()

    assert '<html lang="en">' in text
    assert not re.search(r"https?://|<img|<script", text)
    assert "onerror" in dom
    assert "<img" not in dom
    assert dom.count("<table") == dom.count("<caption") == 1
    assert dom.count('scope="row"') == 3
    assert len(re.findall(r"<h1", dom)) == 1
    charts = re.findall(r'<svg[^>]*role="img"[^>]*aria-label="([^"]+)"', dom)
    assert charts == ["Histogram from 1 to 70", "Histogram from 2026-01-02 00:00:00+00 to 2026-03-12 00:00:00+00"]
    assert dom.count("<rect") == 20 + 20
    assert "the warehouse has no raw_shop.unloaded" in dom
    assert dom.count('class="badge fail"') == 2


# --- samples, keys and references ---------------------------------------------------------------

NAMES = [
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
]
NAMES_SQL = "select array[{}]".format(
    ", ".join(f"{{{{ is_named_after('{a}', '{b}', '{c}', {d}) }}}}" for a, b, c, d, _ in NAMES)
)
RELATED = {
    "people": "select n as id, md5(n::text)::uuid as login, n % 4 as tier from generate_series(1, 100) as n",
    "deals": """
        select n::bigint as deal_id, n % 100 + 1 as owner_people_id, nullif(n % 100 + 1, 7) as people_id,
            case when n <= 20 then 1000 + n else n % 100 + 1 end as "peopleRef", 1000 + n as people_bad,
            md5((n % 50 + 1)::text)::uuid as account, n % 4 as tier, n % 5 + 1 as kind_id,
            chr(97 + n % 4) as tier_name
        from generate_series(1, 1000) as n""",
    "kinds": "select generate_series(1, 5)::bigint as kind_id",
    "pairs": "select n / 4 as a, n % 4 as b, n % 2 as c from generate_series(0, 15) as n",
    "twice": "select n / 4 as a, n % 3 as b from generate_series(0, 15) as n",
    "plain": """
        select n as number, 'code ' || n as code, n::float8 as f, now() + n * interval '1 s' as moment,
            case when n > 1 then n end as holed, n % 3 as few
        from generate_series(1, 9) as n""",
    "big": "select n as number, n % 10 as digit, md5(n::text) as hash from generate_series(1, 100000) as n",
    "small": "select n as number from generate_series(1, 100) as n",
}


@pytest.fixture(scope="module")
def related(cluster_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Another project with tables that refer to each other, and one that is sampled."""
    made = Databases(cluster_home)
    path = make_project(tmp_path_factory.mktemp("related") / "project", list(RELATED))
    project = Project(path, made.create("source"), made.create("warehouse"))
    with closing(connect(project.warehouse)) as session:
        rows(session, "create schema raw_shop")
        for name, query in RELATED.items():
            statement = f"create table raw_shop.{name} as select made.*, {LOADED} from ({query}) as made"
            rows(session, statement)
        rows(session, "alter table raw_shop.people add primary key (id)")
        rows(session, "alter table raw_shop.deals add primary key (deal_id)")
        page, dictionary = path / "page.html", path / "data.md"
        done = project.haven(
            "profile", *RELATED, "--json", "--sample", "5000", "--html", str(page), "--dictionary", str(dictionary)
        )
        yield Shop(project, session, done, page, dictionary)
    made.drop_all()


def test_a_sample_is_labelled_and_stable(related: Shop) -> None:
    big = related.table("big")
    again = related.project.haven("profile", "big", "small", "--json", "--sample", "5000").json["tables"]
    shown = related.project.haven("profile", "big", "--sample", "5000")

    assert (big["row_count"], big["is_sampled"], big["duplicate_row_count"]) == (100000, True, None)
    assert 2500 < big["profiled_row_count"] < 7500
    assert big["columns"]["number"]["notes"] == ["unique in the sample"]
    assert big["columns"]["digit"]["distinct_basis"] == "sample"
    assert list(big["columns"].values()) == again[0]["columns"]
    assert not again[1]["is_sampled"]
    assert f"SAMPLED: all below is of {big['profiled_row_count']:,} rows" in shown.out
    assert related.page.read_text().count(">Sampled<") == 1
    assert f"of a sample of {big['profiled_row_count']:,}" in related.dictionary.read_text()
    rows(related.session, "analyze raw_shop.big")
    (table,) = related.project.haven("profile", "big", "--json", "--sample", "5000").json["tables"]
    by_name = {c["name"]: (c["distinct_count"], c["distinct_basis"]) for c in table["columns"]}
    assert (by_name["digit"], by_name["number"]) == ((10, "statistics"), (100000, "statistics"))


def test_keys_references_and_dependencies_are_queries(related: Shop) -> None:
    """The analyses, compiled by dbt once, find what is planted and nothing else."""
    related.project.dbt("compile", "--quiet")
    folder = related.project.path / "target" / "compiled" / "shop" / "analyses"

    def found(name: str) -> list[tuple[Any, ...]]:
        return rows(related.session, (folder / f"{name}.sql").read_text())

    assert found("names") == [([expected for *_, expected in NAMES],)]
    keys = found("profiles/candidate_keys")
    assert keys == [
        ("shop.big", ["hash"], False, False), ("shop.big", ["number"], False, False),
        ("shop.deals", ["deal_id"], True, True), ("shop.deals", ["people_bad"], False, True),
        ("shop.kinds", ["kind_id"], False, True), ("shop.pairs", ["a", "b"], False, True),
        ("shop.people", ["id"], True, True), ("shop.people", ["login"], False, True),
        ("shop.plain", ["code"], False, True), ("shop.plain", ["number"], False, True),
        ("shop.small", ["number"], False, True),
    ]  # fmt: skip
    references = {row[:5]: (int(row[5]), int(row[6]), float(row[7])) for row in found("profiles/foreign_keys")}
    people, deals = "shop.people", "shop.deals"
    assert {key: value for key, value in references.items() if key[0] == deals} == {
        (deals, "owner_people_id", people, "id", "name and values"): (1000, 0, 0),
        (deals, "people_id", people, "id", "name and values"): (990, 0, 0),
        (deals, "peopleRef", people, "id", "name and values"): (1000, 20, 0.02),
        (deals, "account", people, "login", "values"): (1000, 0, 0),
    }  # all of people_bad are orphans; kind_id is an integer, kinds.kind_id a bigint; tier is no reference
    dependencies = {row[1:3] for row in found("profiles/functional_dependencies") if row[0] == deals}
    assert {("tier", "tier_name"), ("tier_name", "tier")} <= dependencies
    assert ("tier", "kind_id") not in dependencies
    assert ("kind_id", "tier") not in dependencies
    assert found("profiles/slowly_changing_columns") == []


def test_a_table_may_refer_to_itself_and_to_others() -> None:
    nodes = {
        name: {
            "attached_node": "source.shop.part",
            "depends_on": {"nodes": inputs},
            "test_metadata": {"name": "relationships", "kwargs": {"column_name": name, "field": "id"}},
        }
        for name, inputs in (
            ("parent_id", ["source.shop.part"]),
            ("kind_id", ["source.shop.kind", "source.shop.part"]),
            ("unknown_id", ["model.shop.wide", "source.shop.part"]),
        )
    }
    tables = ("part", "kind")
    sources = {f"source.shop.{name}": {"source_name": "shop", "name": name} for name in tables}

    assert references_of({"nodes": nodes, "sources": sources}) == {
        ("shop.part", "parent_id"): "shop.part.id",
        ("shop.part", "kind_id"): "shop.kind.id",
    }
