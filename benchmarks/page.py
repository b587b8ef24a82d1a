"""Writes docs/performance.md and docs/performance.svg from the results that were kept, and from nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import analysis, chart
from benchmarks.figures import Row, cell, cpu_table, rows_of
from benchmarks.prose import HEAD, RERUN

Results = dict[str, dict[str, Any]]


def write(results_folder: Path, docs: Path) -> None:
    """Write both files into `docs`; a part that was never run is left out, and said to be."""
    results: Results = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(results_folder.glob("*.json"))
    }
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "performance.svg").write_text(chart.svg(results), encoding="utf-8")
    parts = [HEAD, analysis.goals(results)]
    parts.append(f"![{chart.alternative(results)}](performance.svg)\n")
    parts += [section for section in _sections(results) if section]
    parts += [RERUN, _where(results)]
    text = "\n".join(part.strip("\n") + "\n" for part in parts if part)
    (docs / "performance.md").write_text(text, encoding="utf-8")


def _sections(results: Results) -> list[str]:
    return [
        _bulk(results.get("bulk")),
        _workers(results.get("workers")),
        _growth(results.get("growth")),
        _peers(results.get("peers")),
        _incremental(results.get("incremental")),
        _nothing(results.get("nothing")),
        _tables(results.get("tables")),
        _swap(results.get("swap")),
        _reconcile(results.get("reconcile")),
        _models(results.get("models")),
        _values(results.get("values")),
        _queries(results.get("queries")),
    ]


def _bulk(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    reloads = rows_of(part["reloads"], part["entries"][0])
    return (
        f"## First load of {part['rows']:,} rows, key included\n\n"
        "Baseline: `psql | psql` into a table made in the same transaction (FREEZE), then its primary key.\n\n"
        + _table(rows_of(part["entries"], part["entries"][0]))
        + "\nThe same table again, with `haven load --full` into a raw table that has its key and serves "
        "readers meanwhile:\n\n" + _table(reloads) + analysis.bulk(part)
    )


def _workers(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    return (
        f"## More workers, {part['rows']:,} rows\n\nOne table, which Haven splits by ranges of its pages "
        f"when it is large enough:\n\n"
        + _table(rows_of(part["one_table"], part["one_table"][0]))
        + "\nFour tables with as many rows together, against the one pipe of one table:\n\n"
        + _table(rows_of(part["four_tables"], part["four_tables"][0]))
        + "\nWhere the time goes, in seconds of CPU; a session that is busy all the time is what binds:\n\n"
        + cpu_table(rows_of(part["one_table"], part["one_table"][0]))
        + analysis.workers(part)
    )


def _growth(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    lines = [
        "| method | rows | seconds | engine | µs a row | peak MB |",
        "|---|---|---|---|---|---|",
    ]
    for small, large in zip(part["small"], part["large"], strict=True):
        for entry in (small, large):
            row = Row.of(entry, None)
            each = f"{row.median * 1e6 / row.rows:.2f}"
            values = (cell(row.name), f"{row.rows:,}", row.seconds, row.engine, each, row.peak)
            lines.append(f"| {' | '.join(values)} |")
    return "## Ten times the rows\n\n" + "\n".join(lines) + "\n" + analysis.growth(part)


def _peers(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    shown = rows_of(part["entries"], part["entries"][0])
    missing = "".join(f"| {name} | not installed | | | | | |\n" for name in part["missing"])
    settings = "".join(f"- {name}: {text}.\n" for name, text in part["settings"].items())
    return (
        f"## Other loaders, {part['rows']:,} rows\n\n"
        + _table(shown)
        + missing
        + (f"\nSettings, chosen for speed:\n\n{settings}" if settings else "")
        + analysis.peers(part)
    )


def _incremental(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    return (
        f"## {part['changed']:,} random updates in {part['rows']:,} rows\n\n"
        "Every method has a copy of its own and brings it up to date after the same changes. Speed is "
        "against the upsert by hand. Every method's commit waits for the disk here (`synchronous_commit = on`, "
        "PostgreSQL's own default), as Haven's always does: what it reports as loaded survives a crash. In the other "
        "parts only Haven's waits.\n\n"
        + _table(rows_of(part["entries"], part["entries"][0]))
        + analysis.incremental(part)
    )


def _nothing(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    (entry,) = part["entries"]
    row = Row.of(entry, None)
    return (
        "## Nothing changed\n\n"
        f"`haven load` of all {part['tables']} tables of the demo (scale {part['scale']:g}, {row.rows:,} "
        f"rows), deleted rows looked for, whole "
        f"command: **{row.seconds} s**, of which Python and the imports of `haven` take about "
        f"{part['startup_seconds']:.2f} s "
        f"(`haven --version`). Peak memory {row.peak} MB.\n"
    )


def _tables(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    hand, ours = rows_of(part["entries"], part["entries"][0])
    return (
        f"## {part['tables']:,} tables, nothing changed\n\n"
        f"Tables of {part['rows_each']} rows with a watermark, deleted rows looked for, whole command, the plan of all "
        f"tables included: **{ours.seconds} s**, {ours.median / part['tables'] * 1000:.1f} ms a table, peak memory "
        f"{ours.peak} MB. The baseline, one `psql` that only asks each table of the source for its highest mark, takes "
        f"{hand.seconds} s, {hand.median / ours.median:.3f} of that. The first load took {part['first_seconds']} s.\n"
    )


def _swap(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    lines = "".join(
        f"| {name} | {reads['transactions']:,} | {reads['p50_ms']} | {reads['p99_ms']} | {reads['max_ms']} |\n"
        for name, reads in (
            ("alone", part["alone"]),
            ("while partitions are swapped", part["swapping"]),
        )
    )
    return (
        "## Partitions swapped under readers\n\n"
        f"`pgbench` starts {part['rate']} transactions a second on a partitioned table of "
        f"{part['table_rows']:,} rows, while dbt replaces three of its 24 months ({part['swapped_rows']:,} rows) "
        f"{part['builds']} times and another reader keeps a transaction open for a second, every five. Each "
        "transaction reads a day of each of the three and fails unless all rows are there and of one build; one in "
        "five counts a small table that the same dbt run merges, moving every row to a new partition. None failed. "
        "Milliseconds of a transaction, all waits for locks included:\n\n"
        f"| readers | transactions | median | p99 | longest |\n|---|---|---|---|---|\n{lines}"
    )


def _reconcile(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    lines = [
        "| | by hand, seconds | haven reconcile, seconds | times | peak MB |",
        "|---|---|---|---|---|",
    ]
    for hand, ours in part["cases"]:
        ourselves, theirs = Row.of(ours, None), Row.of(hand, None)
        what = ours["name"].split(": ", 1)[1]
        times = f"{ourselves.median / theirs.median:.2f}"
        lines.append(
            f"| {what} | {theirs.seconds} | {ourselves.seconds} | {times} | {ourselves.peak} |"
        )
    return (
        f"## What differs, {part['rows']:,} rows\n\n"
        "Whole commands. By hand is `count(*), sum(hashtext(t::text))` on both sides at once: it tells that something "
        "differs, not what; `haven reconcile` names the keys and columns.\n\n"
        + "\n".join(lines)
        + "\n"
    )


def _models(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    sizes = part["tenth"], part["whole"]
    heads = [f"{size['orders']:,} orders, {what}" for what in ("a day", "whole") for size in sizes]
    lines = [f"| seconds | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    rows = [
        (
            "`dbt build`",
            *(analysis.day_seconds(size) for size in sizes),
            *(size["full_seconds"] for size in sizes),
        ),
        *(
            (name, *(size[kind][name] for kind in ("models", "refreshed") for size in sizes))
            for name in part["whole"]["models"]
        ),
    ]
    lines += [f"| {what} | {' | '.join(f'{one:.2f}' for one in found)} |" for what, *found in rows]
    return (
        "## A day of changes in the incremental models\n\n"
        "All incremental models and the snapshots, whole commands without tests, medians; below them each one's own "
        "time: of a day's changes, and of `--full-refresh` (snapshots have none). Both marketplaces have "
        f"{part['orders_per_day']:,} orders a day, and the days of changes are the same: "
        "half as many orders are new, as many change, a few are late or vanish, with items, payments, bids, views, and "
        "changes of customers, products and vendors.\n\n"
        + "\n".join(lines)
        + "\n"
        + analysis.models(part)
    )


def _values(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    tools = part["tools"]
    lines = [
        f"| | {' | '.join(tools)} |",
        f"|---|{'---|' * len(tools)}",
        *(f"| {row['what']} | {' | '.join(map(cell, row['found']))} |" for row in part["table"]),
    ]
    return (
        "## What arrives as it was\n\n"
        "Found by running each loader on small tables, one kind of value each: exact (value and type), the "
        "value in another "
        "type, or what became of it. Settings as above; a failed load is one that ends with an error.\n\n"
        + "\n".join(lines)
        + "\n"
    )


def _queries(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    facts = ", ".join(f"{count:,} rows in {name}" for name, count in part["facts"].items())
    lines = [
        "| question | answers | median, seconds | p95, seconds | reads |",
        "|---|---|---|---|---|",
        *(
            f"| {one['name']} | {one['answers']:,} | {one['median_seconds']:.3f} | "
            f"{one['p95_seconds']:.3f} | {'; '.join(one['reads'])} |"
            for one in part["questions"]
        ),
    ]
    return (
        f"## Questions to the marts, {part['rows']:,} orders\n\n"
        f"The queries of `analyses/`, asked {part['asked']} times each after once to warm up, answers fetched, one "
        f"session, after `dbt build` and `vacuum analyze`: {facts}. The last column is what the plan reads, and "
        "how.\n\n" + "\n".join(lines) + "\n" + analysis.QUERIES
    )


def _table(rows: Sequence[Row]) -> str:
    head = "| method | speed | rows/s | seconds | engine | peak MB | |\n|---|---|---|---|---|---|---|\n"
    return head + "".join(row.line() for row in rows)


def _where(results: Results) -> str:
    lines = [
        "\n## Where and when\n",
        "| part | rows | trials | measured | machine |",
        "|---|---|---|---|---|",
    ]
    for name, part in results.items():
        machine = part["machine"]
        about = (
            f"{machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}, PostgreSQL "
            f"{machine['postgresql']} "
            f"on both sides, Python {machine['python']}, psycopg2 {machine['psycopg2']}"
        )
        lines.append(
            f"| {name} | {part['rows']:,} | {part['runs']} | {part['measured_at']} | {about} |"
        )
    return "\n".join(lines)
