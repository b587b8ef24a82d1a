"""The page's words: every sentence with a number takes it from the results."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.figures import Row

Results = dict[str, dict[str, Any]]
MEMORY_GOAL_MB = 150
NOTHING_GOAL_S = 2.0
TABLES_GOAL_S, TABLES_GOAL_MB = 15.0, 100
QUERY_GOAL_S = 1.0
GOAL_ROWS, GOAL_RUNS = 5_000_000, 5
QUERIES = """
The plans are short because the work is done before: each question reads an aggregate of the grain that it needs, which
the build makes from facts. Such a table has a row for a day, a month of a vendor or an hour of delay, not for an
order, so a scan of all of it is the best plan, and no index would be used. Medians and percentiles cannot be added
up from groups; `payment_delays` and `repeat_purchases` read counts by hour and by day and find them by a running sum.
Only `customer_lifetime_value` has a row for each customer: the best tenth of each currency come from its index, in
order, and nobody is sorted.
"""
# What does not grow with the rows asked for.
UNSCALED = ("values", "nothing", "tables", "queries")


def goals(results: Results) -> str:
    """Return the goals as a table: what was wanted, what was measured."""
    lines = []
    if part := results.get("bulk"):
        one = Row.of(part["entries"][1], part["entries"][0])
        lines.append(
            f"| first load, one stream, against the psql pipe | at least 0.9 | {_ratio(one.ratio)} "
            f"whole command, {_ratio(one.engine_ratio)} engine |"
        )
    if part := results.get("workers"):
        two = Row.of(part["one_table"][3], part["one_table"][0])
        lines.append(
            f"| first load, 2 workers, against the single pipe | at least 1.2 | {_ratio(two.ratio)} whole "
            f"command |"
        )
    if part := results.get("peers"):
        best = _haven(part["entries"])
        for name, goal in (("ingestr", 3), ("sling", 8)):
            found = [Row.of(e, part["entries"][0]) for e in part["entries"] if name in e["name"]]
            rates = [row.rows / row.median for row in found if row.ratio]
            if rates:
                times = best.rows / best.median / max(rates)
                lines.append(
                    f"| first load, Haven's best against {name}'s | at least {goal} | {times:.1f} |"
                )
    if part := results.get("incremental"):
        hand = Row.of(part["entries"][0], None)
        swept = _named(part["entries"], "all keys copied and compared")
        for entry in part["entries"]:
            row = Row.of(entry, None)
            if entry["own_seconds"] and row.engine_median:
                same = swept if "default" in row.name else hand
                what = "the same by hand" if same is swept else "the upsert by hand"
                lines.append(
                    f"| increment, {row.name}: seconds against {what} | at most 1.3 | "
                    f"{row.engine_median / same.median:.2f} engine, {row.median / same.median:.2f} whole "
                    f"command |"
                )
            if entry["name"].startswith("ingestr") and row.seconds:
                bare, whole = (
                    _named(part["entries"], name) for name in ("same work", "the default")
                )
                lines.append(
                    "| increment, whole command: Haven's seconds against ingestr's | at most 1.3 | "
                    f"{bare.median / row.median:.2f} for what ingestr does, "
                    f"{whole.median / row.median:.2f} with deleted rows found and the lookback |"
                )
    lines += _swap_goal(results.get("swap"))
    lines += _unchanged(results)
    lines += _models(results.get("models"))
    lines += _queries(results.get("queries"))
    peaks = [
        entry["peak_mb"]
        for part in results.values()
        for group in ("entries", "reloads", "one_table", "four_tables", "small", "large")
        for entry in part.get(group, [])
        if entry["is_haven"] and entry["peak_mb"]
    ]
    if peaks:
        lines.append(
            f"| Haven's peak memory in all of it | under {MEMORY_GOAL_MB} MB | {max(peaks):.0f} MB |"
        )
    small = {
        f"{part['rows']:,} rows and {part['runs']} trial{'s' if part['runs'] > 1 else ''}"
        for name, part in results.items()
        if name not in UNSCALED and (part["rows"] < GOAL_ROWS or part["runs"] < GOAL_RUNS)
    }
    if lines and small:
        lines.append(
            f"\n**The goals are for {GOAL_ROWS:,} rows and {GOAL_RUNS} trials; these figures are of a smaller run "
            f"({'; '.join(sorted(small))})**, in which start-up and chance weigh more."
        )
    return (
        "## In short\n\n| what | goal | measured |\n|---|---|---|\n" + "\n".join(lines) + "\n"
        if lines
        else ""
    )


def _unchanged(results: Results) -> list[str]:
    lines = []
    if part := results.get("nothing"):
        row = Row.of(part["entries"][0], None)
        lines.append(
            f"| nothing changed, whole command | under {NOTHING_GOAL_S:.0f} s | {row.median:.2f} s |"
        )
    if part := results.get("tables"):
        row = Row.of(part["entries"][1], None)
        lines.append(
            f"| {part['tables']:,} tables, nothing changed, whole command | under {TABLES_GOAL_S:.0f} s and "
            f"{TABLES_GOAL_MB} MB | {row.median:.1f} s, {row.peak} MB |"
        )
    return lines


def _models(part: dict[str, Any] | None) -> list[str]:
    if part is None:
        return []
    day, full = day_seconds(part["whole"]), part["whole"]["full_seconds"]
    return [
        "| a day of changes built in ten times the history | at most 1.5 times the seconds "
        f"| {day / day_seconds(part['tenth']):.2f} |",
        f"| the same against the full refresh | at most 15% | {100 * day / full:.0f}% |",
    ]


def day_seconds(size: dict[str, Any]) -> float:
    """Return the median seconds of the builds of one day of changes."""
    return statistics.median(size["seconds"])


def _queries(part: dict[str, Any] | None) -> list[str]:
    if part is None:
        return []
    slowest = max(part["questions"], key=lambda one: float(one["p95_seconds"]))
    return [
        f"| every query of analyses/ on {part['rows']:,} orders, p95 | under {QUERY_GOAL_S:.0f} s | at most "
        f"{slowest['p95_seconds']:.2f} s ({slowest['name']}) |"
    ]


def _swap_goal(part: dict[str, Any] | None) -> list[str]:
    if part is None:
        return []
    return [
        "| partition swap under 100 reads a second: p99 of a read, waits for locks included | under 100 ms, no "
        f"error, no half state | {part['swapping']['p99_ms']} ms, none, none |"
    ]


def bulk(part: dict[str, Any]) -> str:
    """Return what the first load's figures mean."""
    pipe, one = (Row.of(entry, part["entries"][0]) for entry in part["entries"][:2])
    keyed = _named(part["entries"], "the key is there before")
    start = one.median - (one.engine_median or one.median)
    return (
        f"\nOf Haven's {one.median:.2f} s, {start:.2f} s are start-up, plan and log around the table's "
        f"{one.engine}. The warehouse's sessions "
        f"were busy for {one.cpu['warehouse']:.2f} s of CPU, the source's for {one.cpu['source']:.2f}, "
        f"Haven itself for {one.cpu['client']:.2f}, "
        f"start-up included. A key that is there before the rows makes the pipe take {keyed.median:.2f} s "
        f"instead of {pipe.median:.2f}.\n"
    )


