"""The benchmarks: a small run against real clusters renders its page, and a wrong copy is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import ROOT, clean_environment

from benchmarks import cluster, page, table
from benchmarks.cluster import Bench, WrongResult
from benchmarks.measure import CommandFailed, Pipe, run
from benchmarks.trials import Method, Result, one_trial
from runner import embedded

ROWS = 2000


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    home = tmp_path_factory.mktemp("bench")
    started = cluster.start(home)
    started.execute(started.source, table.fill(table.NAME, ROWS))
    yield started
    embedded.down(home, delete=True)


def test_a_small_run_renders_the_page_and_keeps_other_parts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--rows", str(ROWS), "--runs", "1"]
    results = tmp_path / "results"
    folders = ["--results", str(results), "--docs", str(tmp_path)]
    results.mkdir()
    earlier = json.loads((ROOT / "benchmarks" / "results" / "growth.json").read_text("utf-8"))
    (results / "growth.json").write_text(json.dumps(earlier), encoding="utf-8")
    done = subprocess.run(
        [*command, *folders, "--only", "bulk"],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kept = json.loads((results / "bulk.json").read_text(encoding="utf-8"))
    assert kept["entries"][0]["name"].startswith("psql COPY binary")
    assert all(len(entry["seconds"]) == 1 for entry in kept["entries"])
    # A psql that is done within a moment may be over before its memory is looked at.
    assert all(entry["peak_mb"] > 1 for entry in kept["entries"] if "haven" in entry["name"])

    text = (tmp_path / "performance.md").read_text(encoding="utf-8")
    assert f"## First load of {ROWS:,} rows, key included" in text
    assert "## Ten times the rows" in text
    assert "nan" not in text
    assert str(tmp_path) not in text
    chart = ElementTree.parse(tmp_path / "performance.svg").getroot()  # noqa: S314 (our own file)
    texts = [node.text for node in chart.iter("{http://www.w3.org/2000/svg}text")]
    assert "haven load, one stream" in texts

    (results / "bulk.json").unlink()
    page.write(results, tmp_path)
    text = (tmp_path / "performance.md").read_text(encoding="utf-8")
    assert "## First load" not in text
    assert "## Ten times the rows" in text


def test_an_unknown_part_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "bulk,bluk"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no part 'bluk': known are bulk," in done.stderr


@pytest.mark.parametrize(
    "harm",
    [
        "delete from by_hand.big where id = 7",
        "update by_hand.big set amount = amount + 0.01 where id = 7",
        "update by_hand.big set note = '' where id = (select min(id) from by_hand.big where note is null)",
    ],
)
def test_a_wrong_copy_is_refused(bench: Bench, harm: str) -> None:
    source = bench.shape(bench.source, table.NAME)
    bench.execute(bench.warehouse, "drop schema if exists by_hand cascade", "create schema by_hand")
    copy = Method(
        "copy",
        lambda: [
            bench.psql_pipe(
                f"copy (select {table.NAMES} from {table.NAME}) to stdout",
                table.ddl("by_hand.big"),
                "copy by_hand.big from stdin",
            )
        ],
        "by_hand.big",
    )
    result = Result("copy", ROWS)
    one_trial(bench, copy, result, source)
    assert len(result.seconds) == 1

    bench.execute(bench.warehouse, harm)
    nothing = Pipe((("true",),), bench.environment())
    with pytest.raises(WrongResult, match=r"by_hand\.big has"):
        one_trial(bench, Method("harmed", lambda: [nothing], "by_hand.big"), result, source)
    peer = Method("peer", lambda: [nothing], "by_hand.big", is_peer=True)
    shown = Result("peer", ROWS)
    one_trial(bench, peer, shown, source)
    assert shown.seconds == []
    assert "the source has 2,000" in shown.error


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(CommandFailed, match="no such thing"):
        run(Pipe((("sh", "-c", "echo no such thing >&2; exit 3"),), {"PATH": "/bin:/usr/bin"}))


def test_memory_of_all_processes_is_added_up() -> None:
    hungry = "import time; held = bytearray(60 << 20); held[::4096] = b'x' * len(held[::4096]); time.sleep(0.6)"
    twice = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hungry!r}]); {hungry}"
    alone = run(Pipe(((sys.executable, "-c", hungry),)))
    both = run(Pipe(((sys.executable, "-c", hungry), (sys.executable, "-c", hungry))))
    child = run(Pipe(((sys.executable, "-c", twice),)))
    if alone.peak_mb is None or both.peak_mb is None or child.peak_mb is None:
        pytest.skip("this system has no /proc")
    assert 60 < alone.peak_mb < 100
    assert both.peak_mb > alone.peak_mb + 55
    assert child.peak_mb > alone.peak_mb
