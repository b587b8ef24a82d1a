"""The contract as dbt's manifest gives it: defaults, inheritance, and every way to get it wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.contract import Contract, read_contract
from runner.errors import ConfigError


def manifest(table: Any = None, source: Any = None, name: str = "item") -> dict[str, Any]:
    """Return the part of a manifest that one source table makes."""
    node = {
        "source_name": "shop",
        "name": name,
        "identifier": f"{name}_raw",
        "schema": "raw",
        "original_file_path": "models/sources.yml",
        "source_meta": {} if source is None else {"load": source},
        "meta": {} if table is None else {"load": table},
    }
    return {"sources": {f"source.x.shop.{name}": node}}


def only(contract: Contract) -> Any:
    """Return the one table of a contract without problems."""
    assert contract.problems == ()
    (table,) = contract.tables
    return table


def test_an_empty_load_takes_the_defaults() -> None:
    table = only(read_contract(manifest(table={})))
    assert (table.strategy, table.deletes, table.lookback) == ("full", "sweep", "15 minutes")
    assert (table.source_schema, table.source_table) == ("public", "item")
    assert (table.raw_schema, table.raw_table) == ("raw", "item_raw")
    assert (table.watermark, table.primary_key, table.columns, table.exclude) == (None, (), (), ())


def test_a_load_that_was_left_blank_takes_the_defaults() -> None:
    made = manifest()
    (node,) = made["sources"].values()
    for place in ("meta", "source_meta"):
        assert only(read_contract({"sources": {"x": node | {place: {"load": None}}}})).name == "item"


def test_the_tables_keys_win_over_its_sources() -> None:
    source = {"strategy": "incremental", "watermark": "updated_at", "deletes": "ignore"}
    table = only(read_contract(manifest(table={"watermark": "seen_at"}, source=source)))
    assert (table.strategy, table.watermark, table.deletes) == ("incremental", "seen_at", "ignore")


@pytest.mark.parametrize(
    ("load", "schema", "table"),
    [
        ({"source_table": "other"}, "public", "other"),
        ({"source_table": "app.other"}, "app", "other"),
        ({"source_schema": "app", "source_table": "dotted.name"}, "app", "dotted.name"),
        ({"source_schema": "app"}, "app", "item"),
    ],
)
def test_where_the_table_is_in_the_source(load: dict[str, Any], schema: str, table: str) -> None:
    spec = only(read_contract(manifest(table=load)))
    assert (spec.source_schema, spec.source_table) == (schema, table)


@pytest.mark.parametrize(
    ("load", "message"),
    [
        ({"strategie": "full"}, "unknown key 'strategie' under load: did you mean strategy?"),
        ({"zzz": 1}, "unknown key 'zzz' under load: known are strategy"),
        ({"strategy": "sometimes"}, "unknown strategy 'sometimes': it must be one of full, incremental"),
        ({"deletes": "maybe"}, "unknown deletes 'maybe'"),
        ({"strategy": "incremental"}, "strategy incremental needs the key `watermark`"),
        ({"exclude": [1]}, "exclude must be a list of column names"),
        ([], "`load` must be a mapping"),
        ({"primary_key": ["id", "id"]}, "primary_key names a column twice: id, id"),
        ({"watermark": ["u"], "strategy": "incremental"}, "watermark must be a name, not ['u']"),
        ({"source_table": None}, "source_table must be a name, not None"),
        ({"source_schema": ""}, "source_schema must be a name, not ''"),
        ({"lookback": [1]}, "lookback must be a length, such as '15 minutes', not [1]"),
        ({"timeout": True}, "timeout must be a length, such as '2 hours', not True"),
    ],
)
def test_a_wrong_table_is_a_problem_that_names_file_table_and_key(load: Any, message: str) -> None:
    bad = manifest(table=load)
    bad["sources"] |= manifest(table={}, name="good")["sources"]
    contract = read_contract(bad)
    (problem,) = contract.problems
    assert problem.message.startswith("models/sources.yml: table shop.item: ")
    assert message in problem.message
    assert [table.name for table in contract.tables] == ["good"]


@pytest.mark.parametrize(
    ("entry", "config", "meta", "where"),
    [
        ("load: {strategy: full}", {}, {}, "`load` stands beside `name`"),
        ("laod: {strategy: full}", {}, {}, "`laod` stands beside `name`"),
        ("watermark: updated_at", {}, {}, "`watermark` stands beside `name`"),
        ("tags: []", {"load": {}}, {}, "`load` stands under `config`"),
        ("tags: []", {"loads": {"deletes": "ignore"}}, {}, "`loads` stands under `config`"),
        ("tags: []", {"strategy": "full"}, {}, "`strategy` stands under `config`"),
        ("tags: []", {}, {"watermark": "id"}, "`watermark` stands under `meta`"),
        ("tags: []", {}, {"laod": {"strategy": "full"}}, "`laod` stands under `meta`"),
    ],
)
def test_b13_what_stands_in_the_wrong_place_is_a_problem_that_says_where_it_belongs(
    tmp_path: Path, entry: str, config: dict[str, Any], meta: dict[str, Any], where: str
) -> None:
    """Also where the source's own `load` would have loaded the table, with other settings than were meant."""
    made = manifest(source={})
    (node,) = made["sources"].values()
    node["config"] = config
    node["meta"] = meta
    (tmp_path / "models").mkdir()
    text = f"sources:\n  - name: shop\n    tables:\n      - name: item\n        {entry}\n"
    (tmp_path / "models" / "sources.yml").write_text(text)
    (problem,) = read_contract(made, tmp_path).problems
    assert problem.message.startswith("models/sources.yml: table shop.item: ")
    assert where in problem.message
    assert "it belongs under `config: {meta: {load: …}}`" in problem.message