def workers(part: dict[str, Any]) -> str:
    """Return what the workers' figures mean."""
    _, pipes, _, two, four = (Row.of(e, part["one_table"][0]) for e in part["one_table"])
    busy = sum(two.cpu.values())
    return (
        f"\nTwo pipes at once, which make no key, reach {_ratio(pipes.ratio)} of the one pipe that makes "
        f"it; Haven reaches {_ratio(two.ratio)} with two "
        f"workers, {_ratio(four.ratio)} with four. With two workers client and sessions need {busy:.2f} s "
        f"of CPU within {two.median:.2f} s, and the machine "
        f"has {part['machine']['cores']} cores: it cannot be done in less than "
        f"{busy / part['machine']['cores']:.2f} s.\n"
    )


def growth(part: dict[str, Any]) -> str:
    """Return whether time a row and memory stay the same."""
    small, large = (Row.of(part[size][1], None) for size in ("small", "large"))
    each = [(row.engine_median or row.median) * 1e6 / row.rows for row in (small, large)]
    return (
        f"\nEngine time of one stream: {each[0]:.2f} µs a row at {small.rows:,} rows, {each[1]:.2f} µs at "
        f"{large.rows:,}; "
        f"memory {small.peak} and {large.peak} MB.\n"
    )


def models(part: dict[str, Any]) -> str:
    """Return what the tables cost that are computed whole at each build."""
    tenth, whole = part["tenth"], part["whole"]
    slowest = sorted(whole["tables"], key=lambda name: -float(whole["tables"][name]))[:5]
    said = ", ".join(f"{name} {whole['tables'][name]:.1f} s" for name in slowest)
    return (
        f"\nThe other {len(whole['tables'])} marts are tables, computed whole at each build: one `dbt build` of them "
        f"takes {tenth['tables_seconds']:.1f} s and {whole['tables_seconds']:.1f} s ({said}). A materialized view "
        "would be computed whole as well, at each refresh, and dbt would have to be told of its indexes and its "
        "order among the models just the same: none wins here.\n"
    )


