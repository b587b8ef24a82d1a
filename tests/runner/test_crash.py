"""The crash matrix in short (`make crash` runs all of it), and proof that its checks see what they are there for."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing

import pytest
from crash.check import lost_and_doubled
from crash.shop import RAW, TABLES
from crash.trial import HARMS, Bench, Kill, Result, run
from crash.victim import load

from runner import embedded

SEED = 20261121
# Where a load is most likely to leave a half behind; a point's name begins with these words.
POINTS = {
    "first": (
        "before warehouse: create table",
        "before warehouse: alter table",
        'in the middle of warehouse: copy "raw_shop"',
    ),
    "incremental": (
        "before warehouse: insert into ops.runs",
        'in the middle of warehouse: copy "pg_temp"."haven_keys"',
        "before warehouse: with changed as",
        "before warehouse: update",
        "before warehouse: insert into ops.watermarks",
        "before warehouse: insert into ops.table_loads",
        "before warehouse: select pg_advisory_unlock_all",
    ),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Clusters that only this file's tests use, as they are killed."""
    home = tmp_path_factory.mktemp("crash")
    bench = Bench.up(home, random.Random(SEED))  # noqa: S311
    yield bench
    embedded.down(home, delete=True)


@pytest.fixture(scope="module")
def whole(bench: Bench) -> dict[str, Result]:
    """One load of each mode that nothing happens to."""
    return {mode: run(bench, mode, Kill("point")) for mode in POINTS}


def test_a_load_that_nothing_happens_to_is_right(whole: dict[str, Result]) -> None:
    for result in whole.values():
        assert result.is_right, result
        assert result.exit_code == 0


@pytest.mark.parametrize(("mode", "words"), [(m, w) for m, points in POINTS.items() for w in points])
@pytest.mark.usefixtures("whole")
def test_a_killed_loader_leaves_whole_loads(bench: Bench, mode: str, words: str) -> None:
    result = run(bench, mode, Kill("point", die_at=1, die_in=words))
    assert result.exit_code == -9
    assert result.is_right, result


@pytest.mark.parametrize("side", ["source", "warehouse"])
@pytest.mark.parametrize("how", HARMS)
def test_a_server_that_fails_leaves_whole_loads(bench: Bench, whole: dict[str, Result], how: str, side: str) -> None:
    after_s = whole["incremental"].load_s / 2
    result = run(bench, "incremental", Kill(how, side, after_s=after_s))  # type: ignore[arg-type]
    assert result.is_right, result


@pytest.mark.usefixtures("whole")
def test_a_load_that_ended_well_survives_a_crash_of_the_warehouse(bench: Bench) -> None:
    count = "select count(*) from ops.table_loads where status = 'ok'"
    before = bench.value("warehouse", count)
    assert load(bench.orders()) == 0
    bench.servers.crash("warehouse", bench.rng)
    assert bench.value("warehouse", count) == before + len(TABLES)


@pytest.mark.usefixtures("whole")
def test_a_loader_that_commits_watermarks_apart_is_found_out(bench: Bench) -> None:
    unharmed = run(bench, "incremental", Kill("point"), is_broken=True)
    assert unharmed.is_right, unharmed  # only a kill shows the fault
    kill = Kill("point", die_at=1, die_in="before warehouse: insert into ops.table_loads")
    result = run(bench, "incremental", kill, tables=("visit",), is_broken=True)
    assert result.lost > 0
    assert any("watermark changed without" in fault for fault in result.torn)
    # What is lost stays lost until the tables are read whole.
    healed = run(bench, "full", Kill("point"))
    assert healed.is_right, healed


@pytest.mark.usefixtures("whole")
def test_rows_that_are_gone_or_there_twice_are_counted(bench: Bench) -> None:
    with closing(bench.servers.open("source")) as source, closing(bench.servers.open("warehouse")) as warehouse:
        assert lost_and_doubled(source, warehouse) == (0, 0)
        with warehouse, warehouse.cursor() as cursor:
            cursor.execute(f"insert into {RAW}.note select * from {RAW}.note where _deleted_at is null limit 3")
            cursor.execute(f"update {RAW}.rate set _deleted_at = now() where _deleted_at is null")
            gone = cursor.rowcount
        assert lost_and_doubled(source, warehouse) == (gone, 3)