def test_b13_what_others_keep_there_is_none_of_our_business(tmp_path: Path) -> None:
    made = manifest(table={}, source={})
    (node,) = made["sources"].values()
    node["meta"] |= {"lead": "ann", "road": {"to": "x"}, "loader": "fivetran"}
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "sources.yml").write_text(
        "sources:\n  - name: shop\n    loader: x\n    tables:\n"
        "      - {name: item, loaded_at_field: at, columns: [{name: id}], loader: haven}\n"
    )
    assert only(read_contract(made, tmp_path)).name == "item"


def test_sources_without_load_are_left_alone() -> None:
    with pytest.raises(ConfigError, match="no source of this project is to be loaded"):
        read_contract(manifest())


def test_tables_are_selected_by_either_name() -> None:
    contract = read_contract(manifest(table={}))
    assert contract.select([]) == contract
    assert only(contract.select(["item"])) == only(contract.select(["shop.item"]))
    with pytest.raises(ConfigError, match=r"no table 'itme' in the sources YAML: did you mean item\?"):
        contract.select(["itme"])
    with pytest.raises(ConfigError, match="known are item"):
        contract.select(["zzzzzz"])


def sources(*tables: tuple[str, str, str, str], **quoting: bool) -> dict[str, Any]:
    """Return a manifest with these sources (name, table, schema, identifier), and a model in analytics."""
    found = {}
    for source, name, schema, identifier in tables:
        ((_, node),) = manifest(table={}, name=name)["sources"].items()
        found[f"source.x.{source}.{name}"] = node | {
            "source_name": source, "schema": schema, "identifier": identifier, "quoting": quoting,
        }  # fmt: skip
    model = {"resource_type": "model", "name": "fct_sales", "schema": "analytics"}
    return {"sources": found, "nodes": {"model.x.fct_sales": model}}


@pytest.mark.parametrize(
    ("one", "two", "quoting"),
    [
        ("item", "item", {}),
        ("item", "Item", {"identifier": False}),
        ("x" * 63 + "1", "x" * 63 + "2", {}),
        ("ä" * 31 + "é", "ä" * 31 + "ö", {}),
    ],
)
def test_l6_tables_of_one_raw_table_are_refused_naming_both_and_others_load(
    one: str, two: str, quoting: dict[str, bool]
) -> None:
    named = (("shop", "item", "raw", one), ("old", "item", "raw", two), ("old", "kind", "raw", "k"))
    contract = read_contract(sources(*named, **quoting))
    assert [table.label for table in contract.tables] == ["old.kind"]
    first, second = contract.problems
    assert (first.label, second.label) == ("shop.item", "old.item")
    assert "table shop.item: old.item is loaded into raw." in first.message
    assert "table old.item: shop.item is loaded into raw." in second.message
    assert "give one of them another `identifier`, or its source another `schema`" in first.message
    # Also where only one of them is asked for.
    assert read_contract(sources(*named, **quoting)).select(["shop.item"]).tables == ()


def test_l6_names_that_only_look_alike_are_two_tables() -> None:
    found = read_contract(sources(("shop", "item", "raw", "item"), ("old", "item", "raw", "Item")))
    assert {table.raw_table for table in found.tables} == {"item", "Item"}
    found = read_contract(sources(("shop", "item", "raw", "item"), ("old", "item", "RAW", "item")))
    assert found.problems == ()


@pytest.mark.parametrize("schema", ["ops", "analytics", "information_schema", "pg_catalog", "pg_temp"])
def test_l6_a_raw_schema_that_is_somebody_elses_is_refused(schema: str) -> None:
    contract = read_contract(sources(("shop", "item", schema, "item"), ("shop", "kind", "raw", "kind")))
    assert [table.label for table in contract.tables] == ["shop.kind"]
    assert f"its source's schema {schema} belongs to" in contract.problems[0].message
    assert "give the source a `schema` of its own, such as raw_shop" in contract.problems[0].message


@pytest.mark.parametrize("value", [20, -0.1, "20 %", True, None])
def test_l15_a_share_that_is_none_is_refused(value: Any) -> None:
    contract = read_contract(manifest(table={"max_deleted_share": value}))
    assert "max_deleted_share is" in contract.problems[0].message
    assert "a share from 0 to 1, such as 0.2" in contract.problems[0].message
