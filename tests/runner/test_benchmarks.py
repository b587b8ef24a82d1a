"""The benchmarks: small runs against real clusters still give their figures, and a wrong copy is refused."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, clean_environment

from benchmarks import cluster, page, peers, results, table
from benchmarks.__main__ import PARTS
from benchmarks.cluster import Bench, WrongResult
from benchmarks.demo import filled
from benchmarks.measure import CommandFailed, Pipe, run
from benchmarks.parts import models, unchanged, values
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


def test_a_small_run_keeps_its_figures_and_those_of_other_parts(tmp_path: Path) -> None:
    table_of_results, words = tmp_path / "results.csv", tmp_path / "performance.md"
    shutil.copy(ROOT / "benchmarks" / "results.csv", table_of_results)
    shutil.copy(ROOT / "docs" / "performance.md", words)
    before = results.read(table_of_results)
    options = f"--rows {ROWS} --runs 1 --only growth --results {table_of_results} --page {words}"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *options.split()],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    after = results.read(table_of_results)
    others = [row for row in before if not row.part.startswith("growth")]
    assert [row for row in after if not row.part.startswith("growth")] == others
    ours = [row for row in after if row.part.startswith("growth")]
    assert f"haven load, one stream, {ROWS:,} rows" in {row.variant for row in ours}
    assert {row.size for row in ours} == {ROWS, ROWS // 10}
    assert len({(row.measured, row.commit, row.machine) for row in ours}) == 1
    # A psql that is done within a moment may be over before its memory is looked at.
    memory = [r for r in ours if r.measure == "peak memory" and r.variant.startswith("haven")]
    assert [row for row in memory if (row.median or 0) > 1] == memory != []

    text, told = (words.read_text(encoding="utf-8"), (ROOT / "docs" / "performance.md").read_text("utf-8"))
    assert f"Size {ROWS:,}, runs 1, {ours[0].measured} UTC" in text
    assert text.split("## Other loaders")[1] == told.split("## Other loaders")[1]
    assert page.MARKED.sub("", text) == page.MARKED.sub("", told)
    assert "nan" not in text
    assert str(tmp_path) not in text + table_of_results.read_text(encoding="utf-8")


def test_the_page_shows_the_results_and_every_goal_is_measured(tmp_path: Path) -> None:
    rows = results.read(ROOT / "benchmarks" / "results.csv")
    told = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    copy = tmp_path / "performance.md"
    copy.write_text(told, encoding="utf-8")
    page.write(rows, copy)
    assert copy.read_text(encoding="utf-8") == told
    shown = set(re.findall(r"<!-- bench: ([\w.]+) -->", told))
    assert shown == {row.part for row in rows} | {"goals"}
    with page.GOALS.open(encoding="utf-8") as file:
        wanted = [goal["what"] for goal in csv.DictReader(file)]
    lines = page.goals(rows).splitlines()[2:]
    assert [line.split(" | ")[0] for line in lines] == [f"| {what}" for what in wanted]
    # The words quote what the table says.
    day = next(r for r in rows if r.variant.startswith("all models") and r.measure == "a day, 10x history")
    assert f"{day.median:.0f} s at 5 million" in told


def test_results_survive_being_kept(tmp_path: Path) -> None:
    whole = results.read(ROOT / "benchmarks" / "results.csv")
    kept = tmp_path / "results.csv"
    for part in dict.fromkeys(row.part.split(".")[0] for row in whole):
        results.keep(kept, part, [row for row in whole if row.part.split(".")[0] == part])
    assert kept.read_bytes() == (ROOT / "benchmarks" / "results.csv").read_bytes()
    results.keep(kept, "swap", [])
    assert results.read(kept) == [row for row in whole if row.part != "swap"]


@pytest.mark.parametrize("part", ["bulk", "workers", "reconcile", "values", "tables", "incremental"])
def test_a_part_still_runs(bench: Bench, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gives the variants and measures that are kept of it; the other loaders' aside, which are not installed."""
    few = dict(list(values.KINDS.items())[:2])
    monkeypatch.setattr(values, "KINDS", few)
    monkeypatch.setattr(unchanged, "TABLES", 3)
    monkeypatch.setattr(peers, "ALL", ())
    found = PARTS[part][0](bench, ROWS, 1)
    kept = [r for r in results.read(ROOT / "benchmarks" / "results.csv") if r.part.split(".")[0] == part]
    named = {(row.part, row.variant) for row in found if "rows" not in row.variant}
    theirs = ("ingestr", "sling", "dlt")
    assert named <= {(row.part, row.variant) for row in kept}
    assert {row.measure for row in found} == {r.measure for r in kept if not r.measure.startswith(theirs)}
    assert [row for row in found if row.median is None and not row.note] == []
    if part == "values":
        assert {row.note for row in found} == {"exact", "yes"}


def test_the_marketplace_of_the_models_part_can_still_be_written(bench: Bench) -> None:
    """The scripts fit raw as it is loaded; dbt itself is left out, as its builds are tested elsewhere."""
    with filled(bench, "demo", 0.002) as demo:
        demo.haven("load")
        warehouse = demo.bench.warehouse
        script = (models.SCRIPTS / "multiply.sql").read_text(encoding="utf-8")
        ((before,),) = demo.bench.execute(warehouse, "select count(*) from raw.orders")
        for (statement,) in demo.bench.execute(warehouse, script.replace(":copies", "3")):
            demo.bench.execute(warehouse, statement)
        assert demo.bench.execute(warehouse, "select count(*) from raw.orders") == [(3 * before,)]
        names = ("customers", "vendors", "products")
        tables = [f"create table snapshots.{name}_snapshot ()" for name in names]
        demo.bench.execute(warehouse, "create schema snapshots", *tables)
        models.execute_script(demo.bench, "marketplace.sql", orders=2000, per_day=20)
        models.execute_script(demo.bench, "marketplace_day.sql", orders=2000, per_day=20, day=1)
        changed = "select count(*), count(*) filter (where order_id > 2000) from raw.orders where _load_id = 1001"
        ((rows, new),) = demo.bench.execute(warehouse, changed)
        assert new == 10
        assert rows > new
        strategies = demo.dbt("ls", "--output", "name", *models.INCREMENTAL).output.split()
        assert {"fct_orders", "customers_snapshot", "int_features__as_of_dates"} <= set(strategies)


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
