"""Reading dbt's artifacts: the parts Haven uses, and one clear line for every unusable file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.artifacts import load_freshness, load_manifest, load_run_results
from runner.errors import ConfigError

PROJECT = "shop"


def entry(unique_id: str, **values: object) -> dict[str, Any]:
    """Return a manifest entry like dbt's; the id tells type, package and name."""
    kind, package, name = unique_id.split(".")[:3]
    made: dict[str, Any] = {
        "unique_id": unique_id,
        "name": name,
        "resource_type": kind,
        "package_name": package,
        "fqn": [package, name],
        "description": "",
        "original_file_path": f"models/{name}.sql",
        "config": {"materialized": "view"},
        "columns": {},
        "depends_on": {"nodes": []},
        "schema": "analytics",
        "alias": name,
    }
    return {**made, **values}


def model(name: str, layer: str, reads: tuple[str, ...] = (), **values: object) -> dict[str, Any]:
    """Return a model's entry in a folder named after its layer."""
    fqn = [PROJECT, *layer.split("/"), name]
    reads_too = {"depends_on": {"nodes": list(reads)}, "fqn": fqn}
    return entry(f"model.{PROJECT}.{name}", **reads_too, **values)


def check(name: str, tested: str, **values: object) -> dict[str, Any]:
    """Return a stored-failures `not_null` test of a node's column `email`."""
    made = {
        "attached_node": tested,
        "column_name": "email",
        "depends_on": {"nodes": [tested]},
        "config": {"severity": "ERROR", "store_failures": True},
        "test_metadata": {"name": "not_null", "namespace": None, "kwargs": {"column_name": "email"}},
        "schema": "audit",
    }
    return entry(f"test.{PROJECT}.{name}", **{**made, **values})


def source(name: str, source_name: str = "raw", **values: object) -> dict[str, Any]:
    """Return a source table's entry."""
    made = {"name": name, "source_name": source_name, "identifier": name, "alias": None}
    return entry(f"source.{PROJECT}.{source_name}.{name}", **{**made, **values})


def write_artifacts(
    target: Path,
    entries: list[dict[str, Any]],
    statuses: dict[str, dict[str, Any]] | None = None,
    *,
    freshness: list[dict[str, Any]] | None = None,
    command: str = "build",
    disabled: list[dict[str, Any]] | None = None,
) -> Path:
    """Write hand-made artifacts; `statuses` maps unique ids to parts of a result."""
    places = {"source": "sources", "exposure": "exposures", "unit_test": "unit_tests"}
    manifest: dict[str, Any] = {
        "metadata": {"project_name": PROJECT, "dbt_version": "1.11.16", "generated_at": "2026-03-01T04:00:00Z"},
        **{kind: {} for kind in ("nodes", *places.values())},
        "disabled": {one["unique_id"]: [one] for one in disabled or []},
    }
    for one in entries:
        manifest[places.get(one["resource_type"], "nodes")][one["unique_id"]] = one
    results = [
        {"unique_id": key, "status": "pass", "execution_time": 0.25, "message": None, "failures": 0} | values
        for key, values in (statuses or {}).items()
    ]
    target.mkdir(parents=True, exist_ok=True)
    (target / "manifest.json").write_text(json.dumps(manifest))
    run = {
        "metadata": {"generated_at": "2026-03-01T04:05:06Z", "invocation_id": "run-a"},
        "args": {"which": command, "invocation_command": f"dbt {command}"},
        "elapsed_time": 12.5,
        "results": results,
    }
    (target / "run_results.json").write_text(json.dumps(run))
    if freshness is not None:
        document = {"metadata": {"generated_at": "2026-03-01T04:06:00Z"}, "results": freshness}
        (target / "sources.json").write_text(json.dumps(document))
    return target


def test_a_test_result_carries_what_the_manifest_knows(tmp_path: Path) -> None:
    people = model("people", "staging")
    test = check("people_have_email", people["unique_id"], description="Each can be written to.")
    failed = {"status": "fail", "failures": 3, "message": "Got 3 results"}
    kept = {"relation_name": '"warehouse"."audit"."people_have_email"'}
    write_artifacts(tmp_path, [people, test], {test["unique_id"]: failed | kept})

    run = load_run_results(tmp_path, load_manifest(tmp_path))

    (result,) = run.results
    assert (result.status, result.failures, result.seconds) == ("fail", 3, 0.25)
    assert result.node is not None
    assert result.node.tested_node == "model.shop.people"
    assert result.node.column_name == "email"
    assert result.node.description == "Each can be written to."
    assert result.kept_in == "audit.people_have_email"
    assert (run.command, run.elapsed_s) == ("dbt build", 12.5)


