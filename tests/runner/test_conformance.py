"""The offline subset of the dbt packages gives the same results as the real packages.

One small dbt project (conformance/) is built with the subset, and with the real packages when the
package cache holds them. Each case carries the result that is expected of both; on top of that the
two builds are compared with each other: failing rows, columns, types, signatures.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, Databases, clean_environment, rows
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection

from runner.connect import connect
from runner.dbt import run_dbt
from runner.packages import ensure_packages
from runner.packages.places import default_cache_dir
from runner.packages.project import package_requests, pin, read_yaml
from runner.settings import Connection

CASES = Path(__file__).parent / "conformance"
SUBSET = ROOT / "offline_packages"
# A port that refuses connections: these builds take the real packages from the cache only.
NO_HUB = "http://127.0.0.1:9/"
STAND_INS = sorted(SUBSET.glob("elementary/macros/tests/*.sql"))


@dataclass(frozen=True)
class Relation:
    """A table in the warehouse: `column type` pairs, and rows as PostgreSQL prints them, sorted."""

    columns: str
    rows: list[str]


@dataclass(frozen=True)
class Build:
    """What `dbt build` of the cases left: artifacts, and the database with the tables."""

    nodes: dict[str, dict[str, Any]]
    results: dict[str, dict[str, Any]]
    macros: dict[str, dict[str, Any]]
    disabled: set[str]
    log: str
    warehouse: Connection

    def relations(self, names: list[str]) -> dict[str, Relation]:
        """Return the tables of models, or the stored failures of tests."""
        session = connect(self.warehouse)
        try:
            return {name: self._relation(session, self.nodes[name]) for name in names}
        finally:
            session.close()

    @staticmethod
    def _relation(session: PgConnection, node: dict[str, Any]) -> Relation:
        schema, table = node["schema"], node["alias"]
        columns = rows(
            session,
            "select string_agg(column_name || ' ' || data_type, ', ' order by ordinal_position)"
            " from information_schema.columns where table_schema = %s and table_name = %s",
            schema,
            table,
        )
        query = sql.SQL("select t::text from {} as t").format(sql.Identifier(schema, table))
        return Relation(columns[0][0], sorted(row[0] for row in rows(session, query)))

    def of_kind(self, kind: str, folder: str) -> list[str]:
        """Return the names of the nodes of one kind that are defined below a folder of models/."""
        return sorted(
            name
            for name, node in self.nodes.items()
            if node["resource_type"] == kind
            and node["original_file_path"].startswith(f"models/{folder}/")
            and name in self.results
        )


def build_cases(folder: Path, warehouse: Connection, *, offline: bool) -> Build | None:
    """Copy the cases to a folder, install one variant and build; None without real packages."""
    shutil.copytree(CASES / "models", folder / "models")
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(CASES / name, folder)
    requested = read_yaml(ROOT / "packages.yml")["packages"]
    if offline:
        shutil.copytree(CASES / "offline_only", folder, dirs_exist_ok=True)
    else:  # no case runs the real Elementary, and it takes dbt long to read
        requested = [entry for entry in requested if "elementary" not in entry["package"]]
    (folder / "packages.yml").write_text(yaml.safe_dump({"packages": requested}), encoding="utf-8")
    if ensure_packages(folder, offline=offline).variant != ("offline" if offline else "real"):
        return None
    environment = clean_environment() | {
        "CONFORMANCE_HOST": warehouse.host,
        "CONFORMANCE_PORT": str(warehouse.port),
        "CONFORMANCE_USER": warehouse.user,
        "CONFORMANCE_PASSWORD": warehouse.password,
        "CONFORMANCE_DBNAME": warehouse.dbname,
        "CONFORMANCE_SCHEMA": "cases",
    }
    done = run_dbt(["build"], project_dir=folder, env=environment, timeout_s=180)
    assert done.returncode in (0, 1), done.output  # 1: the cases of bad_arguments fail
    manifest = json.loads((folder / "target" / "manifest.json").read_text(encoding="utf-8"))
    ran = json.loads((folder / "target" / "run_results.json").read_text(encoding="utf-8"))
    own = {k: n for k, n in manifest["nodes"].items() if n["package_name"] == "conformance"}
    return Build(
        nodes={node["name"]: node for node in own.values()},
        results={own[r["unique_id"]]["name"]: r for r in ran["results"] if r["unique_id"] in own},
        macros=manifest["macros"],
        disabled={node["name"] for nodes in manifest["disabled"].values() for node in nodes},
        log=done.output,
        warehouse=warehouse,
    )


@pytest.fixture(scope="module")
def builds(cluster_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Build | None]]:
    """Both variants, built side by side."""
    databases = Databases(cluster_home)
    home = tmp_path_factory.mktemp("conformance cases")
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor() as pool:
        patch.setenv("DBT_PACKAGE_HUB_URL", NO_HUB)
        running = {}
        for variant in ("offline", "real"):
            folder = home / variant
            folder.mkdir()
            database = databases.create("warehouse")
            running[variant] = pool.submit(build_cases, folder, database, offline=variant == "offline")
        done = {variant: future.result() for variant, future in running.items()}
    yield done
    databases.drop_all()


@pytest.fixture(params=["offline", "real"])
def build(request: pytest.FixtureRequest, builds: dict[str, Build | None]) -> Build:
    """One variant after the other."""
    return _need(builds[request.param])


@pytest.fixture
def both(builds: dict[str, Build | None]) -> tuple[Build, Build]:
    """The subset's build and the real packages' build."""
    return _need(builds["offline"]), _need(builds["real"])


def _need(build: Build | None) -> Build:
    if build is None:
        pytest.skip(
            f"the real dbt packages are not in the cache {default_cache_dir()}; "
            "fill it with `haven deps` or `haven deps --from DIR`"
        )
    return build


def test_each_test_finds_the_expected_number_of_failures(build: Build) -> None:
    cases = build.of_kind("test", "data")
    expected = {name: build.nodes[name]["config"]["meta"]["failures"] for name in cases}
    found = {name: build.results[name]["failures"] for name in cases}
    errors = {name: "error" for name in cases if build.results[name]["status"] == "error"}
    assert found | errors == expected
    assert len(cases) > 60


def test_each_macro_gives_the_expected_rows(build: Build) -> None:
    models = build.of_kind("model", "macros")
    expected = {
        name: Relation(build.nodes[name]["config"]["meta"]["columns"], rows)
        for name in models
        for rows in [sorted(build.nodes[name]["config"]["meta"]["rows"])]
    }
    assert build.relations(models) == expected
    assert len(models) >= 8


def test_bad_arguments_end_in_an_error(build: Build) -> None:
    models = build.of_kind("model", "bad_arguments")
    accepted = [name for name in models if build.results[name]["status"] != "error"]
    assert accepted == []
    assert len(models) >= 6


def test_no_case_is_skipped(build: Build) -> None:
    assert [name for name, r in build.results.items() if r["status"] == "skipped"] == []


def test_both_variants_store_the_same_failing_rows(both: tuple[Build, Build]) -> None:
    subset, real = both
    cases = [name for name in subset.of_kind("test", "data") if subset.results[name]["status"] != "error"]
    assert subset.relations(cases) == real.relations(cases)


def test_both_variants_ran_the_same_cases(both: tuple[Build, Build]) -> None:
    subset, real = both
    only_subset = {"watched", "enabled_by_hand"}
    assert {n: r["status"] for n, r in subset.results.items() if n not in only_subset} == {
        n: r["status"] for n, r in real.results.items()
    }


def test_the_subset_takes_the_same_arguments(both: tuple[Build, Build]) -> None:
    subset, real = both
    names = [n for n in _subset_macros(subset) if n in real.macros or "._" not in n]
    names = [n for n in names if not n.startswith("macro.elementary.")]
    assert {n: _signature(subset.macros[n]["macro_sql"]) for n in names} == {
        n: _signature(real.macros[n]["macro_sql"]) for n in names
    }
    assert len(names) > 12


def test_the_stand_ins_take_elementarys_arguments() -> None:
    version = pin(package_requests(ROOT / "packages.yml")["elementary"])
    real = default_cache_dir() / "elementary" / str(version)
    if not real.is_dir():
        pytest.skip(f"the real Elementary is not in the cache: {real}")
    signatures = {}
    for path in [*real.glob("macros/**/*.sql")]:
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"\{%-?\s*test\s+(\w+)", text):
            signatures[name] = _signature(text, name)
    stand_ins = {p.stem: p.read_text(encoding="utf-8") for p in STAND_INS}
    assert {name: _signature(text, name) for name, text in stand_ins.items()} == {
        name: signatures[name] for name in stand_ins
    }


def test_every_test_has_a_passing_and_a_failing_case_and_every_macro_a_case(builds: dict[str, Build | None]) -> None:
    subset = _need(builds["offline"])
    seen: dict[str, set[bool]] = {}
    for name in subset.of_kind("test", "data"):
        node = subset.nodes[name]["test_metadata"]
        macro = f"macro.{node['namespace']}.test_{node['name']}"
        seen.setdefault(macro, set()).add(bool(subset.results[name]["failures"]))
    tests = [name for name in _subset_macros(subset) if ".test_" in name and not name.startswith("macro.elementary.")]
    assert {name: seen.get(name) for name in tests} == {name: {True, False} for name in tests}
    assert len(tests) == len(list(SUBSET.glob("dbt_*/macros/*tests/*.sql")))
    called = {
        macro for name in subset.of_kind("model", "macros") for macro in subset.nodes[name]["depends_on"]["macros"]
    }
    macros = {f"macro.dbt_utils.{path.stem}" for path in SUBSET.glob("dbt_utils/macros/sql/*.sql")}
    assert macros and macros <= called


def test_elementary_stand_ins_do_not_run(builds: dict[str, Build | None]) -> None:
    subset = _need(builds["offline"])
    stand_ins = {f"stand_in_{path.stem}" for path in STAND_INS}
    assert stand_ins <= subset.disabled
    assert not stand_ins & set(subset.results)
    assert len(stand_ins) == 2
    assert subset.results["enabled_by_hand"]["status"] == "error"
    assert "haven deps --upgrade" in subset.results["enabled_by_hand"]["message"]


def test_the_subset_raises_no_warning_of_dbt(builds: dict[str, Build | None]) -> None:
    log = _need(builds["offline"]).log
    assert "deprecat" not in log.lower()
    # settings under `models: elementary:` must find something to apply to
    assert "do not apply to any resources" not in log


def _subset_macros(build: Build) -> list[str]:
    packages = {path.name for path in SUBSET.iterdir() if path.is_dir()}
    return sorted(n for n, macro in build.macros.items() if macro["package_name"] in packages)


def _signature(text: str, name: str = r"\w+") -> str:
    """Return a macro's arguments and defaults in one notation, whatever its Jinja is written like."""
    found = re.search(rf"\{{%-?\s*(?:test|macro)\s+{name}\s*\((.*?)\)\s*-?%\}}", text, re.DOTALL)
    assert found, text
    # names in Jinja that are keywords of Python, which reads the arguments here
    arguments = re.sub(r"\b(from|except)\b", r"\1_", found.group(1))
    parsed = ast.parse(f"def macro({arguments}): pass").body[0]
    assert isinstance(parsed, ast.FunctionDef)
    return re.sub(r"\b(None|True|False)\b", lambda m: m[0].lower(), ast.unparse(parsed.args))
