"""Runs methods in turn, A B C A B C, checks every copy, and keeps what was measured."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.cluster import Bench, WrongResult
from benchmarks.measure import CommandFailed, Measured, Pipe
from benchmarks.results import Row
from benchmarks.table import Shape

NO_KEY = "makes no primary key"
SCHEMAS = (
    "raw", "raw_sweep", "raw_ignore", "raw_values", "raw_happenings", "by_hand", "peer",
    "peer_staging", "_bruin_staging",
)  # fmt: skip


def say(text: str) -> None:
    """Print one progress line."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Method:
    """One way to do a job.

    `pipes` are run side by side as one timed trial, after `prepare`, which is not timed. `relation` is where the copy
    is then. `runs` limits the trials of slow methods, `rows` says that only so many rows are loaded. What `is_peer`
    may fail or be wrong: that is a result too; anything else stops the bench.
    """

    name: str
    pipes: Callable[[], Sequence[Pipe]]
    relation: str
    prepare: Callable[[], None] = lambda: None
    rows: int | None = None
    runs: int | None = None
    is_peer: bool = False
    is_haven: bool = False
    note: str = ""


@dataclass
class Result:
    """All trials of one method: wall seconds, Haven's own seconds for a single table, CPU seconds of client, source
    and warehouse, peak MiB of the client.
    """

    name: str
    size: int
    seconds: list[float] = field(default_factory=list)
    own_seconds: list[float] = field(default_factory=list)
    cpu_seconds: dict[str, list[float]] = field(default_factory=dict)
    peak_mb: float | None = None
    is_haven: bool = False
    note: str = ""
    error: str = ""

    def add(self, done: Measured, servers: dict[str, float]) -> None:
        """Keep one trial."""
        self.seconds.append(done.seconds)
        for side, seconds in {"client": done.cpu_seconds, **servers}.items():
            self.cpu_seconds.setdefault(side, []).append(seconds)
        if done.peak_mb is not None:
            self.peak_mb = max(self.peak_mb or 0, done.peak_mb)
        if self.is_haven:
            tables = json.loads(done.output)["tables"]
            if len(tables) == 1:
                self.own_seconds.append(tables[0]["seconds"])

    def rows(self, part: str, baseline: Result | None = None) -> list[Row]:
        """Return the figures; speeds are rows a second against `baseline`, round by round."""
        if not self.seconds:
            return [Row(part, self.size, self.name, "seconds", note=self.error)]
        sides = {side: statistics.median(used) for side, used in self.cpu_seconds.items()}
        measures = (
            ("seconds", "s", self.seconds, ""),
            ("engine", "s", self.own_seconds, ""),
            ("CPU", "s", [sum(sides.values())], ", ".join(f"{s} {used:.2f}" for s, used in sides.items())),
            ("peak memory", "MB", [self.peak_mb] if self.peak_mb else [], ""),
        )
        found = [
            Row.of(part, self.size, self.name, name, unit, values, note=note)
            for name, unit, values, note in measures
            if values
        ]
        # Pair by pair: the two of a round ran one after the other, on a machine in the same mood.
        for name, own in (("speed", self.seconds), ("engine speed", self.own_seconds)):
            if baseline is not None and own:
                pairs = zip(own, baseline.seconds, strict=False)
                speeds = [self.size / ours / (baseline.size / theirs) for ours, theirs in pairs]
                found.append(Row.of(part, self.size, self.name, name, "times", speeds, baseline.name))
        note = "; ".join(text for text in (self.note, self.error) if text)
        return [*found, Row(part, self.size, self.name, "note", note=note)] if note else found


def rows_of(part: str, results: Sequence[Result], *without: str) -> list[Row]:
    """Return the figures of all results, the first being the baseline, without some measures."""
    found = (row for result in results for row in result.rows(part, results[0]))
    return [row for row in found if row.measure not in without]


def one_trial(bench: Bench, method: Method, result: Result, expected: Shape | None, where: str = "true") -> None:
    """Run and check one trial of `method` and add it to `result`.

    Raises CommandFailed or WrongResult, but for a peer: its error is kept in `result`.
    """
    try:
        method.prepare()
        done, servers = bench.measured(*method.pipes())
        if expected is not None:
            bench.check(method.name, method.relation, expected, where)
    except (CommandFailed, WrongResult) as error:
        if not method.is_peer:
            raise
        # The end of it on one line, without the temporary paths in it.
        words = ["…" if "/tmp/" in word else word for word in str(error).split()]  # noqa: S108
        result.error = " ".join(words)[-300:]
        say(f"  {method.name}: {result.error}")
        return
    if method.is_peer and not bench.has_key(method.relation) and NO_KEY not in result.note:
        result.note = "; ".join(text for text in (result.note, NO_KEY) if text)
    result.add(done, servers)
    say(f"  {method.name}: {done.seconds:.2f} s, {done.peak_mb or 0:.0f} MB")


def compare(bench: Bench, methods: Sequence[Method], rows: int, runs: int, shapes: dict[int, Shape]) -> list[Result]:
    """Load by each method in turn, `runs` times, into a fresh table each time; return one result each.

    `shapes` gives the expected copy for a number of rows.
    """
    results = {m.name: Result(m.name, m.rows or rows, is_haven=m.is_haven, note=m.note) for m in methods}
    for number in range(runs):
        say(f"trial {number + 1} of {runs}")
        for method in methods:
            result = results[method.name]
            if result.error or number >= (method.runs or runs):
                continue
            clean(bench)
            one_trial(bench, method, result, shapes[result.size])
    clean(bench)
    return list(results.values())


def clean(bench: Bench) -> None:
    """Drop all copies in the warehouse, and make the schema for copies by hand."""
    bench.execute(bench.warehouse, f"drop schema if exists {', '.join(SCHEMAS)} cascade", "create schema by_hand")
