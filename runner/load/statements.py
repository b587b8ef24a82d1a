"""The set-based SQL of a load, composed for any table. Pure: names and types in, statements out.

Rows are compared with `*<>`, PostgreSQL's comparison of record images: it works for every type (json and points have
no `=`), sees 1.0 and 1.00 as different, and treats nulls as values.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2 import sql

from runner.catalog import Column

STAGE = sql.Identifier("pg_temp", "haven_stage")
KEYS = sql.Identifier("pg_temp", "haven_keys")
FOUND = sql.Identifier("pg_temp", "haven_found")
CHANGES = sql.Identifier("pg_temp", "haven_changes")
META_COLUMNS = ("_loaded_at", "_load_id", "_deleted_at")
STAMPS = META_COLUMNS[:2]


def _list(names: Sequence[str], prefix: str | None = None) -> sql.Composed:
    parts = [sql.Identifier(prefix, name) if prefix else sql.Identifier(name) for name in names]
    return sql.SQL(", ").join(parts)


def _same_key(left: str, right: str, key: Sequence[str]) -> sql.Composed:
    return sql.SQL(" and ").join(
        sql.SQL("{} = {}").format(sql.Identifier(left, name), sql.Identifier(right, name))
        for name in key
    )


def select_source(
    relation: sql.Composable, columns: Sequence[Column], condition: sql.Composable | None = None
) -> sql.Composed:
    """Return the query that reads `columns` of a source table, cast to their raw types."""
    items = [_selected(column) for column in columns]
    query = sql.SQL("select {} from {}").format(sql.SQL(", ").join(items), relation)
    return query if condition is None else sql.SQL("{} where {}").format(query, condition)


def _selected(column: Column) -> sql.Composable:
    """Return a select list's item: the column in its raw type, null for people who were erased."""
    if column.erased is None:
        return _in_raw_type(column)
    return sql.SQL(
        "case when encode(sha256(convert_to({salt} || {person}::text, 'UTF8')), 'hex') = any({hashes}::text[]) "
        "then null else {value}::{kind} end as {name}"
    ).format(
        salt=sql.Literal(column.erased.salt),
        person=sql.Identifier(column.erased.person_column),
        hashes=sql.Literal(list(column.erased.hashes)),
        value=_value(column),
        kind=sql.SQL(column.raw_type),
        name=sql.Identifier(column.name),
    )


def _in_raw_type(column: Column) -> sql.Composable:
    name = sql.Identifier(column.name)
    if column.refuses_infinity or column.is_cast:
        return sql.SQL("{} as {}").format(_value(column), name)
    return name


def _value(column: Column) -> sql.Composable:
    """Return a column's value in its raw type. One that the warehouse cannot hold is an error."""
    name, kind = sql.Identifier(column.name), sql.SQL(column.raw_type)
    if column.refuses_infinity:
        # PostgreSQL before 17 would take an infinite interval for one of 178 million years.
        check = "{0}::text ~ 'infinity'" if column.raw_type.endswith("[]") else "not isfinite({0})"
        return sql.SQL(
            "case when " + check + " then "
            "('the warehouse, older than PostgreSQL 17, cannot hold ' || {0}::text)::{1} "
            "else {0}::{1} end"
        ).format(name, kind)
    return sql.SQL("{}::{}").format(name, kind) if column.is_cast else name


def create_raw(raw: sql.Identifier, columns: Sequence[Column], key: Sequence[str]) -> sql.Composed:
    """Return the DDL of a raw table as its first rows need it: the source's columns, nothing else yet.

    Collations are not copied: they decide how text is sorted, not what it is, and the warehouse may lack them.
    """
    body = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(c.name),
            sql.SQL(c.raw_type),
            # Said here, it needs no look at the rows when the key is made.
            sql.SQL(" not null" if c.is_not_null or c.name in key else ""),
        )
        for c in columns
    ]
    return sql.SQL("create table {} ({})").format(raw, sql.SQL(", ").join(body))


def finish_raw(raw: sql.Identifier, key: Sequence[str], load_id: int) -> list[sql.Composed]:
    """Return what a new raw table gets after its rows: key, load columns.

    A column added with a constant default costs no write: PostgreSQL keeps the value once, in its catalog.
    """
    done = []
    if key:
        done.append(sql.SQL("alter table {} add primary key ({})").format(raw, _list(key)))
    return [
        *done,
        sql.SQL(
            "alter table {} add column _loaded_at timestamptz not null default now(), "
            "add column _load_id bigint not null default {}, add column _deleted_at timestamptz"
        ).format(raw, sql.Literal(load_id)),
        sql.SQL(
            "alter table {} alter column _loaded_at drop default, alter column _load_id drop default"
        ).format(raw),
    ]


