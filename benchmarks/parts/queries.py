"""The questions of analyses/, asked of marts that were built from millions of orders."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.cluster import ROOT, Bench
from benchmarks.demo import ORDERS_AT_SCALE_1, Demo, filled
from benchmarks.results import Row
from benchmarks.trials import say
from runner.connect import connect

ASKED = 20
# The demo is made a twentieth as large, which is quicker.
COPIES = 20


def run(bench: Bench, rows: int, runs: int) -> list[Row]:
    """Build the marts from the demo with `rows` orders; ask each question 20 times, after once to warm up."""
    del runs
    with filled(bench, "queries", rows / COPIES / ORDERS_AT_SCALE_1) as demo:
        say("loading, multiplying and building")
        demo.haven("load")
        script = (ROOT / "benchmarks" / "scripts" / "multiply.sql").read_text(encoding="utf-8")
        warehouse = demo.bench.warehouse
        for (statement,) in demo.bench.execute(warehouse, script.replace(":copies", str(COPIES))):
            demo.bench.execute(warehouse, statement)
        demo.bench.execute(warehouse, "analyze")
        # Only what the questions read, and what that reads.
        demo.dbt(
            "build", "--select", "+resource_type:analysis",
            "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test",
        )  # fmt: skip
        demo.bench.execute(warehouse, "vacuum analyze")
        demo.dbt("compile", "--select", "resource_type:analysis")
        compiled = sorted((demo.project / "target/compiled/haven/analyses").glob("*.sql"))
        return [row for path in compiled for row in _ask(demo, path, rows)]


def _ask(demo: Demo, path: Path, size: int) -> list[Row]:
    """Time one question, rows fetched, on a session that is open already."""
    query = path.read_text(encoding="utf-8")
    with closing(connect(demo.bench.warehouse)) as session, session.cursor() as cursor:
        cursor.execute(query)
        answers = len(cursor.fetchall())
        seconds = []
        for _ in range(ASKED):
            started = time.monotonic()
            cursor.execute(query)
            cursor.fetchall()
            seconds.append(time.monotonic() - started)
        cursor.execute(f"explain (format json) {query}")
        ((plan,),) = cursor.fetchall()
    p95 = sorted(seconds)[-2]
    say(f"  {path.stem}: p95 {p95:.3f} s")
    return [
        Row.of("queries", size, path.stem, "answers", "", [answers]),
        replace(Row.of("queries", size, path.stem, "median", "s", seconds), low=None, high=None),
        Row.of("queries", size, path.stem, "p95", "s", [p95]),
        Row("queries", size, path.stem, "reads", note="; ".join(_reads(plan[0]["Plan"]))),
    ]


def _reads(node: dict[str, Any]) -> list[str]:
    """Return what a plan reads and how, such as `Seq Scan fct_orders`, in the order of the plan."""
    found = []
    if "Relation Name" in node:
        how = " ".join(str(node[key]) for key in ("Node Type", "Index Name", "Relation Name") if key in node)
        found.append(f"parallel {how}" if node.get("Parallel Aware") else how)
    for child in node.get("Plans", []):
        found += _reads(child)
    return list(dict.fromkeys(found))
