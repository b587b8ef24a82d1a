"""The same work by hand: what a person would write with psql, or in a short Python script."""

from __future__ import annotations

import sys

from benchmarks import table
from benchmarks.cluster import Bench
from benchmarks.measure import Pipe
from benchmarks.trials import Method

COPY = "by_hand.big"
KEY_AFTER = f"alter table {COPY} add primary key ({table.KEY})"
SET = ", ".join(f"{name} = excluded.{name}" for name in table.COLUMNS if name != table.KEY)
SET_NEW = ", ".join(f"{name} = stage.{name}" for name in table.COLUMNS if name != table.KEY)
VALUES = ", ".join(f"stage.{name}" for name in table.COLUMNS)
UPSERT = (
    f"insert into {COPY} select * from stage order by {table.KEY} "
    f"on conflict ({table.KEY}) do update set {SET}"
)
DELETE_INSERT = (
    f"delete from {COPY} using stage where {COPY}.{table.KEY} = stage.{table.KEY}",
    f"insert into {COPY} select * from stage order by {table.KEY}",
)
MERGE = (
    f"merge into {COPY} as target using stage on target.{table.KEY} = stage.{table.KEY} "
    f"when matched then update set {SET_NEW} "
    f"when not matched then insert ({table.NAMES}) values ({VALUES})"
)
BASELINE = "psql COPY binary | psql COPY binary"


def select(where: str = "true", source: str = table.NAME) -> str:
    """Return the query that reads the source's rows."""
    return f"select {table.NAMES} from {source} where {where}"


def bulk_pipe(
    bench: Bench, source: str = table.NAME, *, format_: str = "binary", key_first: bool = False
) -> Pipe:
    """Return psql | psql into a table made in the same transaction, its key after the rows or before them."""
    freeze = f"copy {COPY} from stdin (format {format_}, freeze true)"
    after = () if key_first else (KEY_AFTER,)
    return bench.psql_pipe(
        f"copy ({select(source=source)}) to stdout (format {format_})",
        "begin", table.ddl(COPY, key=key_first), freeze, *after, "commit",
    )  # fmt: skip


def bulk(bench: Bench, rows: int) -> list[Method]:
    """Return the psql methods of the bulk table, but for the baseline; and postgres_fdw."""

    def into_key() -> list[Pipe]:
        copy = f"copy {COPY} from stdin (format binary)"
        return [bench.psql_pipe(f"copy ({select()}) to stdout (format binary)", copy)]

    return [
        Method(
            "psql COPY text | psql COPY text",
            lambda: [bulk_pipe(bench, format_="text")],
            COPY,
            runs=3,
        ),
        Method(
            "psql COPY binary, the key is there before the rows",
            into_key,
            COPY,
            lambda: bench.prepare(table.ddl(COPY, key=True)),
            runs=3,
        ),
        Method("postgres_fdw, insert … select", lambda: [foreign(bench)], COPY, runs=3),
        *scripts(bench, rows),
    ]


def scripts(bench: Bench, rows: int) -> list[Method]:
    """Return the Python methods that send rows one by one or in batches; on a slice, as they are slow."""
    some = min(rows, 200_000)
    labels = {
        "execute_values": "psycopg2 execute_values, 1,000 a page",
        "batches": "psycopg2 insert of 100 rows a statement",
        "executemany": "psycopg2 executemany",
    }
    script = "benchmarks.scripts.row_by_row"
    return [
        Method(
            label,
            lambda how=how: [  # type: ignore[misc]
                Pipe(((sys.executable, "-m", script, how, str(some)),), bench.environment())
            ],
            COPY,
            lambda: bench.prepare(table.ddl(COPY)),
            rows=some,
            runs=1,
            note=f"{some:,} rows only",
        )
        for how, label in labels.items()
    ]


def foreign(bench: Bench) -> Pipe:
    """Return one psql that reads the source through postgres_fdw, as fast as that is set up."""
    source = bench.source
    return Pipe(
        (
            bench.psql(
                bench.warehouse,
                "create extension if not exists postgres_fdw",
                "drop server if exists origin cascade",
                f"create server origin foreign data wrapper postgres_fdw options (host '{source.host}', "
                f"port '{source.port}', dbname '{source.dbname}', fetch_size '50000')",
                "create user mapping for current_user server origin "
                f"options (user '{source.user}', password '{source.password}')",
                f"create foreign table by_hand.origin ({_columns()}) server origin "
                f"options (schema_name 'public', table_name '{table.NAME}')",
                "begin",
                table.ddl(COPY),
                f"insert into {COPY} select * from by_hand.origin",
                KEY_AFTER,
                "commit",
            ),
        ),
        bench.environment(),
    )


def _columns() -> str:
    return ", ".join(f"{name} {kind}" for name, kind in table.COLUMNS.items())


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


def changes_script(
    bench: Bench, round_number: int, copy: str, *, find_deletes: bool = False
) -> Pipe:
    """Return one Python process that does the same as `changes` with the upsert; and compares all keys, if wanted."""
    query = select(table.changed_since(round_number))
    script = "benchmarks.scripts.upsert"
    merge = UPSERT.replace(COPY, copy)
    sweep = (table.NAME, table.KEY) if find_deletes else ()
    return Pipe(((sys.executable, "-m", script, query, copy, merge, *sweep),), bench.environment())