def first_load_without_index(raw: sql.Identifier, oid: sql.Composable) -> sql.Composed:
    """Return the query for the id of raw's first load, 0 if that is not known; no row if _load_id has an index."""
    schema, table = raw.strings
    return sql.SQL(
        "select coalesce((select max(load_id) from ops.table_loads where raw_schema = {} "
        "and raw_table = {} and mode = 'first' and status = 'ok'), 0) where not exists ("
        "select from pg_index inner join pg_attribute on pg_index.indrelid = pg_attribute.attrelid "
        "and pg_index.indkey[0] = pg_attribute.attnum "
        "where pg_index.indrelid = {}::regclass and pg_attribute.attname = '_load_id')"
    ).format(sql.Literal(schema), sql.Literal(table), oid)


def index_changes(raw: sql.Identifier, first_load_id: int) -> sql.Composed:
    """Return the DDL of the index that incremental models ask for the rows loaded since their last run.

    They never ask for those of the first load.
    """
    return sql.SQL("create index on {} (_load_id) where _load_id > {}").format(
        raw, sql.Literal(first_load_id)
    )


def is_empty(raw: sql.Identifier) -> sql.Composed:
    """Return the query whether raw has no row, not even a tombstone; and for the transaction's time as text."""
    return sql.SQL("select not exists (select from {}), now()::text").format(raw)


def stamped(rows: sql.Composable, now: str, load_id: int) -> sql.Composed:
    """Return the query `rows` with the values of STAMPS after its columns."""
    return sql.SQL("select stamped.*, {}::timestamptz, {}::bigint from ({}) as stamped").format(
        sql.Literal(now), sql.Literal(load_id), rows
    )


def create_stage(name: sql.Identifier, raw: sql.Identifier, columns: Sequence[str]) -> sql.Composed:
    """Return the DDL of an empty temp table with raw's columns, gone when the transaction ends."""
    return sql.SQL("create temp table {} on commit drop as select {} from {} limit 0").format(
        sql.Identifier(name.strings[-1]), _list(columns), raw
    )


def upsert(
    raw: sql.Identifier,
    columns: Sequence[str],
    key: Sequence[str],
    load_id: int,
    stage: sql.Identifier = STAGE,
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
        "select {columns}, now(), {load_id} from {stage} order by {key} "
        "on conflict ({key}) do update set {changes}, _loaded_at = excluded._loaded_at, "
        "_load_id = excluded._load_id, _deleted_at = null "
        # Without the casts PostgreSQL compares field by field, which `*<>` does not support.
        "where row({old})::record *<> row({new})::record or target._deleted_at is not null "
        # xmax is 0 only in a row version that this statement inserted afresh.
        "returning (xmax = 0) as is_new) "
        "select count(*) filter (where is_new), count(*) filter (where not is_new) from changed"
    ).format(
        raw=raw,
        columns=_list(columns),
        load_id=sql.Literal(load_id),
        stage=stage,
        key=_list(key),
        changes=changes,
        old=_list(columns, "target"),
        new=_list(columns, "excluded"),
    )


def raw_rows(raw: sql.Identifier, columns: Sequence[str]) -> sql.Composed:
    """Return the query for `columns` of raw's live rows."""
    return sql.SQL("select {} from {} where _deleted_at is null").format(_list(columns), raw)


def create_changes(
    raw: sql.Identifier, columns: Sequence[str], key: Sequence[str], among: sql.Composable
) -> sql.Composed:
    """Return the DDL of a temp table of keys that are new, differ or are gone, from one pass over stage and raw.

    Only raw rows that meet `among` (a condition on `target`) are looked at.
    """
    first = key[0]
    return sql.SQL(
        "create temp table {changes} on commit drop as "
        "select {keys}, target.{first} is null as is_new, staged.{first} is null as is_gone "
        "from {stage} as staged full join (select * from {raw} as target where {among}) as target "
        "on {same} where target.{first} is null "
        "or (staged.{first} is null and target._deleted_at is null) "
        "or (staged.{first} is not null and (target._deleted_at is not null "
        "or row({new})::record *<> row({old})::record))"
    ).format(
        changes=sql.Identifier(CHANGES.strings[-1]),
        keys=sql.SQL(", ").join(
            sql.SQL("coalesce({}, {}) as {}").format(
                sql.Identifier("staged", name), sql.Identifier("target", name), sql.Identifier(name)
            )
            for name in key
        ),
        first=sql.Identifier(first),
        stage=STAGE,
        raw=raw,
        among=among,
        same=_same_key("staged", "target", key),
        new=_list(columns, "staged"),
        old=_list(columns, "target"),
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
        "columns": _list(columns),
        "values": _list(columns, "staged"),
        "set": sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(c), sql.Identifier("staged", c))
            for c in columns
        ),
        "staged_key": _same_key("changes", "staged", key),
        "target_key": _same_key("changes", "target", key),
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


