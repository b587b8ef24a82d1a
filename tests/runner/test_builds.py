"""Runs that meet each other, or are killed: one build of a set of schemas at a time, and what a summary says of it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from chaos import shop, trial
from conftest import Databases, Project, clean_environment, measured, rows

from runner import dbt, manifest
from runner.artifacts.files import write_whole
from runner.artifacts.summary import read_summary
from runner.connect import connect

SLEEPS = (
    "select pid from pg_stat_activity where datname = current_database() "
    "and query ~ 'pg_sleep..select seconds' and state = 'active' and pid <> pg_backend_pid()"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, module_databases: Databases) -> Project:
    """The small project, loaded and built once."""
    folder = shop.make_project(tmp_path_factory.mktemp("builds") / "shop")
    made = Project(folder, module_databases.create("source"), module_databases.create("warehouse"))
    shop.fill(made)
    made.haven("run", "--no-reports")
    assert shop.faults(made) == []
    return made


def ask(project: Project, query: str, *args: object) -> list[tuple[Any, ...]]:
    """Return the rows of a warehouse query."""
    with closing(connect(project.warehouse)) as session:
        return rows(session, query, *args)


def wait_for(condition: Callable[[], object], within_s: float = 240) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


@contextmanager
def building(project: Project, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` beside the test, up to the model that sleeps; it is killed at the end, and sleeps no more then."""
    shop.pause(project, 600)
    values = clean_environment() | project.source.as_env() | project.warehouse.as_env() | measured()
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=project.path, env=values, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(lambda: process.poll() is not None or ask(project, SLEEPS))
        assert process.poll() is None
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shop.pause(project, 0)
        wait_for(lambda: not ask(project, SLEEPS), within_s=5)


def test_k2_c1_two_builds_of_one_set_of_schemas_never_meet(project: Project) -> None:
    # Plain dbt, as it is after `eval "$(haven env)"`.
    with building(project, "dbt.cli.main", "build"):
        holder = r"the schemas of model_state are being built by haven-dbt of haven \(dbt build, backend"
        second = project.dbt("build", expect=2, HAVEN_BUILD_WAIT="0")
        said = [line for line in second.out.splitlines() if "are being built by" in line]
        assert len(said) == 1
        assert "haven-dbt of haven (dbt build, backend " in said[0]
        assert "SKIP" not in second.out
        for command in (("run", "--no-reports"), ("access",), ("retain",)):
            refused = project.haven(*command, expect=75, HAVEN_BUILD_WAIT="0")
            assert holder.replace("\\", "") in refused.err.splitlines()[-1]
            assert "deadlock" not in refused.err
        # What only reads, and a developer's own schemas, are not refused.
        project.dbt("compile", "--select", "fct_orders", HAVEN_BUILD_WAIT="0")
        project.dbt("build", "--select", "stg_orders", HAVEN_BUILD_WAIT="0", HAVEN_TARGET="dev", HAVEN_SCHEMA="bob")
    # It was killed without a word; a moment later its schemas are free.
    project.dbt("build")
    assert ask(project, "select count(*) from model_state.build_claim") == [(0,)]
    project.haven("access")


def test_l4_k4_others_load_while_a_run_builds(project: Project) -> None:
    rng = random.Random(1)  # noqa: S311
    shop.change(project, rng)
    target = project.path / "target"
    with building(project, "runner.cli", "run", "--no-reports"):
        first = read_summary(target)
        assert first is not None
        assert (first["status"], first["finished_at"]) == ("running", None)
        shop.change(project, rng)
        project.haven("load")
        shop.change(project, rng)
        refused = project.haven("run", "--no-reports", expect=75, HAVEN_BUILD_WAIT="0")
        assert f"built by haven run {first['run_id']} build of haven (haven run, backend" in refused.err
        # Its loads stay, and the summary of the one that builds does, too.
        loads = (
            "select count(*), bool_and(status = 'ok') from ops.table_loads "
            "where run_id = (select run_id from ops.runs order by started_at desc limit 1)"
        )
        assert ask(project, loads) == [(2, True)]
        assert read_summary(target) == first
        runs = "select status from ops.runs order by started_at desc limit 3"
        assert ask(project, runs) == [("failed",), ("ok",), ("running",)]
    killed = read_summary(target)
    assert killed is not None
    assert (killed["run_id"], killed["status"]) == (first["run_id"], "died")
    project.haven("run", "--no-reports")
    assert shop.faults(project) == []
    last = read_summary(target)
    assert last is not None
    assert (last["status"], last["exit_code"], last["error"]) == ("ok", 0, None)
    assert ask(project, "select status from ops.runs where run_id = %s", first["run_id"]) == [("failed",)]


