"""The same work by hand: what a person would write with psql, or in a short Python script."""

from __future__ import annotations

import sys

from benchmarks import table
from benchmarks.cluster import Bench
from benchmarks.measure import Pipe
from benchmarks.trials import Method

COPY = "by_hand.big"
KEY_AFTER = f"alter table {COPY} add primary key ({table.KEY})"
OTHERS = [name for name in table.COLUMNS if name != table.KEY]
UPSERT = (
    f"insert into {COPY} select * from stage order by {table.KEY} on conflict ({table.KEY}) "
    f"do update set {', '.join(f'{name} = excluded.{name}' for name in OTHERS)}"
)
DELETE_INSERT = (
    f"delete from {COPY} using stage where {COPY}.{table.KEY} = stage.{table.KEY}",
    f"insert into {COPY} select * from stage order by {table.KEY}",
)
MERGE = (
    f"merge into {COPY} as target using stage on target.{table.KEY} = stage.{table.KEY} "
    f"when matched then update set {', '.join(f'{name} = stage.{name}' for name in OTHERS)} "
    f"when not matched then insert ({table.NAMES}) "
    f"values ({', '.join(f'stage.{name}' for name in table.COLUMNS)})"
)
# The slow ones load a slice.
SOME_ROWS = 200_000


def select(where: str = "true", source: str = table.NAME) -> str:
    """Return the query that reads the source's rows."""
    return f"select {table.NAMES} from {source} where {where}"


def bulk_pipe(bench: Bench, source: str = table.NAME, *, kind: str = "binary") -> Pipe:
    """Return psql | psql into a table made in the same transaction, its key after the rows."""
    return bench.psql_pipe(
        f"copy ({select(source=source)}) to stdout (format {kind})",
        "begin", table.ddl(COPY), f"copy {COPY} from stdin (format {kind}, freeze true)", KEY_AFTER, "commit",
    )  # fmt: skip


def baseline(bench: Bench, source: str = table.NAME) -> Method:
    """Return the pipe that everything is compared with."""
    name = "psql COPY binary | psql COPY binary"
    return Method(name, lambda: [bulk_pipe(bench, source)], COPY)


def without_key(bench: Bench, where: str = "true") -> Pipe:
    """Return psql | psql into a table that is there, without key or with it."""
    read = f"copy ({select(where)}) to stdout (format binary)"
    return bench.psql_pipe(read, f"copy {COPY} from stdin (format binary)")


def bulk(bench: Bench, rows: int) -> list[Method]:
    """Return the ways by hand to load the table, but for the baseline."""
    some = min(rows, SOME_ROWS)
    helpers = {
        "execute_values": "psycopg2 execute_values, 1,000 a page",
        "batches": "psycopg2 insert of 100 rows a statement",
        "executemany": "psycopg2 executemany",
    }
    script = (sys.executable, "-m", "benchmarks.scripts.row_by_row")
    keyed = "psql COPY binary, the key is there before the rows"
    return [
        Method("psql COPY text | psql COPY text", lambda: [bulk_pipe(bench, kind="text")], COPY, runs=3),
        Method(keyed, lambda: [without_key(bench)], COPY, lambda: bench.prepare(table.ddl(COPY, key=True)), runs=3),
        Method("postgres_fdw, insert … select", lambda: [foreign(bench)], COPY, runs=3),
        *(
            Method(
                label,
                lambda how=how: [Pipe(((*script, how, str(some)),), bench.environment())],  # type: ignore[misc]
                COPY,
                lambda: bench.prepare(table.ddl(COPY)),
                rows=some,
                runs=1,
                note=f"{some:,} rows only",
            )
            for how, label in helpers.items()
        ),
    ]


def foreign(bench: Bench) -> Pipe:
    """Return one psql that reads the source through postgres_fdw, as fast as that is set up."""
    source = bench.source
    columns = ", ".join(f"{name} {kind}" for name, kind in table.COLUMNS.items())
    statements = (
        "create extension if not exists postgres_fdw",
        "drop server if exists origin cascade",
        f"create server origin foreign data wrapper postgres_fdw options (host '{source.host}', "
        f"port '{source.port}', dbname '{source.dbname}', fetch_size '50000')",
        "create user mapping for current_user server origin "
        f"options (user '{source.user}', password '{source.password}')",
        f"create foreign table by_hand.origin ({columns}) server origin "
        f"options (schema_name 'public', table_name '{table.NAME}')",
        "begin", table.ddl(COPY), f"insert into {COPY} select * from by_hand.origin", KEY_AFTER, "commit",
    )  # fmt: skip
    return Pipe((bench.psql(bench.warehouse, *statements),), bench.environment())


def changes(bench: Bench, round_number: int, copy: str, *merge: str) -> Pipe:
    """Return psql | psql that stages that round's rows and merges them into `copy`, in one transaction."""
    query = select(table.changed_since(round_number))
    return bench.psql_pipe(
        f"copy ({query}) to stdout (format binary)",
        "begin",
        f"create temp table stage on commit drop as select * from {copy} limit 0",
        "copy stage from stdin (format binary)",
        "analyze stage",
        *(statement.replace(COPY, copy) for statement in merge),
        "commit",
    )


def changes_script(bench: Bench, round_number: int, copy: str, *sweep: str) -> Pipe:
    """Return one Python process that does the same with the upsert; and compares all keys of `sweep`: table, key."""
    query, merge = select(table.changed_since(round_number)), UPSERT.replace(COPY, copy)
    script = (sys.executable, "-m", "benchmarks.scripts.upsert", query, copy, merge, *sweep)
    return Pipe((script,), bench.environment())
