"""A huge table's first load is shared by the workers; what comes out is the same, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from conftest import Databases, rows

from runner.connect import connect
from runner.contract import Contract, TableSpec
from runner.load import split
from runner.load.engine import load_tables
from runner.load.outcome import LoadRequest, TableOutcome
from runner.load.state import prepare, recorded_run
from runner.settings import Connection

SPEC = TableSpec(
    source_name="shop",
    name="item",
    raw_schema="raw",
    raw_table="item",
    source_schema="public",
    source_table="item",
    strategy="incremental",
    watermark="updated_at",
)
FILL = """
create table item (id bigint primary key, name text, updated_at timestamptz not null);
insert into item
select n, repeat('x', (n % 300)::int), '2026-01-01 00:00+00'::timestamptz + n * interval '1 minute'
from generate_series(1, 5000) as n
"""
LEFT = """
select count(*) from pg_class where relnamespace = 'ops'::regnamespace and relname ~ '^load_[0-9]+'
"""


class Pair:
    """A source with one table of about 100 pages, and an empty warehouse."""

    def __init__(self, source: Connection, warehouse: Connection) -> None:
        self.source, self.warehouse = source, warehouse
        self.execute(source, FILL)
        self.runs = 0

    def execute(self, target: Connection, statement: str) -> list[tuple[Any, ...]]:
        """Run SQL on one side, commit, and return its rows."""
        with closing(connect(target)) as session:
            return rows(session, statement)

    def load(self, *specs: TableSpec, workers: int = 3) -> list[TableOutcome]:
        """Load in one run."""
        self.runs += 1
        with recorded_run(
            self.source, self.warehouse, run_id=f"run-{self.runs}", command="load"
        ) as run:
            return load_tables(
                Contract(specs or (SPEC,), ()),
                self.source,
                self.warehouse,
                LoadRequest(workers=workers, retries=1),
                run=run,
            )

    def is_equal(self) -> bool:
        """Return whether raw's live rows are the source's."""
        query = "select md5(string_agg(row(id, name, updated_at)::text, ',' order by id)), count(*) from "
        there = self.execute(self.warehouse, query + "raw.item where _deleted_at is null")
        return self.execute(self.source, query + "item") == there


@pytest.fixture
def pair(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """A pair whose table counts as huge, in parts of seven pages."""
    monkeypatch.setattr(split, "SPLIT_BYTES", 8192)
    monkeypatch.setattr(split, "PART_BYTES", 7 * 8192)
    return Pair(databases.create("source"), databases.create("warehouse"))


def test_parts_make_the_same_table_as_one_copy(pair: Pair, databases: Databases) -> None:
    (outcome,) = pair.load()
    assert (outcome.mode, outcome.rows_read, outcome.error) == ("first", 5000, None)
    assert pair.is_equal()
    alone = Pair.__new__(Pair)
    alone.source, alone.warehouse, alone.runs = pair.source, databases.create("warehouse"), 0
    alone.load(workers=1)  # one worker does not split
    shape = (
        "select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute "
        "where attrelid = 'raw.item'::regclass and attnum > 0 order by attnum"
    )
    assert pair.execute(pair.warehouse, shape) == alone.execute(alone.warehouse, shape)
    indexes = "select indexname from pg_indexes where schemaname = 'raw' order by 1"
    assert pair.execute(pair.warehouse, indexes) == alone.execute(alone.warehouse, indexes)
    state = "select watermark, rows_inserted from ops.watermarks, ops.table_loads"
    assert pair.execute(pair.warehouse, state) == alone.execute(alone.warehouse, state)


def test_nothing_is_left_in_ops(pair: Pair) -> None:
    pair.load()
    assert pair.execute(pair.warehouse, LEFT) == [(0,)]
    assert pair.execute(pair.warehouse, "select count(*) from ops.load_parts") == [(0,)]


def test_a_load_after_it_is_incremental(pair: Pair) -> None:
    pair.load()
    pair.execute(pair.source, "update item set name = 'new', updated_at = now() where id = 7")
    (outcome,) = pair.load()
    assert (outcome.mode, outcome.rows_updated) == ("incremental", 1)
    assert pair.is_equal()


def test_a_part_that_fails_fails_the_table_alone_and_leaves_nothing(pair: Pair) -> None:
    # The warehouse refuses one row in the middle: its part fails after others have committed.
    pair.execute(
        pair.warehouse,
        """
        create function refuse() returns event_trigger language plpgsql as
        $$
        declare made record;
        begin
            for made in select * from pg_event_trigger_ddl_commands() loop
                if made.object_identity ~ '^ops.load_[0-9]+$' then
                    execute format('alter table %s add check (id <> 3000)', made.object_identity);
                end if;
            end loop;
        end
        $$;
        create event trigger guard on ddl_command_end when tag in ('CREATE TABLE')
        execute function refuse();
        """,
    )
    pair.execute(pair.source, "create table other (id int); insert into other values (1)")
    other = replace(SPEC, name="other", raw_table="other", source_table="other", strategy="full")
    other = replace(other, watermark=None)
    failed, well = pair.load(SPEC, other)
    assert failed.error is not None
    assert "violates check constraint" in failed.error
    assert well.rows_inserted == 1
    assert pair.execute(pair.warehouse, LEFT) == [(0,)]
    assert pair.execute(pair.warehouse, "select to_regclass('raw.item')") == [(None,)]
    assert pair.execute(pair.warehouse, "select count(*) from ops.load_parts") == [(0,)]
    pair.execute(pair.warehouse, "drop event trigger guard")
    (outcome,) = pair.load()
    assert outcome.error is None
    assert pair.is_equal()


def test_what_a_killed_run_left_is_dropped_by_the_next(pair: Pair) -> None:
    with recorded_run(pair.source, pair.warehouse, run_id="killed", command="load"):
        pair.execute(
            pair.warehouse,
            "create table ops.load_900 (id int); comment on table ops.load_900 is 'run killed'; "
            "insert into ops.load_parts values (900, 0, 5)",
        )
        # Another source's load, still at work.
        pair.execute(
            pair.warehouse,
            "create table ops.load_901 (id int); comment on table ops.load_901 is 'run other'; "
            "insert into ops.runs (run_id, source, command, status) "
            "values ('other', 'elsewhere', 'load', 'running')",
        )
    pair.load()
    left = pair.execute(
        pair.warehouse,
        "select relname from pg_class where relname ~ '^load_[0-9]+$' and relkind = 'r'",
    )
    assert left == [("load_901",)]
    assert pair.execute(pair.warehouse, "select count(*) from ops.load_parts") == [(0,)]


def test_a_part_that_the_warehouse_forgot_fails_the_table(pair: Pair) -> None:
    with closing(connect(pair.warehouse)) as session:
        prepare(session)
    # As after a failover to a standby that had not got the last commits.
    pair.execute(
        pair.warehouse,
        """
        create function ops.forget() returns trigger language plpgsql as
        $$ begin return null; end $$;
        create trigger forget before insert on ops.load_parts
        for each row when (new.part_number = 1) execute function ops.forget();
        """,
    )
    (outcome,) = pair.load()
    assert outcome.error is not None
    assert "parts that were committed" in outcome.error
    assert pair.execute(pair.warehouse, "select to_regclass('raw.item')") == [(None,)]
    assert pair.execute(pair.warehouse, LEFT) == [(0,)]
    pair.execute(pair.warehouse, "drop trigger forget on ops.load_parts")
    (outcome,) = pair.load()
    assert outcome.error is None
    assert pair.is_equal()
