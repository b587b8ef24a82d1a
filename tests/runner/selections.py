"""Builds models one at a time, as an analyst does, in a copy of a built warehouse, and says what that broke.

`python -m selections [MODEL…]` (none: every model, snapshot and seed) works on the warehouse and the project that the
environment names (`haven env`). Somebody else's view is put on every relation there, and another view on that. dbt runs
as a login of haven_transformer, who may do nothing with these views. After `dbt build -s M` everything has to be there
as before and each view readable, and no test may fail. Prints a line per selection; exit code 1 if one is wrong.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection

from runner.access.apply import apply_roles
from runner.connect import connect
from runner.settings import Connection, Settings

BUILDER, READER = "selections_builder", "selections_reader"
OURS = (
    "select pg_class.oid, nspname, relname, relkind::text from pg_class "
    "join pg_namespace on relnamespace = pg_namespace.oid "
    "where relkind in ('r', 'p', 'v', 'm') and nspowner = 'haven_transformer'::regrole "
)
# Failing rows come and go with their tests, the strategy's notes with its builds.
STANDING = OURS + "and nspname not in ('quality', 'model_state') and relname !~ '__dbt_tmp$'"


def put_views(session: PgConnection) -> None:
    """Give another role a view on every relation, and a view on each of these."""
    with session, session.cursor() as cursor:
        cursor.execute(f"create schema bi authorization {READER}")
        cursor.execute(STANDING)
        for oid, schema, name, _ in cursor.fetchall():
            relation, view = sql.Identifier(schema, name), sql.Identifier("bi", f"on_{oid}")
            cursor.execute(sql.SQL("grant usage on schema {} to {}").format(
                sql.Identifier(schema), sql.Identifier(READER)))  # fmt: skip
            cursor.execute(sql.SQL("grant select on {} to {}").format(relation, sql.Identifier(READER)))
            cursor.execute(f"set local role {READER}")
            cursor.execute(sql.SQL("create view {} as select * from {}").format(view, relation))
            again = sql.Identifier("bi", f"again_{oid}")
            cursor.execute(sql.SQL("create view {} as select count(*) as n from {}").format(again, view))
            cursor.execute("reset role")


def standing(session: PgConnection) -> dict[str, Any]:
    """Return what is there: relations with their kinds, and the foreign views with what they are made of."""
    with session, session.cursor() as cursor:
        cursor.execute(f"select nspname || '.' || relname, relkind from ({STANDING}) as found")
        relations = dict(cursor.fetchall())
        cursor.execute(
            "select 'bi.' || relname, pg_get_viewdef(oid) from pg_class where relkind = 'v' "
            "and relnamespace = 'bi'::regnamespace"
        )
        return relations | dict(cursor.fetchall())


def unreadable(session: PgConnection) -> list[str]:
    """Return the foreign views that their owner can no longer read."""
    found = []
    with session, session.cursor() as cursor:
        cursor.execute("select relname from pg_class where relnamespace = 'bi'::regnamespace")
        for (name,) in cursor.fetchall():
            view = sql.Identifier("bi", name)
            cursor.execute("savepoint reading")
            try:
                cursor.execute(sql.SQL("select * from {} limit 0").format(view))
            except Exception as error:
                found.append(f"{name}: {error}")
            cursor.execute("rollback to reading")
    return found


@contextmanager
def copied(warehouse: Connection) -> Iterator[Connection]:
    """Copy the warehouse for as long as the block lasts; return who builds there."""
    copy = replace(warehouse, dbname=f"{warehouse.dbname}_selections")
    names = sql.Identifier(copy.dbname), sql.Identifier(warehouse.dbname)
    password = secrets.token_hex(16)
    with closing(connect(replace(warehouse, dbname="postgres"))) as admin:
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute(sql.SQL("drop database if exists {} with (force)").format(names[0]))
            cursor.execute(sql.SQL("create database {} template {}").format(*names))
            for role in (BUILDER, READER):
                cursor.execute(f"drop role if exists {role}")
                cursor.execute(f"create role {role}")
            try:
                with closing(connect(copy)) as session:
                    apply_roles(session)
                    put_views(session)
                cursor.execute(f"alter role {BUILDER} login password %s", (password,))
                cursor.execute(f"grant haven_transformer to {BUILDER}")
                cursor.execute(f"alter role {BUILDER} set role haven_transformer")
                yield replace(copy, user=BUILDER, password=password)
            finally:
                cursor.execute(sql.SQL("drop database {} with (force)").format(names[0]))
                for role in (BUILDER, READER):
                    cursor.execute(f"drop role {role}")


def main(names: list[str]) -> int:
    """Try the selections of these models, or of all; return the exit code."""
    warehouse = Settings(Path(), Path(), os.environ).connection("warehouse")
    wrong = 0
    with copied(warehouse) as builder, closing(connect(replace(warehouse, dbname=builder.dbname))) as session:
        os.environ.update(builder.as_env())
        manifest = dbtRunner().invoke(["parse", "--quiet"]).result
        assert manifest is not None
        wanted = names or [
            node.name
            for node in manifest.nodes.values()
            if node.resource_type in ("model", "snapshot", "seed") and node.package_name == "haven"
        ]
        before = standing(session)
        for name in wanted:
            started = time.monotonic()
            done = dbtRunner(manifest=manifest).invoke(
                ["build", "--select", name, "--quiet", "--log-level", "none", "--log-level-file", "none"]
            )
            results = list(getattr(done.result, "results", []))
            problems = [
                f"{result.node.name} {result.status}: {result.message}"
                for result in results
                if result.status in ("error", "fail", "skipped")
            ]
            if not results:
                problems.append(f"nothing was built: {done.exception}")
            after = standing(session)
            problems += [
                f"{key} was {before[key]!r} and is {after.get(key)!r}"
                for key in before
                if after.get(key) != before[key]
            ]
            problems += unreadable(session)
            wrong += bool(problems)
            print(f"{'wrong' if problems else 'ok   '} {name} {time.monotonic() - started:.1f} s", flush=True)
            for problem in problems:
                print(f"      {problem}", flush=True)
    print(f"{len(wanted)} selections, {wrong} wrong, {len(before)} relations and foreign views")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
