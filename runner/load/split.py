"""The first load of one huge table by several workers: ranges of its pages (ctid) into one table out of sight.

Several sessions cannot share a transaction, so the parts commit into `ops.load_<id>`, which nobody reads; the last
step, one transaction like every other load, moves it into raw. What a killed run leaves there, the next run drops.
"""

from __future__ import annotations

from collections.abc import Callable

from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from runner.errors import DataError
from runner.load import statements
from runner.load.copy import copy_rows
from runner.load.plan import TablePlan

SPLIT_BYTES = 256 << 20
PART_BYTES = 64 << 20


def page_ranges(source: PgCursor, plan: TablePlan) -> list[sql.Composed]:
    """Return the conditions that cut the plan's table into parts; empty if it is small, or has no pages of its own."""
    if plan.mode != "first" or plan.size_bytes < SPLIT_BYTES or plan.kept_from is not None:
        return []
    source.execute(
        sql.SQL(
            "select pg_relation_size(oid), current_setting('block_size')::int from pg_class "
            "where oid = {}::regclass and relkind in ('r', 'm')"
        ).format(sql.Literal(plan.table.as_string(source)))
    )
    row = source.fetchone()
    if row is None or row[0] < SPLIT_BYTES:
        return []
    size, block = row
    step = PART_BYTES // block
    starts = range(0, size // block, step)
    ranges = []
    for start in starts:
        low = sql.SQL("ctid >= {}::tid").format(sql.Literal(f"({start},0)"))
        high = sql.SQL(" and ctid < {}::tid").format(sql.Literal(f"({start + step},0)"))
        # The last one is open: pages may have come since the size was read.
        ranges.append(low if start == starts[-1] else sql.Composed([low, high]))
    return ranges


def hidden_table(load_id: int) -> sql.Identifier:
    """Return the name of the table that the parts of load `load_id` are copied into."""
    return sql.Identifier("ops", f"load_{load_id}")


def create_hidden(control: PgConnection, plan: TablePlan, load_id: int, run_id: str) -> None:
    """Create the hidden table and commit. Its comment says whose it is."""
    with control, control.cursor() as cursor:
        hidden = hidden_table(load_id)
        cursor.execute(statements.create_raw(hidden, plan.columns, plan.key))
        cursor.execute(
            sql.SQL("comment on table {} is {}").format(hidden, sql.Literal(f"run {run_id}"))
        )


def drop_hidden(control: PgConnection, load_id: int) -> None:
    """Drop the hidden table of a load that failed, and what is known of its parts."""
    with control, control.cursor() as cursor:
        cursor.execute(sql.SQL("drop table if exists {}").format(hidden_table(load_id)))
        cursor.execute("delete from ops.load_parts where load_id = %s", (load_id,))


def drop_leftovers(control: PgConnection, run_id: str) -> None:
    """Drop the hidden tables that no running load fills: those of killed runs, and of `run_id`'s own earlier tries."""
    with control, control.cursor() as cursor:
        cursor.execute(
            """
            select substring(pg_class.relname from '^load_([0-9]+)$')::bigint
            from pg_class
            where relnamespace = 'ops'::regnamespace and relkind = 'r' and relname ~ '^load_[0-9]+$'
                and not exists (
                    select from ops.runs
                    where runs.status = 'running' and runs.run_id <> %s
                        and obj_description(pg_class.oid, 'pg_class') = 'run ' || runs.run_id
                )
            """,
            (run_id,),
        )
        left = [row[0] for row in cursor.fetchall()]
    for load_id in left:
        drop_hidden(control, load_id)


def copy_part(
    plan: TablePlan,
    source: PgCursor,
    warehouse: PgCursor,
    *,
    load_id: int,
    number: int,
    condition: sql.Composable,
    on_bytes: Callable[[int], None],
) -> None:
    """Copy one part and note it, in one transaction of the caller's; a part that is there already is left alone.

    Raises psycopg2.Error or DataError; the caller rolls back.
    """
    warehouse.execute(
        "select from ops.load_parts where load_id = %s and part_number = %s", (load_id, number)
    )
    if warehouse.fetchone() is not None:
        return  # committed by a try whose connection broke before it heard of that
    query = statements.select_source(plan.source, plan.columns, condition)
    rows = copy_rows(source, query, warehouse, hidden_table(load_id), plan.names, on_bytes=on_bytes)
    warehouse.execute(
        "insert into ops.load_parts (load_id, part_number, rows_copied) values (%s, %s, %s)",
        (load_id, number, rows),
    )


def take_over(plan: TablePlan, warehouse: PgCursor, load_id: int, parts: int) -> int:
    """Move the hidden table into raw, in the caller's transaction; return the rows of its `parts` parts.

    Raises DataError if not all of them are there.
    """
    warehouse.execute(
        "with gone as (delete from ops.load_parts where load_id = %s returning rows_copied) "
        "select count(*), coalesce(sum(rows_copied), 0)::bigint from gone",
        (load_id,),
    )
    found, rows = warehouse.fetchone()  # type: ignore[misc]
    if found != parts:  # a standby that took over may lack the last commits
        raise DataError(
            f"the warehouse has only {found} of the {parts} parts that were committed: did another "
            "server take its place? Nothing was kept, run the load again"
        )
    schema, name = plan.raw.strings
    hidden = hidden_table(load_id)
    warehouse.execute(sql.SQL("comment on table {} is null").format(hidden))
    warehouse.execute(
        sql.SQL("alter table {} set schema {}").format(hidden, sql.Identifier(schema))
    )
    warehouse.execute(
        sql.SQL("alter table {} rename to {}").format(
            sql.Identifier(schema, hidden.strings[-1]), sql.Identifier(name)
        )
    )
    return int(rows)
