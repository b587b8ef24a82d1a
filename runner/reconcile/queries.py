"""The SQL of a reconciliation, composed for any table. Pure: names and types in, statements out.

A row is rendered by `record_send`: the very bytes that a binary COPY carries, so 1.0 and 1.00, null and '', -0.0 and
0.0 differ, and no session setting or server encoding has a say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql

from runner.catalog import Column
from runner.checksums import BUCKETS, Hashing, bucket_of, key_values
from runner.load.plan import TablePlan
from runner.load.statements import KEYS, STAGE, key_rows, select_source


@dataclass(frozen=True)
class Side:
    """One side's rows under their raw names and types, how it hashes, and its pending rule (source only)."""

    rows: sql.Composable
    columns: tuple[Column, ...]
    key: tuple[Column, ...]
    hashing: Hashing
    is_pending_change: sql.Composable
    is_pending_row: sql.Composable
    watermark: sql.Composable

    def digest(self, parts: Sequence[sql.Composable]) -> sql.Composed:
        """Return the 64-bit hash of a row of `parts`."""
        return self.hashing.row(parts)

    @property
    def row_digest(self) -> sql.Composed:
        """Return the hash of all compared columns."""
        return self.digest([sql.Identifier("compared", column.name) for column in self.columns])

    @property
    def key_digest(self) -> sql.Composable:
        """Return the hash of the key, or of the whole row where there is no key. Keys that share one are told apart."""
        return self.hashing.key("compared", self.key) if self.key else self.row_digest

    @property
    def bucket(self) -> sql.Composed:
        """Return the number of the row's bucket."""
        return bucket_of(self.key_digest)


def source_rows(plan: TablePlan, columns: Sequence[Column]) -> sql.Composed:
    """Return the query for the source's rows, cast as the loader casts them; a view is planned as if it were alone."""
    query = select_source(plan.source, columns)
    return sql.SQL("{} offset 0").format(query) if plan.kind == "view" else query


def raw_rows(plan: TablePlan, columns: Sequence[Column]) -> sql.Composed:
    """Return the query for raw's live rows, in the source's types: a column that grew there may not have here yet."""
    names = sql.SQL(", ").join(
        sql.SQL("{}::{} as {}").format(
            sql.Identifier(plan.drift.name_in_raw(c.name)), sql.SQL(c.raw_type), sql.Identifier(c.name)
        )
        for c in columns
    )
    return sql.SQL("select {} from {} where _deleted_at is null").format(names, plan.raw)


def keys_of(side: Side, wanted: Sequence[int]) -> sql.Composed:
    """Return the query for the rows of some buckets in the order of their key hash.

    Columns: key hash, row hash, copies, key texts, watermark, two pending flags.
    """
    where: sql.Composable = sql.SQL("")
    if len(wanted) < BUCKETS:
        where = sql.SQL(" where {} = any({})").format(side.bucket, sql.Literal(list(wanted)))
    if not side.key:
        return sql.SQL(
            "select {digest}, {digest}, count(*), null::text[], null::text, false, false "
            "from ({rows}) as compared{where} group by 1, 2 order by 1"
        ).format(digest=side.row_digest, rows=side.rows, where=where)
    return sql.SQL(
        "select {key_digest}, {digest}, 1, {key}, {watermark}, {change}, {row} "
        "from ({rows}) as compared{where} order by 1"
    ).format(
        key_digest=side.key_digest,
        digest=side.row_digest,
        key=_key_texts(side.key),
        watermark=side.watermark,
        change=side.is_pending_change,
        row=side.is_pending_row,
        rows=side.rows,
        where=where,
    )


def columns_of(side: Side, condition: sql.Composable, *, with_values: bool, names: Sequence[str]) -> sql.Composed:
    """Return the query for key texts, each column's hash, and each column's text if asked for."""
    chosen = [sql.Identifier("compared", name) for name in names]
    texts: sql.Composable = sql.SQL("null::text[]")
    if with_values:
        parts = sql.SQL(", ").join(sql.SQL("{}::text").format(column) for column in chosen)
        texts = sql.SQL("array[{}]").format(parts)
    return sql.SQL(
        "select {key}, array[{hashes}]::bigint[], {texts} from ({rows}) as compared where {condition}"
    ).format(
        key=_key_texts(side.key),
        hashes=sql.SQL(", ").join(side.digest([column]) for column in chosen),
        texts=texts,
        rows=side.rows,
        condition=condition,
    )


def _key_texts(key: Sequence[Column]) -> sql.Composed:
    parts = sql.SQL(", ").join(sql.SQL("{}::text").format(value) for value in key_values("compared", key))
    return sql.SQL("array[{}]").format(parts)


def fill_keys(key: Sequence[Column], values: Sequence[Sequence[str]]) -> sql.Composed:
    """Return the statement that puts keys (one list of texts per key column) into the temp table of keys."""
    return sql.SQL("insert into {} {}").format(KEYS, key_rows(key, values))


def tombstone_named(raw: sql.Identifier, key: Sequence[Column], load_id: int) -> sql.Composed:
    """Return the statement that marks the named keys which the source no longer has as deleted."""

    def same(left: str) -> sql.Composed:
        return sql.SQL(" and ").join(
            sql.SQL("{} = {}").format(sql.Identifier(left, c.name), sql.Identifier("target", c.name)) for c in key
        )

    return sql.SQL(
        "update {raw} as target set _deleted_at = now(), _loaded_at = now(), _load_id = {load_id} "
        "where target._deleted_at is null "
        "and exists (select from {keys} as named where {named}) "
        "and not exists (select from {stage} as staged where {staged})"
    ).format(raw=raw, load_id=sql.Literal(load_id), keys=KEYS, named=same("named"), stage=STAGE, staged=same("staged"))