def tombstone(
    raw: sql.Identifier, key: Sequence[str], load_id: int, among: sql.Composable
) -> sql.Composed:
    """Return the statement that marks live raw rows as deleted whose key the source no longer has.

    Only rows that meet `among` (a condition on `target`) are looked at.
    """
    return sql.SQL(
        "update {raw} as target set _deleted_at = now(), _loaded_at = now(), _load_id = {load_id} "
        "where target._deleted_at is null and {among} "
        "and not exists (select from {present} as present where {same})"
    ).format(
        raw=raw,
        load_id=sql.Literal(load_id),
        among=among,
        present=KEYS,
        same=_same_key("present", "target", key),
    )


def missing_keys(raw: sql.Identifier, key: Sequence[str]) -> sql.Composed:
    """Return the query for keys of the source that are not live in raw, as text arrays.

    These are rows that were committed behind the watermark, or came back from a deletion.
    """
    return sql.SQL(
        "select {arrays} from {keys} as present where not exists ("
        "select from {raw} as target where {same} and target._deleted_at is null)"
    ).format(
        arrays=sql.SQL(", ").join(
            sql.SQL("array_agg({}::text)").format(sql.Identifier("present", name)) for name in key
        ),
        keys=KEYS,
        raw=raw,
        same=_same_key("target", "present", key),
    )


def key_condition(key: Sequence[Column], values: Sequence[Sequence[str]]) -> sql.Composed:
    """Return the source's condition that a row's key is among `values` (one list per key column)."""
    return sql.SQL("({}) in ({})").format(
        sql.SQL(", ").join(
            sql.SQL("{}::{}").format(sql.Identifier(c.name), sql.SQL(c.raw_type)) for c in key
        ),
        key_rows(key, values),
    )


def key_rows(key: Sequence[Column], values: Sequence[Sequence[str]]) -> sql.Composed:
    """Return the query that gives `values` (one list of texts per key column) as rows of the key's types."""
    # As texts, cast one by one: unnest would take an array of arrays apart.
    names = [sql.Identifier(f"key_{number}") for number in range(len(key))]
    return sql.SQL("select {} from unnest({}) as named ({})").format(
        sql.SQL(", ").join(
            sql.SQL("{}::{}").format(name, sql.SQL(c.raw_type))
            for name, c in zip(names, key, strict=True)
        ),
        sql.SQL(", ").join(sql.SQL("{}::text[]").format(sql.Literal(list(v))) for v in values),
        sql.SQL(", ").join(names),
    )


# A table without a key is compared as a bag of rows: equal rows are numbered, row by row the same number must exist.
_NUMBERED = (
    "select {id} as id, digest, row_number() over (partition by digest) as copy "
    "from (select {id}, md5(row({columns})::text) as digest from {relation} {where}) as digested"
)


def _bags(raw: sql.Identifier, columns: Sequence[str]) -> tuple[sql.Composed, sql.Composed]:
    live, staged = (
        sql.SQL(_NUMBERED).format(
            id=sql.Identifier("ctid"), columns=_list(columns), relation=relation, where=where
        )
        for relation, where in ((raw, sql.SQL("where _deleted_at is null")), (STAGE, sql.SQL("")))
    )
    return live, staged


def tombstone_bag(raw: sql.Identifier, columns: Sequence[str], load_id: int) -> sql.Composed:
    """Return the statement that marks keyless raw rows which are no longer in the stage."""
    live, staged = _bags(raw, columns)
    return sql.SQL(
        "update {raw} as target "
        "set _deleted_at = now(), _loaded_at = now(), _load_id = {load_id} "
        "from ({live}) as live left join ({staged}) as staged using (digest, copy) "
        "where target.ctid = live.id and staged.id is null"
    ).format(raw=raw, load_id=sql.Literal(load_id), live=live, staged=staged)


def insert_bag(raw: sql.Identifier, columns: Sequence[str], load_id: int) -> sql.Composed:
    """Return the statement that inserts keyless staged rows which raw lacks."""
    live, staged = _bags(raw, columns)
    return sql.SQL(
        "insert into {raw} ({columns}, _loaded_at, _load_id) "
        "select {qualified}, now(), {load_id} from {stage} as stage "
        "inner join ({staged}) as staged on stage.ctid = staged.id "
        "left join ({live}) as live using (digest, copy) where live.id is null"
    ).format(
        raw=raw,
        columns=_list(columns),
        qualified=_list(columns, "stage"),
        load_id=sql.Literal(load_id),
        stage=STAGE,
        staged=staged,
        live=live,
    )
