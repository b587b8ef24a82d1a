"""The set-based SQL that brings a raw table up to date with what was staged. Pure: names in, statements out.

Rows are compared with `*<>`, PostgreSQL's comparison of record images: it works for every type (json and points have
no `=`), sees 1.0 and 1.00 as different, and treats nulls as values.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2 import sql

from runner.load.statements import CHANGES, KEYS, LOST, STAGE, column_list


def _same_key(left: str, right: str, key: Sequence[str]) -> sql.Composed:
    return sql.SQL(" and ").join(
        sql.SQL("{} = {}").format(sql.Identifier(left, name), sql.Identifier(right, name)) for name in key
    )


def _numbered_key(left: str, right: str, key: Sequence[str]) -> sql.Composed:
    """Return the condition that a row of `right` has the key of one of `left`, whose columns are numbered."""
    return sql.SQL(" and ").join(
        sql.SQL("{} = {}").format(sql.Identifier(left, f"key_{number}"), sql.Identifier(right, name))
        for number, name in enumerate(key)
    )


def upsert(
    raw: sql.Identifier, columns: Sequence[str], key: Sequence[str], load_id: int, stage: sql.Identifier = STAGE
) -> sql.Composed:
    """Return one statement that inserts, updates what differs, revives tombstones; it counts both.

    For few rows: it locks every raw row that a staged row meets.
    """
    changes = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(c), sql.Identifier("excluded", c)) for c in columns
    )
    return sql.SQL(
        "with changed as ("
        "insert into {raw} as target ({columns}, _loaded_at, _load_id) "
        # In the key's order, pages of the index and often of the table are visited once each.
        "select {columns}, now(), {load_id} from {stage} as staged order by {order} "
        "on conflict ({key}) do update set {changes}, _loaded_at = excluded._loaded_at, "
        "_load_id = excluded._load_id, _deleted_at = null "
        # Without the casts PostgreSQL compares field by field, which `*<>` does not support.
        "where row({old})::record *<> row({new})::record or target._deleted_at is not null "
        # xmax is 0 only in a row version that this statement inserted afresh.
        "returning (xmax = 0) as is_new) "
        "select count(*) filter (where is_new), count(*) filter (where not is_new) from changed"
    ).format(
        raw=raw,
        columns=column_list(columns),
        load_id=sql.Literal(load_id),
        stage=stage,
        key=column_list(key),
        order=column_list(key, "staged"),
        changes=changes,
        old=column_list(columns, "target"),
        new=column_list(columns, "excluded"),
    )


def create_changes(
    raw: sql.Identifier, columns: Sequence[str], key: Sequence[str], among: sql.Composable
) -> sql.Composed:
    """Return the DDL of a temp table of keys that are new, differ or are gone, from one pass over stage and raw.

    Only raw rows that meet `among` (a condition on `target`) are looked at.
    """
    first = key[0]
    return sql.SQL(
        "create temp table {changes} ({numbered}, is_new, is_gone) on commit drop as "
        "select {keys}, target.{first} is null, staged.{first} is null "
        "from {stage} as staged full join (select * from {raw} as target where {among}) as target "
        "on {same} where target.{first} is null "
        "or (staged.{first} is null and target._deleted_at is null) "
        "or (staged.{first} is not null and (target._deleted_at is not null "
        "or row({new})::record *<> row({old})::record))"
    ).format(
        changes=sql.Identifier(CHANGES.strings[-1]),
        keys=sql.SQL(", ").join(
            sql.SQL("coalesce({}, {})").format(sql.Identifier("staged", name), sql.Identifier("target", name))
            for name in key
        ),
        # A key column may be called is_new.
        numbered=column_list([f"key_{number}" for number in range(len(key))]),
        first=sql.Identifier(first),
        stage=STAGE,
        raw=raw,
        among=among,
        same=_same_key("staged", "target", key),
        new=column_list(columns, "staged"),
        old=column_list(columns, "target"),
    )


def apply_changes(
    raw: sql.Identifier, columns: Sequence[str], key: Sequence[str], load_id: int
) -> tuple[sql.Composed, sql.Composed, sql.Composed]:
    """Return the statements that insert, update and mark as deleted what the table of changes names."""
    names = {
        "raw": raw,
        "changes": CHANGES,
        "stage": STAGE,
        "load_id": sql.Literal(load_id),
        "columns": column_list(columns),
        "values": column_list(columns, "staged"),
        "set": sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(c), sql.Identifier("staged", c)) for c in columns
        ),
        "staged_key": _numbered_key("changes", "staged", key),
        "target_key": _numbered_key("changes", "target", key),
    }
    insert = sql.SQL(
        "insert into {raw} ({columns}, _loaded_at, _load_id) select {values}, now(), {load_id} "
        "from {changes} as changes inner join {stage} as staged on {staged_key} where changes.is_new"
    )
    update = sql.SQL(
        "update {raw} as target set {set}, _loaded_at = now(), _load_id = {load_id}, "
        "_deleted_at = null from {changes} as changes inner join {stage} as staged on {staged_key} "
        "where {target_key} and not changes.is_new and not changes.is_gone"
    )
    delete = sql.SQL(
        "update {raw} as target set _deleted_at = now(), _loaded_at = now(), _load_id = {load_id} "
        "from {changes} as changes where {target_key} and changes.is_gone"
    )
    return insert.format(**names), update.format(**names), delete.format(**names)


def tombstone(raw: sql.Identifier, key: Sequence[str], load_id: int, among: sql.Composable) -> sql.Composed:
    """Return the statement that marks live raw rows as deleted whose key the source no longer has.

    Only rows that meet `among` (a condition on `target`) are looked at.
    """
    return sql.SQL(
        "update {raw} as target set _deleted_at = now(), _loaded_at = now(), _load_id = {load_id} "
        "where target._deleted_at is null and {among} "
        "and not exists (select from {present} as present where {same})"
    ).format(raw=raw, load_id=sql.Literal(load_id), among=among, present=KEYS, same=_same_key("present", "target", key))


def missing_keys(raw: sql.Identifier, key: Sequence[str], mark: Sequence[str], most: int) -> sql.Composed:
    """Return the query for keys of the source that are not live in raw with that mark: how many, and text arrays.

    These are rows that were committed behind the watermark, were set back, or came back from a deletion. The arrays
    hold `most` keys at most.
    """
    return sql.SQL(
        "with missing as (select {columns} from {keys} as present where not exists ("
        "select from {raw} as target where {same} and target._deleted_at is null)) "
        "select (select count(*) from missing), {arrays} from (select * from missing limit {most}) as named"
    ).format(
        columns=column_list(key, "present"),
        arrays=sql.SQL(", ").join(sql.SQL("array_agg({}::text)").format(sql.Identifier("named", name)) for name in key),
        keys=KEYS,
        raw=raw,
        same=sql.SQL(" and ").join(
            [
                _same_key("target", "present", key),
                *(
                    sql.SQL("{} is not distinct from {}").format(
                        sql.Identifier("target", name), sql.Identifier("present", name)
                    )
                    for name in mark
                ),
            ]
        ),
        most=sql.Literal(most),
    )


def create_lost(
    raw: sql.Identifier,
    rebuilt: Sequence[tuple[sql.Identifier, str]],
    key: Sequence[tuple[sql.Identifier, str]],
    among: sql.Composable,
) -> sql.Composed:
    """Return the DDL of a temp table of the keys, in their new types, of raw's rows with values that a new type lacks.

    `rebuilt` and `key` are columns with their new types. Only rows that meet `among` are looked at.
    """
    check = sql.SQL("pg_input_is_valid({0}::text, {1})")
    keys = [
        sql.SQL("case when {} then {}::text::{} end as {}").format(
            check.format(column, sql.Literal(kind)), column, sql.SQL(kind), sql.Identifier(f"key_{number}")
        )
        for number, (column, kind) in enumerate(key)
    ]
    return sql.SQL(
        "create temp table {lost} on commit drop as select {keys} from {raw} where {among} and ({fails})"
    ).format(
        lost=sql.Identifier(LOST.strings[-1]),
        keys=sql.SQL(", ").join(keys),
        raw=raw,
        among=among,
        fails=sql.SQL(" or ").join(
            sql.SQL("({} is not null and not {})").format(column, check.format(column, sql.Literal(kind)))
            for column, kind in rebuilt
        ),
    )


def count_lost(raw: sql.Identifier, key: Sequence[str], *, with_changes: bool) -> sql.Composed:
    """Return the query for the number of rows that lost a value and that the source did not give again.

    These are tombstones, and `with_changes` rows that are gone and stay.
    """
    if not key:
        return sql.SQL("select count(*) from {}").format(LOST)
    gone = sql.SQL("exists (select from {} as changes where {} and changes.is_gone)").format(
        CHANGES, _numbered_key("changes", "target", key)
    )
    return sql.SQL(
        "select count(*) from {lost} as lost inner join {raw} as target on {same} "
        "where target._deleted_at is not null or {gone}"
    ).format(
        lost=LOST, raw=raw, same=_numbered_key("lost", "target", key), gone=gone if with_changes else sql.SQL("false")
    )
