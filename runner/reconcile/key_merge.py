"""Merges the keys of both sides, which come in the order of their hash, and tells what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

from runner.reconcile.reconciliation import Difference, Kind

# Key hash, row hash, copies, key, watermark, two pending flags: `statements.keys_of`.
Row = tuple[Any, ...]


@dataclass
class KeyDifferences:
    """What the merge of keys counts, and the first differences by name."""

    limit: int
    keeps_deleted: bool
    counts: Counter[Kind] = field(default_factory=Counter)
    named: list[Difference] = field(default_factory=list)

    def add(self, kind: Kind, key: Sequence[str] | None, copies: int = 1) -> None:
        """Count a difference, and name it while there is room, unless it is meant to be."""
        self.counts[kind] += copies
        if len(self.named) < self.limit and not (kind == "extra" and self.keeps_deleted):
            self.named.append(Difference(kind, None if key is None else tuple(key), copies))


def paired(left: Iterable[Row], right: Iterable[Row]) -> Iterator[tuple[list[Row], list[Row]]]:
    """Yield, for each key hash, the rows of both sides that have it; both come in its order."""
    ours, theirs = groupby(left, itemgetter(0)), groupby(right, itemgetter(0))
    nothing: tuple[None, Iterator[Row]] = (None, iter(()))
    one, two = next(ours, nothing), next(theirs, nothing)
    while one[0] is not None or two[0] is not None:
        takes_left = two[0] is None or (one[0] is not None and one[0] <= two[0])
        takes_right = one[0] is None or (two[0] is not None and two[0] <= one[0])
        yield (list(one[1]) if takes_left else []), (list(two[1]) if takes_right else [])
        one = next(ours, nothing) if takes_left else one
        two = next(theirs, nothing) if takes_right else two


def merge(found: KeyDifferences, groups: Iterable[tuple[list[Row], list[Row]]]) -> None:
    """Compare group by group. Rows: key hash, row hash, copies, key, watermark, two pending flags."""
    for ours, theirs in groups:
        there = {None if row[3] is None else tuple(row[3]): row for row in theirs}
        for row in ours:
            key = None if row[3] is None else tuple(row[3])
            other = there.pop(key, None)
            if other is None:
                found.add("pending" if row[6] else "missing", key, row[2])
            elif row[1] != other[1]:
                found.add("pending" if row[5] and row[4] != other[4] else "different", key)
            elif row[2] != other[2]:  # a bag: as many copies too few or too many
                kind: Kind = "missing" if row[2] > other[2] else "extra"
                found.add(kind, key, abs(row[2] - other[2]))
        for key, row in there.items():
            found.add("extra", key, row[2])
