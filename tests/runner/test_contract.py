"""The contract as dbt's manifest gives it: defaults, inheritance, and every way to get it wrong."""

from __future__ import annotations

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
        (
            {"strategy": "sometimes"},
            "unknown strategy 'sometimes': it must be one of full, incremental",
        ),
        ({"deletes": "maybe"}, "unknown deletes 'maybe'"),
        ({"strategy": "incremental"}, "strategy incremental needs the key `watermark`"),
        ({"exclude": [1]}, "exclude must be a list of column names"),
        ([], "`load` must be a mapping"),
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


def test_sources_without_load_are_left_alone() -> None:
    with pytest.raises(ConfigError, match="no source of this project is to be loaded"):
        read_contract(manifest())


def test_tables_are_selected_by_either_name() -> None:
    contract = read_contract(manifest(table={}))
    assert contract.select([]) == contract
    assert only(contract.select(["item"])) == only(contract.select(["shop.item"]))
    with pytest.raises(
        ConfigError, match=r"no table 'itme' in the sources YAML: did you mean item\?"
    ):
        contract.select(["itme"])
    with pytest.raises(ConfigError, match="known are item"):
        contract.select(["zzzzzz"])