def peers(part: dict[str, Any]) -> str:
    """Return how the other loaders compare with Haven."""
    best = _haven(part["entries"])
    said = []
    for entry in part["entries"]:
        row = Row.of(entry, part["entries"][0])
        if row.ratio and not row.is_haven and entry is not part["entries"][0]:
            said.append(f"{(best.rows / best.median) / (row.rows / row.median):.1f} of {row.name}")
    busy, cores = sum(best.cpu.values()), part["machine"]["cores"]
    return (
        f"\nHaven's best rows a second, as multiples of the others': {'; '.join(said)}. Haven, the pipe "
        "and pandas' script make the primary key; the others are told the key and make one or not, as the "
        "last column says.\n"
        f"\nWhat binds Haven here is CPU: {busy:.1f} s of it, {best.cpu['client']:.1f} s Haven's own, the rest the "
        f"servers'. If all {cores} cores were busy all the time, that would take {busy / cores:.1f} s, "
        f"{best.median / (busy / cores):.2f} times as fast as measured: about the most that one COPY and this key "
        "can reach on this machine.\n"
        if said
        else ""
    )


def incremental(part: dict[str, Any]) -> str:
    """Return what the increment's figures mean."""
    hand = Row.of(part["entries"][0], None)
    by_hand, sweep, ignore = (
        _named(part["entries"], name)
        for name in ("all keys copied and compared", "the default", "same work")
    )
    return (
        f"\nThe upsert by hand takes {hand.median:.2f} s. Haven's engine takes {ignore.engine} s for the "
        f"same, and {sweep.engine} s when it also looks for deleted rows: it compares hashes of the keys, "
        f"which both sides read where they lie. By hand, with all keys copied, that takes "
        f"{by_hand.median:.2f} s; none of the other loaders does it. By default Haven also reads "
        "the last 15 minutes before its watermark again, a quarter more rows here, and leaves alone those that are the "
        "same.\n"
    )


def _named(entries: list[dict[str, Any]], part_of_name: str) -> Row:
    return next(Row.of(entry, None) for entry in entries if part_of_name in entry["name"])


def _haven(entries: list[dict[str, Any]]) -> Row:
    rows = [Row.of(entry, entries[0]) for entry in entries if entry["is_haven"]]
    return min(rows, key=lambda row: row.median)


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
