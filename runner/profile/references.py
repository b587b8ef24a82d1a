"""Finds foreign keys: what the source declares, and what values and names suggest.

A column is taken for a reference to a unique column of the same type if at most MAX_ORPHANS of its rows lack a
partner, and
- its name tells so: it ends with the name of that column, or holds the name of that table; or
- without such a name, no row lacks one, it has MIN_DISTINCT values, and (numbers, as all counters start at 1) these
  are at least half of the other table's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner.profile.catalog import SourceColumn, SourceTable
from runner.profile.result import ColumnProfile, Key, Reference
from runner.profile.scan import Scan, whole

MAX_ORPHANS = 0.1
MIN_DISTINCT = 20
_COVERAGE = 0.5
# Names of columns that say nothing about what they identify.
_GENERIC = {"id", "uuid", "guid", "key", "code", "name", "number", "no", "nr", "ref"}
_CHANGES_OF_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class Profiled:
    """A table on the way to its profile: what the catalog says, what was scanned and found."""

    label: str
    table: SourceTable
    scan: Scan
    columns: tuple[ColumnProfile, ...]
    keys: tuple[Key, ...]

    def unique_columns(self, *, is_declared: bool = False) -> list[ColumnProfile]:
        """Return the columns that are a key on their own for certain; or only those declared so."""
        names = {
            key.columns[0]
            for key in self.keys
            if len(key.columns) == 1 and key.is_proven and key.is_declared >= is_declared
        }
        return [column for column in self.columns if column.name in names]


def find_references(
    cursor: PgCursor, child: Profiled, parents: Sequence[Profiled]
) -> tuple[Reference, ...]:
    """Return the references of one table: declared ones, then inferred ones by column."""
    found = _declared(cursor, child, {(p.table.schema, p.table.name): p.label for p in parents})
    known = {reference.columns for reference in found}
    for column in child.columns:
        if (column.name,) not in known:
            found += _inferred(cursor, child, column, parents)
    return tuple(found)


def _declared(
    cursor: PgCursor, child: Profiled, labels: Mapping[tuple[str, str], str]
) -> list[Reference]:
    nulls = {column.name: column.nulls for column in child.columns}
    found = []
    for declared in child.table.references:
        if not set(declared.columns) <= nulls.keys():
            continue
        to_table = labels.get((declared.to_schema, declared.to_table))
        rows: int | None = None
        orphans: int | None = 0
        if len(declared.columns) == 1 and not child.scan.is_sampled:
            rows = child.scan.rows - nulls[declared.columns[0]]
        if not declared.is_validated:
            parent = SourceTable(declared.to_schema, declared.to_table, "table", 0, (), (), ())
            rows, orphans = _count(
                cursor, whole(child.table), declared.columns, parent, declared.to_columns
            )
        found.append(
            Reference(
                columns=declared.columns,
                to_table=to_table or f"{declared.to_schema}.{declared.to_table}",
                to_columns=declared.to_columns,
                is_declared=True,
                evidence="constraint" if declared.is_validated else "constraint, not validated",
                rows=rows,
                orphans=orphans,
            )
        )
    return found


def _inferred(
    cursor: PgCursor, child: Profiled, column: ColumnProfile, parents: Sequence[Profiled]
) -> list[Reference]:
    source = child.table.column(column.name)
    rows = child.scan.profiled_rows - column.nulls
    if not (_may_refer(source) and rows and column.distinct):
        return []
    is_key = any(key.columns == (column.name,) for key in child.keys)
    is_declared_key = any(key.columns == (column.name,) and key.is_declared for key in child.keys)
    by_name, by_value = [], []
    for parent in parents:
        # A declared key refers to a declared key only: it is rather the other way round.
        for target in parent.unique_columns(is_declared=is_declared_key):
            # Two keys of one table number the same rows.
            if parent.label == child.label and (is_key or target.name == column.name):
                continue
            if parent.table.column(target.name).base_type != source.base_type:
                continue
            if is_named_after(column.name, target.name, parent.table.name, is_key=is_key):
                by_name.append((parent, target))
            elif _may_cover(column, target, is_number=source.kind == "number", is_key=is_key):
                by_value.append((parent, target))
    found = [
        _reference(cursor, child, column, *pair, evidence="name and values") for pair in by_name
    ]
    kept = [r for r in found if r.orphan_share is not None and r.orphan_share <= MAX_ORPHANS]
    if kept or by_name:
        return kept
    found = [_reference(cursor, child, column, *pair, evidence="values") for pair in by_value]
    return [reference for reference in found if reference.orphans == 0][:1]


def _may_refer(column: SourceColumn) -> bool:
    return column.is_comparable and (
        column.kind == "text" or column.is_whole_number or column.type_name == "uuid"
    )


def _may_cover(
    column: ColumnProfile, target: ColumnProfile, *, is_number: bool, is_key: bool
) -> bool:
    mine, theirs = column.distinct or 0, target.distinct or 0
    is_counter = is_number and (is_key or mine < _COVERAGE * theirs)
    return MIN_DISTINCT <= mine <= theirs and not is_counter


def is_named_after(column: str, target: str, table: str, *, is_key: bool) -> bool:
    """Return whether `column` is named like a reference to `target` of `table`.

    A column that is itself a key must have the very name of the target, or hold the table's.
    """
    mine, theirs = _words(column), _words(target)
    stems = [_stem(word) for word in _words(table)]
    if mine[-len(theirs) :] == theirs and not set(theirs) <= _GENERIC:
        return not is_key or mine == theirs
    if not stems:
        return False
    spelled = [_stem(word) for word in mine]
    return any(spelled[at : at + len(stems)] == stems for at in range(len(spelled)))


def _words(name: str) -> list[str]:
    return [w for w in re.split(r"[\W_]+", _CHANGES_OF_CASE.sub("_", name).lower()) if w]


def _stem(word: str) -> str:
    """Return an English noun without its plural ending, near enough to compare names."""
    for ending, singular in (
        ("ies", "y"),
        ("sses", "ss"),
        ("ses", "se"),
        ("xes", "x"),
        ("ches", "ch"),
    ):
        if word.endswith(ending):
            return word.removesuffix(ending) + singular
    return word.removesuffix("s") if not word.endswith("ss") else word


def _reference(
    cursor: PgCursor,
    child: Profiled,
    column: ColumnProfile,
    parent: Profiled,
    target: ColumnProfile,
    *,
    evidence: str,
) -> Reference:
    rows, orphans = _count(
        cursor, child.scan.relation, (column.name,), parent.table, (target.name,)
    )
    return Reference(
        columns=(column.name,),
        to_table=parent.label,
        to_columns=(target.name,),
        is_declared=False,
        evidence=evidence,
        rows=rows,
        orphans=orphans,
        is_proven=not child.scan.is_sampled,
    )


def _count(
    cursor: PgCursor,
    relation: sql.Composable,
    columns: Sequence[str],
    parent: SourceTable,
    to_columns: Sequence[str],
) -> tuple[int, int]:
    """Return how many rows have a value, and how many of those the parent lacks."""
    both = list(zip(columns, to_columns, strict=True))
    given = [sql.SQL("{} is not null").format(sql.Identifier("t", name)) for name in columns]
    equal = [
        sql.SQL("{} = {}").format(
            sql.Identifier("parent", theirs), sql.Identifier("given", f"c{at}")
        )
        for at, (_, theirs) in enumerate(both)
    ]
    names = [
        sql.SQL("{} as {}").format(sql.Identifier("t", mine), sql.Identifier(f"c{at}"))
        for at, (mine, _) in enumerate(both)
    ]
    cursor.execute(
        sql.SQL(
            """
            with given as (
                select {names}, count(*) as n from {relation} where {given} group by {places}
            )
            select
                coalesce(sum(n), 0),
                coalesce(sum(n) filter (
                    where not exists (select 1 from {parent} as parent where {equal})
                ), 0)
            from given
            """
        ).format(
            names=sql.SQL(", ").join(names),
            relation=relation,
            given=sql.SQL(" and ").join(given),
            places=sql.SQL(", ").join(sql.SQL(str(at + 1)) for at in range(len(both))),
            parent=parent.identifier,
            equal=sql.SQL(" and ").join(equal),
        )
    )
    rows, orphans = cursor.fetchone() or (0, 0)
    return int(rows), int(orphans)