def test_a_test_that_stores_nothing_has_no_failures_table(tmp_path: Path) -> None:
    test = check("t", "model.shop.people", config={"severity": "warn"})
    write_artifacts(tmp_path, [test], {test["unique_id"]: {"status": "warn", "failures": 1}})

    (result,) = load_run_results(tmp_path, load_manifest(tmp_path)).results

    assert result.kept_in is None
    assert result.node is not None
    assert result.node.severity == "warn"


def test_a_node_unknown_to_the_manifest_keeps_its_id(tmp_path: Path) -> None:
    write_artifacts(tmp_path, [], {"operation.shop.shop-on-run-end-0": {"status": "error"}})

    (result,) = load_run_results(tmp_path, load_manifest(tmp_path)).results

    assert (result.resource_type, result.name) == ("operation", "shop-on-run-end-0")


def test_own_leaves_out_packages_and_other_types(tmp_path: Path) -> None:
    entries = [model("people", "staging"), entry("model.elementary.dbt_models"), source("people")]
    write_artifacts(tmp_path, entries)

    manifest = load_manifest(tmp_path)

    assert [node.name for node in manifest.own("model")] == ["people"]
    assert [node.name for node in manifest.own("source")] == ["raw.people"]


def test_freshness_says_age_and_limits(tmp_path: Path) -> None:
    late = {
        "unique_id": "source.shop.raw.people",
        "status": "warn",
        "max_loaded_at": "2026-02-27T00:00:00+00:00",
        "max_loaded_at_time_ago_in_s": 180000.0,
        "criteria": {"warn_after": {"count": 1, "period": "day"}, "error_after": {"count": 36, "period": "hour"}},
    }
    broken = {"unique_id": "source.shop.raw.gone", "status": "runtime error", "error": "no table"}
    write_artifacts(tmp_path, [source("people")], freshness=[late, broken])

    first, second = load_freshness(tmp_path, load_manifest(tmp_path))

    assert (first.name, first.status) == ("raw.people", "warn")
    assert first.message == ("the newest row is of 2026-02-27T00:00:00+00:00 (warn after 1 day, error after 36 hours)")
    assert (second.name, second.status, second.message) == ("raw.gone", "runtime error", "no table")


def test_without_a_freshness_run_there_is_none(tmp_path: Path) -> None:
    write_artifacts(tmp_path, [])

    assert load_freshness(tmp_path, load_manifest(tmp_path)) == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "is missing"),
        ("{half", "cannot be read"),
        ("\udcff", "cannot be read"),
        ("[]", "is not a dbt artifact"),
        ("{}", "is not what dbt 1.11 writes"),
    ],
)
@pytest.mark.parametrize("name", ["manifest.json", "run_results.json", "sources.json"])
def test_an_unusable_artifact_is_one_clear_line(tmp_path: Path, name: str, text: str | None, reason: str) -> None:
    write_artifacts(tmp_path, [], freshness=[])
    manifest = load_manifest(tmp_path)
    path = tmp_path / name
    path.unlink()
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))

    def load() -> None:
        if name == "manifest.json":
            load_manifest(tmp_path)
        elif name == "run_results.json":
            load_run_results(tmp_path, manifest)
        else:
            load_freshness(tmp_path, manifest)

    if name == "sources.json" and text is None:
        load()  # freshness is optional
        return
    with pytest.raises(ConfigError) as raised:
        load()
    assert reason in str(raised.value)
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("command", ["compile", "generate"])
def test_results_of_a_command_that_tests_nothing_are_refused(tmp_path: Path, command: str) -> None:
    write_artifacts(tmp_path, [], command=command)

    with pytest.raises(ConfigError, match=f"`dbt {command}`, which tests nothing"):
        load_run_results(tmp_path, load_manifest(tmp_path))