@pytest.mark.parametrize(
    ("args", "env", "code", "words"),
    [
        ((), {"HAVEN_SOURCE_PORT": "1"}, 3, "cannot connect to source"),
        ((), {"HAVEN_RETRIES": "many"}, 2, "HAVEN_RETRIES is 'many'"),
    ],
)
def test_k4_a_run_that_cannot_begin_says_so_in_its_summary(
    project: Project, args: tuple[str, ...], env: dict[str, str], code: int, words: str
) -> None:
    project.haven("run", *args, expect=code, HAVEN_TARGET="local", **({"HAVEN_RETRIES": "0"} | env))
    found = read_summary(project.path / "target")
    assert found is not None
    assert (found["status"], found["exit_code"]) == ("failed", code)
    assert words in found["error"]


@pytest.mark.usefixtures("cold_dbt")
def test_k9_a_dbt_that_was_killed_is_named(project: Project) -> None:
    """Freshness, which nobody waits for in its results, and the build."""

    def dbt_of(process: subprocess.Popen[bytes], word: str) -> psutil.Process | None:
        with suppress(psutil.Error):
            for child in psutil.Process(process.pid).children():
                if word in child.cmdline():
                    return child
        return None

    shop.pause(project, 600)
    values = clean_environment() | project.source.as_env() | project.warehouse.as_env()
    with subprocess.Popen(
        [sys.executable, "-m", "runner.cli", "run", "--no-reports"],
        cwd=project.path, env=values, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        wait_for(lambda: dbt_of(process, "freshness"))
        freshness = dbt_of(process, "freshness")
        assert freshness is not None
        freshness.kill()
        wait_for(lambda: ask(project, SLEEPS))
        built = dbt_of(process, "build")
        assert built is not None
        built.kill()
        out, _ = process.communicate(timeout=60)
    shop.pause(project, 0)
    assert process.returncode == 1
    cause = "was killed by signal 9 (SIGKILL): is the machine out of memory?"
    assert [line.split(maxsplit=1)[1] for line in out.splitlines() if "FAILED" in line] == [
        f"dbt source freshness {cause}",
        f"dbt build {cause}",
    ]
    found = read_summary(project.path / "target")
    assert found is not None
    assert (found["status"], found["exit_code"]) == ("failed", 1)


def test_a_variable_that_a_file_of_the_project_names_is_part_of_what_was_parsed(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "target" / "manifest.json").write_text("{}")
    (tmp_path / "dbt_project.yml").write_text("name: p")
    yaml = """sources: [{name: shop, schema: "raw_{{ env_var( 'REGION' ) }}"}]"""
    (tmp_path / "models" / "sources.yml").write_text(yaml)
    one = dbt.parsed_for({"REGION": "one", "OTHER": "a"}, tmp_path)
    assert dbt.parsed_for({"REGION": "one", "OTHER": "b"}, tmp_path) == one
    assert dbt.parsed_for({"REGION": "two", "OTHER": "a"}, tmp_path) != one


def test_k1_a_torn_file_is_no_file(project: Project) -> None:
    target = project.path / "target"
    whole = (target / "manifest.json").read_bytes()
    assert manifest._read(target / "manifest.json") is not None
    other_dbt = json.dumps({"metadata": {"dbt_schema_version": "https://x/dbt/manifest/v11.json"}})
    for torn in (b"", whole[:100_000], b"[]", b"\xff\x00", b'{"nodes": {}}', other_dbt.encode()):
        (target / "manifest.json").write_bytes(torn)
        assert manifest._read(target / "manifest.json") is None
    for name in (
        "partial_parse.msgpack", "run_results.json", "sources.json", "catalog.json", "semantic_manifest.json",
        "haven/run_summary.json", "haven/parsed_for",
    ):  # fmt: skip
        (target / name).write_bytes(whole[:50])
    (project.path / "package-lock.yml").write_text("packages: [")
    assert "0 to load" not in project.haven("load", "--dry-run").err
    said = project.haven("report", "--only", "validation", expect=1)
    assert "run_results.json cannot be read" in said.out
    assert "run `haven run` or `dbt build` first" in said.out
    (target / "manifest.json").write_bytes(whole[:1000])
    project.haven("run", "--no-reports")
    (project.path / "package-lock.yml").unlink()


def test_k1_a_full_disk_is_one_line_and_leaves_the_file_as_it_was(project: Project) -> None:
    place = project.path / "target" / "haven"
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small file system")
    try:
        write_whole(place / "run_summary.json", "{}")
        done = project.haven("run", expect=2)
        (line,) = [line for line in done.err.splitlines() if line.startswith("error:")]
        assert "No space left on device" in line
        assert "Traceback" not in done.err
        assert (place / "run_summary.json").read_text() == "{}"
        assert [file.name for file in place.iterdir()] == ["run_summary.json"]
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("target", ["runner", "dbt", "group"])
def test_k2_a_killed_run_leaves_nothing_and_the_next_puts_all_right(project: Project, target: str) -> None:
    """`make chaos` in short: one kill of each kind, somewhere in dbt's part."""
    rng = random.Random(target)  # noqa: S311
    result = trial.run(project, rng, target, rng.uniform(2, 8))
    assert result.faults == [] and not result.is_missed, str(result)
