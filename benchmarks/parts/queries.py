"""The questions of analyses/, asked of marts that were built from millions of orders."""

from __future__ import annotations

import statistics
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.cluster import ROOT, Bench
from benchmarks.demo import ORDERS_AT_SCALE_1, Demo, filled
from benchmarks.trials import say
from runner.connect import connect

# The whole of it: fill, load, build; a question takes next to nothing.
SECONDS_PER_MILLION, SECONDS, MAX_RUNS = 300, 60, 1
ASKED = 20
# The demo is made a twentieth as large, which is quicker.
COPIES = 20


def run(bench: Bench, rows: int, runs: int) -> dict[str, Any]:
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
        facts = {
            name: demo.bench.execute(warehouse, f"select count(*) from analytics.{name}")[0][0]
            for name in ("fct_orders", "fct_order_items", "fct_payments", "fct_bids")
        }
        compiled = sorted((demo.project / "target/compiled/haven/analyses").glob("*.sql"))
        questions = [_ask(demo, path) for path in compiled]
    return {"questions": questions, "facts": facts, "asked": ASKED}


def _ask(demo: Demo, path: Path) -> dict[str, Any]:
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
    p95 = statistics.quantiles(seconds, n=20)[-1]
    say(f"  {path.stem}: p95 {p95:.3f} s")
    return {
        "name": path.stem,
        "answers": answers,
        "median_seconds": round(statistics.median(seconds), 4),
        "p95_seconds": round(p95, 4),
        "reads": _reads(plan[0]["Plan"]),
    }


def _reads(node: dict[str, Any]) -> list[str]:
    """Return what a plan reads and how, such as `Seq Scan fct_orders`, in the order of the plan."""
    found = []
    if "Relation Name" in node:
        how = " ".join(
            str(node[key]) for key in ("Node Type", "Index Name", "Relation Name") if key in node
        )
        found.append(f"parallel {how}" if node.get("Parallel Aware") else how)
    for child in node.get("Plans", []):
        found += _reads(child)
    return list(dict.fromkeys(found))
