"""Partitions swapped while 100 transactions a second read them: no error, no half state, short waits for locks.

Most readers ask for a day of each of the three partitions that a build replaces, and divide by zero unless all their
rows are there and of one build. Others count a table all of whose rows a merge moves to a new partition in each build.
A reader that keeps its transaction open for a second comes by as well.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.cluster import ROOT, Bench, own_databases
from benchmarks.measure import Pipe
from benchmarks.measure import run as run_pipe
from benchmarks.results import Row
from benchmarks.trials import say
from runner.connect import connect
from runner.embedded import place

RATE, CLIENTS = 100, 8
DAYS, MOST_ROWS = 730, 730_000
SECONDS_PER_RUN = 12
LONG_READ_S, LONG_READ_EVERY_S = 1.0, 5.0
MODEL = """{{ config(
    materialized='partitioned', partition_by={'column': 'day', 'step': 'month'},
    incremental_strategy='replace_partitions', indexes=[{'columns': ['day']}]
) }}
select items.day, items.item_id, generation.number as generation
from public.items cross join public.generation
{% if is_incremental() %}where items.day >= '2025-10-01'{% endif %}
"""
MOVED_ROWS = 100
MOVED_MODEL = f"""{{{{ config(
    materialized='partitioned', partition_by={{'column': 'place', 'step': 1}}, unique_key='item_id',
    indexes=[{{'columns': ['item_id']}}]
) }}}}
select items.item_id, generation.number as place
from generate_series(1, {MOVED_ROWS}) as items (item_id) cross join public.generation
"""
MOVED_READER = f"select 1 / (count(*) = {MOVED_ROWS})::integer from analytics.moved;\n"
READER = """\\set day random(0, 29)
select 1 / (count(*) = 3 * {per_day} and min(generation) = max(generation))::integer from analytics.swapped
where day in (
    date '2025-10-01' + :day::integer, date '2025-11-01' + :day::integer, date '2025-12-01' + :day::integer
);
"""
PROFILE = "name: swap\nprofile: haven\nflags: {send_anonymous_usage_stats: false}\n"


def run(bench: Bench, rows: int, runs: int) -> list[Row]:
    """Measure in databases of its own, `runs` times 12 seconds with builds and as long without."""
    seconds = runs * SECONDS_PER_RUN
    with own_databases(bench, "swap") as own:
        found = measure(own, bench.home / "swap project", rows, seconds, seconds_alone=seconds)
    size = found["table_rows"]
    named = {"alone": "alone", "swapping": "while partitions are swapped"}
    rows_ = [
        Row.of("swap", size, name, measure_, unit, [found[kind][key]])
        for kind, name in named.items()
        for measure_, unit, key in (
            ("reads", "", "transactions"), ("median", "ms", "p50_ms"),
            ("p99", "ms", "p99_ms"), ("longest", "ms", "max_ms"),
        )
    ]  # fmt: skip
    note = f"{found['builds']} builds of {found['swapped_rows']:,} rows each"
    return [*rows_, Row("swap", size, named["swapping"], "note", note=note)]


def measure(bench: Bench, project: Path, rows: int, seconds: float, *, seconds_alone: float) -> dict[str, Any]:
    """Return the latencies, in milliseconds, of readers alone and while builds swap partitions.

    Raises CommandFailed if a reader met an error or a half state, or a build failed.
    """
    per_day = max(1, min(rows, MOST_ROWS) // DAYS)
    (project / "models").mkdir(parents=True)
    shutil.copytree(ROOT / "macros" / "materializations", project / "macros")
    shutil.copy(ROOT / "profiles.yml", project.parent)
    for name, text in {
        "dbt_project.yml": PROFILE,
        "models/swapped.sql": MODEL,
        "models/moved.sql": MOVED_MODEL,
        "moved_reader.sql": MOVED_READER,
        "reader.sql": READER.format(per_day=per_day),
    }.items():
        (project / name).write_text(text, encoding="utf-8")
    bench.prepare(
        "create table items as select date '2024-01-01' + (n % 731) as day, n as item_id "
        f"from generate_series(0, 731 * {per_day} - 1) as n",
        "create table generation as select 0 as number",
        "vacuum analyze",
    )
    # As long as a builder takes to get going, on this machine and now, its readers go on longer.
    start_s = run_pipe(_builder(bench, project, 0.1), cwd=ROOT).seconds
    alone = _readers(bench, project, seconds_alone)
    done = threading.Event()
    long_reader = threading.Thread(target=_read_long, args=(bench, done))
    long_reader.start()
    try:
        swapping = _readers(bench, project, start_s + seconds, _builder(bench, project, seconds))
    finally:
        done.set()
        long_reader.join()
    builds = json.loads((project / "builds.json").read_text(encoding="utf-8"))
    say(f"  {len(builds)} builds, {swapping['transactions']} reads, p99 {swapping['p99_ms']} ms")
    return {
        "table_rows": 731 * per_day,
        "swapped_rows": 92 * per_day,
        "builds": len(builds),
        "alone": alone,
        "swapping": swapping,
    }


def _builder(bench: Bench, project: Path, seconds: float) -> Pipe:
    script = ("-m", "benchmarks.scripts.swap_builds", str(project), str(seconds))
    return Pipe(((sys.executable, *script),), bench.environment())


def _readers(bench: Bench, project: Path, seconds: float, *others: Pipe) -> dict[str, Any]:
    """Run pgbench beside the others and return what its log says. A time is that of the transaction alone."""
    for old in project.glob("reads.*"):
        old.unlink()
    command = (
        str(place.binaries() / "pgbench"), "--no-vacuum", "--protocol", "prepared",
        "--client", str(CLIENTS), "--rate", str(RATE), "--time", str(math.ceil(seconds)),
        "--log", "--log-prefix", str(project / "reads"), "--file", f"{project / 'reader.sql'}@4",
        "--file", f"{project / 'moved_reader.sql'}@1", bench.url(bench.warehouse),
    )  # fmt: skip
    run_pipe(Pipe((command,), bench.environment()), *others, cwd=ROOT)
    times = sorted(
        (int(fields[2]) - int(fields[6])) / 1000
        for log in project.glob("reads.*")
        for fields in map(str.split, log.read_text(encoding="utf-8").splitlines())
    )
    # The smallest time that so many percent do not exceed.
    named = {
        f"{name}_ms": round(times[max(0, math.ceil(len(times) * percent / 100) - 1)], 2)
        for name, percent in (("p50", 50), ("p99", 99), ("max", 100))
    }
    return {"transactions": len(times), **named}


def _read_long(bench: Bench, done: threading.Event) -> None:
    """Keep a reading transaction open for a second, every five seconds."""
    with closing(connect(bench.warehouse)) as session:
        while not done.is_set():
            with session, session.cursor() as cursor:
                cursor.execute("select count(*) from analytics.swapped where day = '2025-12-24'")
                time.sleep(LONG_READ_S)
            done.wait(LONG_READ_EVERY_S - LONG_READ_S)
