"""The set-based SQL of a load, composed for any table. Pure: names and types in, statements out."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2 import sql

from runner.catalog import Column

STAGE = sql.Identifier("pg_temp", "haven_stage")
KEYS = sql.Identifier("pg_temp", "haven_keys")
FOUND = sql.Identifier("pg_temp", "haven_found")
CHANGES = sql.Identifier("pg_temp", "haven_changes")
LOST = sql.Identifier("pg_temp", "haven_lost")
META_COLUMNS = ("_loaded_at", "_load_id", "_deleted_at")
STAMPS = META_COLUMNS[:2]


def column_list(names: Sequence[str], prefix: str | None = None) -> sql.Composed:
    """Return the quoted names with commas between them, each of the relation `prefix` if there is one."""
    parts = [sql.Identifier(prefix, name) if prefix else sql.Identifier(name) for name in names]
    return sql.SQL(", ").join(parts)


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
    hashed = [
        sql.SQL("encode(sha256(convert_to({salt} || {key}, 'UTF8')), 'hex') = any({hashes}::text[])").format(
            salt=sql.Literal(column.erased.salt),
            key=sql.SQL(form).format(sql.Identifier(column.erased.person_column)),
            hashes=sql.Literal(list(column.erased.hashes)),
        )
        for form in column.erased.forms
    ]
    return sql.SQL("case when {hit} then null else {value}::{kind} end as {name}").format(
        hit=sql.SQL(" or ").join(hashed),
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
        done.append(sql.SQL("alter table {} add primary key ({})").format(raw, column_list(key)))
    return [
        *done,
        sql.SQL(
            "alter table {} add column _loaded_at timestamptz not null default now(), "
            "add column _load_id bigint not null default {}, add column _deleted_at timestamptz"
        ).format(raw, sql.Literal(load_id)),
        sql.SQL("alter table {} alter column _loaded_at drop default, alter column _load_id drop default").format(raw),
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
    return sql.SQL("create index on {} (_load_id) where _load_id > {}").format(raw, sql.Literal(first_load_id))


def is_empty(raw: sql.Identifier) -> sql.Composed:
    """Return the query whether raw has no row, not even a tombstone; and for the transaction's time as text."""
    return sql.SQL("select not exists (select from {}), now()::text").format(raw)


def count_untouched(raw: sql.Identifier, load_id: int) -> sql.Composed:
    """Return the query for the number of raw's live rows that load `load_id` did not write."""
    return sql.SQL("select count(*) from {} where _deleted_at is null and _load_id <> {}").format(
        raw, sql.Literal(load_id)
    )


def stamped(rows: sql.Composable, now: str, load_id: int) -> sql.Composed:
    """Return the query `rows` with the values of STAMPS after its columns."""
    return sql.SQL("select stamped.*, {}::timestamptz, {}::bigint from ({}) as stamped").format(
        sql.Literal(now), sql.Literal(load_id), rows
    )


def create_stage(name: sql.Identifier, raw: sql.Identifier, columns: Sequence[str]) -> sql.Composed:
    """Return the DDL of an empty temp table with raw's columns, gone when the transaction ends."""
    return sql.SQL("create temp table {} on commit drop as select {} from {} limit 0").format(
        sql.Identifier(name.strings[-1]), column_list(columns), raw
    )


def raw_rows(raw: sql.Identifier, columns: Sequence[str]) -> sql.Composed:
    """Return the query for `columns` of raw's live rows."""
    return sql.SQL("select {} from {} where _deleted_at is null").format(column_list(columns), raw)


def faulty_key(rows: sql.Composable, key: Sequence[str]) -> sql.Composed:
    """Return the query for one key that several of `rows` share, or that lacks a part: how many have it, as texts."""
    return sql.SQL(
        "select count(*), array[{texts}] from {rows} as keyed group by {key} "
        "having count(*) > 1 or num_nulls({key}) > 0 order by {key} limit 1"
    ).format(
        texts=sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier("keyed", name)) for name in key),
        rows=rows,
        key=column_list(key, "keyed"),
    )


def key_condition(key: Sequence[Column], values: Sequence[Sequence[str]]) -> sql.Composed:
    """Return the source's condition that a row's key is among `values` (one list per key column)."""
    return sql.SQL("({}) in ({})").format(
        sql.SQL(", ").join(sql.SQL("{}::{}").format(sql.Identifier(c.name), sql.SQL(c.raw_type)) for c in key),
        key_rows(key, values),
    )


def key_rows(key: Sequence[Column], values: Sequence[Sequence[str]]) -> sql.Composed:
    """Return the query that gives `values` (one list of texts per key column) as rows of the key's types."""
    # As texts, cast one by one: unnest would take an array of arrays apart.
    names = [sql.Identifier(f"key_{number}") for number in range(len(key))]
    return sql.SQL("select {} from unnest({}) as named ({})").format(
        sql.SQL(", ").join(
            sql.SQL("{}::{}").format(name, sql.SQL(c.raw_type)) for name, c in zip(names, key, strict=True)
        ),
        sql.SQL(", ").join(sql.SQL("{}::text[]").format(sql.Literal(list(v))) for v in values),
        sql.SQL(", ").join(names),
    )
