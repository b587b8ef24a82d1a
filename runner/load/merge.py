"""Brings a raw table that exists up to date: finds what differs, stages it, and merges it in set-based SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner import checksums
from runner.catalog import Column
from runner.errors import DataError
from runner.load import merge_statements, multiset_statements, statements
from runner.load.copy import copy_rows
from runner.load.plan import TablePlan

# A smaller table is sooner copied than hashed.
HASHED_FROM_BYTES = 16 << 20
# Below, no plan is a bad one, and without statistics PostgreSQL takes a temp table for about that many rows.
ANALYZED_FROM_ROWS = 1_000
# More keys than these are not named one by one: the rows of their buckets are read.
MOST_NAMED = 10_000
# Fewer deleted rows than that are nothing to stop for, however small the table is.
FEW_DELETES = 10


class Counts(NamedTuple):
    """Rows read (or hashed) in the source, and what changed in raw."""

    read: int
    inserted: int
    updated: int
    deleted: int


class _Scope(NamedTuple):
    """What has to be looked at: the source's rows, the condition on raw's (`target`), and how many rows were hashed.

    `rows` is the same of the source with all columns. `is_equal` says that the hashes leave nothing to look at.
    """

    query: sql.Composable
    rows: sql.Composable
    among: sql.Composable = sql.SQL("true")
    hashed: int = 0
    is_equal: bool = False


def merge(
    plan: TablePlan, source: PgCursor, warehouse: PgCursor, load_id: int, on_bytes: Callable[[int], None]
) -> Counts:
    """Carry out a plan other than a first load, inside the caller's transactions.

    Raises psycopg2.Error or DataError (too many rows are gone, too); the caller rolls back.
    """
    _index_load_ids(plan, warehouse)
    counts = _Merge(plan, source, warehouse, load_id, on_bytes).run()
    _check_deletes(plan, warehouse, load_id, counts)
    return counts


def _check_deletes(plan: TablePlan, warehouse: PgCursor, load_id: int, counts: Counts) -> None:
    """Raise DataError if more rows are gone than the contract allows. Of a table without a key, a change is no loss."""
    gone = counts.deleted if plan.key else counts.deleted - counts.inserted
    if plan.max_deleted_share >= 1 or gone < FEW_DELETES:
        return
    warehouse.execute(statements.count_untouched(plan.raw, load_id))
    ((untouched,),) = warehouse.fetchall()
    before = untouched + counts.updated + counts.deleted
    if gone > plan.max_deleted_share * before:
        label = plan.spec.label
        raise DataError(
            f"{label}: {gone:,} of {before:,} rows are gone in the source, more than the "
            f"{plan.max_deleted_share:.0%} that its `max_deleted_share` allows: nothing was changed. If that is "
            f"right, run `haven load {label} --allow-deletes`, or raise `max_deleted_share` in {plan.spec.file}"
        )


def check_key_holds(plan: TablePlan, cursor: PgCursor, rows: sql.Composable) -> None:
    """Raise DataError if the source does not keep the key unique itself, and some of `rows` share one or have none."""
    if plan.is_key_sure or not plan.key:
        return
    cursor.execute(statements.faulty_key(rows, plan.key))
    found = cursor.fetchone()
    if found is not None:
        count, values = found
        has = ", ".join("null" if value is None else value for value in values)
        times = f" {count:,} times" if count > 1 else ""
        raise DataError(
            f"{plan.spec.label}: the key ({', '.join(plan.key)}) must be unique and without nulls, but the source's "
            f"{plan.kind} has ({has}){times}: nothing was changed. Fix that in the source, name a key that holds "
            f"with `primary_key` in {plan.spec.file}, or load a view of it without a key"
        )


def _index_load_ids(plan: TablePlan, warehouse: PgCursor) -> None:
    """Give raw the index on _load_id if it has none yet: in the load after the first one.

    The first leaves it out: it would hold no row, and finding that out takes a scan.
    """
    oid = sql.Literal(plan.raw.as_string(warehouse))
    warehouse.execute(statements.first_load_without_index(plan.raw, oid))
    row = warehouse.fetchone()
    if row is not None:
        warehouse.execute(statements.index_changes(plan.raw, row[0]))


class _Merge:
    def __init__(
        self, plan: TablePlan, source: PgCursor, warehouse: PgCursor, load_id: int, on_bytes: Callable[[int], None]
    ) -> None:
        self.plan, self.source, self.warehouse = plan, source, warehouse
        self.load_id, self.on_bytes = load_id, on_bytes
        self.raw, self.names, self.key = plan.raw, plan.names, plan.key
        types = {column.name: column for column in plan.columns}
        self.key_columns = [types[name] for name in plan.key]
        self.mark = types.get(plan.spec.watermark or "")
        self.is_hashed = bool(plan.key) and plan.size_bytes >= HASHED_FROM_BYTES

    def run(self) -> Counts:
        self.warehouse.execute(statements.create_stage(statements.STAGE, self.raw, self.names))
        if not self.key:
            return self._bag()
        if self.plan.mode == "full":
            return self._full()
        read = self._stage(statements.STAGE, self.plan.condition)
        check_key_holds(self.plan, self.warehouse, statements.STAGE)
        if not self.plan.is_sweeping:
            self._check_source()
            return Counts(read, *self._upsert(statements.STAGE), 0)
        with self._comparing(by_row=False) as compare:
            # The source looks at its keys meanwhile.
            inserted, updated = self._upsert(statements.STAGE)
            scope = compare()
        late = self._sweep(scope)
        return Counts(read + late.read, inserted + late.inserted, updated + late.updated, late.deleted)

    def _check_source(self) -> None:
        """Ask the source for keys that do not hold: what raw has of other rows cannot tell."""
        keys = statements.select_source(self.plan.source, self.key_columns)
        check_key_holds(self.plan, self.source, sql.SQL("({})").format(keys))

    def _stage(self, stage: sql.Identifier, condition: sql.Composable | None) -> int:
        query = statements.select_source(self.plan.source, self.plan.columns, condition)
        return self._copy(query, stage, self.names)

    def _copy(self, query: sql.Composable, into: sql.Identifier, names: tuple[str, ...]) -> int:
        rows = copy_rows(self.source, query, self.warehouse, into, names, on_bytes=self.on_bytes)
        if rows >= ANALYZED_FROM_ROWS:
            self.warehouse.execute(sql.SQL("analyze {}").format(into))
        return rows

    def _upsert(self, stage: sql.Identifier) -> tuple[int, int]:
        self.warehouse.execute(merge_statements.upsert(self.raw, self.names, self.key, self.load_id, stage))
        inserted, updated = self.warehouse.fetchone()  # type: ignore[misc]
        return inserted, updated

    def _bag(self) -> Counts:
        """Merge a table without a key: whole rows come and go."""
        read = self._stage(statements.STAGE, None)
        deleted = 0
        if self.plan.spec.deletes == "sweep":
            self.warehouse.execute(multiset_statements.tombstone_multiset(self.raw, self.names, self.load_id))
            deleted = self.warehouse.rowcount
        self.warehouse.execute(multiset_statements.insert_multiset(self.raw, self.names, self.load_id))
        return Counts(read, self.warehouse.rowcount, 0, deleted)

    def _full(self) -> Counts:
        """Compare all rows; move those of the buckets that differ."""
        self.warehouse.execute(statements.is_empty(self.raw))
        ((is_empty, now),) = self.warehouse.fetchall()
        if is_empty:  # someone emptied it: nothing to compare with
            self._check_source()
            query = statements.stamped(statements.select_source(self.plan.source, self.plan.columns), now, self.load_id)
            rows = self._copy(query, self.raw, (*self.names, *statements.STAMPS))
            return Counts(rows, rows, 0, 0)
        with self._comparing(by_row=True) as compare:
            scope = compare()
        if scope.is_equal:
            return Counts(scope.hashed, 0, 0, 0)
        staged = self._copy(scope.query, statements.STAGE, self.names)
        check_key_holds(self.plan, self.warehouse, statements.STAGE)
        self.warehouse.execute(merge_statements.create_changes(self.raw, self.names, self.key, scope.among))
        self.warehouse.execute(sql.SQL("analyze {}").format(statements.CHANGES))
        insert, update, delete = merge_statements.apply_changes(self.raw, self.names, self.key, self.load_id)
        is_ignored = self.plan.spec.deletes == "ignore"
        inserted, updated, deleted = (
            0 if statement is delete and is_ignored else self._execute(statement)
            for statement in (insert, update, delete)
        )
        return Counts(scope.hashed or staged, inserted, updated, deleted)

    def _sweep(self, scope: _Scope) -> Counts:
        """Compare keys and their marks; note what is gone, fetch what came or changed behind the watermark."""
        if scope.is_equal:
            return Counts(0, 0, 0, 0)
        names = tuple(column.name for column in self._swept())
        self.warehouse.execute(statements.create_stage(statements.KEYS, self.raw, names))
        self._copy(scope.query, statements.KEYS, names)
        check_key_holds(self.plan, self.warehouse, statements.KEYS)
        deleted = self._execute(merge_statements.tombstone(self.raw, self.key, self.load_id, scope.among))
        self.warehouse.execute(merge_statements.missing_keys(self.raw, self.key, names[len(self.key) :], MOST_NAMED))
        ((count, *values),) = self.warehouse.fetchall()
        if not count:
            return Counts(0, 0, 0, deleted)
        self.warehouse.execute(statements.create_stage(statements.FOUND, self.raw, self.names))
        if count > MOST_NAMED:
            read = self._copy(scope.rows, statements.FOUND, self.names)
        else:
            condition = statements.key_condition(self.key_columns, values)
            read = self._stage(statements.FOUND, condition)
        inserted, updated = self._upsert(statements.FOUND)
        return Counts(read, inserted, updated, deleted)

    def _swept(self) -> list[Column]:
        """Return the columns that a sweep compares: the key, and the watermark if it is not in there."""
        is_apart = self.mark is not None and self.mark not in self.key_columns
        return [*self.key_columns, *([self.mark] if self.mark and is_apart else [])]

    @contextmanager
    def _comparing(self, *, by_row: bool) -> Iterator[Callable[[], _Scope]]:
        """Compare hashes of rows, or only of keys and marks, if the table is worth it; give what is left.

        The source begins at once, the warehouse when what is yielded is called.
        """
        columns: Sequence[Column] = self.plan.columns if by_row else self._swept()
        query = statements.select_source(self.plan.source, columns)
        if not self.is_hashed:
            yield lambda: _Scope(query, self._rows())
            return
        live = statements.raw_rows(self.raw, [column.name for column in columns])
        with checksums.comparing(
            self.source, query, self.warehouse, live, self.key_columns, columns if by_row else (), self.mark
        ) as compare:
            yield lambda: self._scope(query, compare())

    def _rows(self) -> sql.Composable:
        return statements.select_source(self.plan.source, self.plan.columns)

    def _scope(self, query: sql.Composable, found: checksums.Comparison) -> _Scope:
        if not found.is_worthwhile:
            return _Scope(query, self._rows(), hashed=found.source_rows)
        return _Scope(
            found.of_source(query, self.key_columns),
            found.of_source(self._rows(), self.key_columns),
            found.condition("target", self.key_columns),
            found.source_rows,
            is_equal=not found.buckets,
        )

    def _execute(self, statement: sql.Composable) -> int:
        self.warehouse.execute(statement)
        return self.warehouse.rowcount
