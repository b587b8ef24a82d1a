"""The warehouse that histories run in: made once, put back before each example, built by dbt in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import conftest
from dbt.cli.main import dbtRunner
from dbt_common.tests import enable_test_caching
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection

from runner import embedded
from runner.child import look_less_for_garbage
from runner.connect import connect
from runner.settings import Connection, read_state

# Enough for every table to exist and for every model to have rows that no history touches.
SCALE = "0.002"
TEMPLATE = "histories_template"
# Every incremental model has as long a name as PostgreSQL takes, and all of them begin alike.
LONG_NAMES = """
{% macro generate_alias_name(custom_alias_name=none, node=none) -%}
    {%- set name = custom_alias_name or node.name -%}
    {{- 'x' * (63 - name | length) if node.config.get('incremental_strategy') == 'touched_keys' -}}
    {{- name -}}
{%- endmacro %}
"""


@dataclass
class Warehouse:
    """A built warehouse, its dbt project and manifest, and each incremental model's relation and query."""

    path: Path
    connection: Connection
    manifest: Any = None
    refreshes: dict[str, tuple[str, str]] = field(default_factory=dict)
    builds: int = 0
    refusals: int = 0

    def dbt(self, *args: str) -> Any:
        """Run dbt here; return its result. Raises AssertionError if anything in it failed."""
        done = dbtRunner(manifest=self.manifest).invoke(
            [*args, "--project-dir", str(self.path), "--profiles-dir", str(self.path), "--quiet",
             "--no-write-json", "--no-partial-parse", "--log-level-file", "none", "--log-level", "none"]
        )  # fmt: skip
        results = getattr(done.result, "results", [])
        bad = [f"{r.node.name}: {r.message}" for r in results if r.status in ("error", "skipped")]
        assert done.success, bad or done.exception
        return done.result

    def build(self, names: list[str], *flags: str) -> None:
        """Build the named models and snapshots (empty: all that histories look at)."""
        self.builds += 1
        self.dbt("build", "--select", *(names or self.built()), "--exclude-resource-type", "test",
                 "--exclude-resource-type", "unit_test", *flags)  # fmt: skip

    def node(self, name: str) -> Any:
        """Return the manifest's node of the model or snapshot of this name."""
        return next(node for node in self.manifest.nodes.values() if node.name == name)

    def incremental(self) -> list[str]:
        """Return the names of all models of the touched_keys strategy."""
        return sorted(
            node.name
            for node in self.manifest.nodes.values()
            if node.resource_type == "model"
            and node.package_name == "haven"
            and node.config.get("incremental_strategy") == "touched_keys"
        )

    def built(self) -> list[str]:
        """Return the incremental models, and the snapshots and tables they are computed from."""
        wanted = {node.name: node for node in self.manifest.nodes.values()}
        names, left = set(), self.incremental()
        while left:
            node = wanted[left.pop()]
            if node.name in names:
                continue
            if node.resource_type == "snapshot" or node.config.materialized in ("incremental", "table", "partitioned"):
                names.add(node.name)
            left += [
                self.manifest.nodes[unique_id].name
                for unique_id in node.depends_on.nodes
                if unique_id in self.manifest.nodes
                and self.manifest.nodes[unique_id].resource_type in ("model", "snapshot")
            ]
        return sorted(names)

    def reset(self) -> PgConnection:
        """Put the warehouse back to where every history starts; return a session in it."""
        with closing(self._admin()) as admin, admin.cursor() as cursor:
            name, template = map(sql.Identifier, (self.connection.dbname, TEMPLATE))
            cursor.execute(sql.SQL("drop database if exists {} with (force)").format(name))
            cursor.execute(sql.SQL("create database {} template {}").format(name, template))
        return connect(self.connection)

    def keep(self) -> None:
        """Make the warehouse as it is now the start of every history."""
        with closing(self._admin()) as admin, admin.cursor() as cursor:
            name, template = map(sql.Identifier, (self.connection.dbname, TEMPLATE))
            cursor.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s",
                (self.connection.dbname,),
            )
            cursor.execute(sql.SQL("create database {} template {}").format(template, name))

    def _admin(self) -> PgConnection:
        session = connect(replace(self.connection, dbname="postgres"))
        session.autocommit = True
        return session

    def differences(self, session: PgConnection) -> dict[str, list[tuple[str, str]]]:
        """Return for each model that is not its full refresh some rows of one side only, as text."""
        found = {}
        for name, (relation, query) in self.refreshes.items():
            with session, session.cursor() as cursor:
                cursor.execute(
                    "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute "
                    "where attrelid = %s::regclass and attnum > 0 and not attisdropped",
                    (relation,),
                )
                columns = cursor.fetchone()[0]  # type: ignore[index]
                stored = f"select {columns} from {relation}"
                fresh = f"select {columns} from ({query}) as fresh"
                cursor.execute(
                    f"select 'missing', unequal::text from ({fresh} except all {stored}) as unequal "
                    f"union all "
                    f"select 'too much', unequal::text from ({stored} except all {fresh}) as unequal"
                )
                if rows := cursor.fetchall():
                    found[name] = rows[:6]
        return found

    @contextmanager
    def edited(self, hands: str, share: int) -> Iterator[tuple[str, ...]]:
        """Let careless hands be at the models as long as the block lasts; yield what a build says that refuses it."""
        if hands == "no filters":
            with self.broken("is_touched", "{%- if is_incremental() -%}", "{%- if false -%}"):
                yield ()
        elif hands == "an input undeclared":
            nodes = [self.node(name) for name in self.incremental()]
            declared = [n for n in nodes if n.config.meta.get("touched_by")]
            node = declared[share % len(declared)]
            rules = node.config.meta["touched_by"]
            left_out = sorted(rules)[share // len(declared) % len(rules)]
            kept = {name: rule for name, rule in rules.items() if name != left_out}
            with patch.dict(node.config.meta, {"touched_by": kept}):
                yield (f"{node.name}: ", left_out, "touched_by")
        else:
            yield ()

    @contextmanager
    def broken(self, macro: str, old: str, new: str) -> Iterator[None]:
        """Replace a part of one of the project's macros for as long as the block lasts."""
        found = self.manifest.macros[f"macro.haven.{macro}"]
        assert found.macro_sql.count(old) == 1, f"{macro} has no {old}"
        whole = found.macro_sql
        found.macro_sql = whole.replace(old, new)
        try:
            yield
        finally:
            found.macro_sql = whole


@contextmanager
def made_in(home: Path) -> Iterator[Warehouse]:
    """Start clusters in `home`, fill and build a small warehouse there, and stop all at the end."""
    enable_test_caching()
    look_less_for_garbage()
    embedded.up(home)
    try:
        state = read_state(home)
        assert state is not None
        source = Connection(side="source", **state["source"])
        warehouse = Connection(side="warehouse", **state["warehouse"])
        path = conftest.copy_project(home / "project")
        project = conftest.Project(path, source, warehouse)
        (path / "macros" / "long_names.sql").write_text(LONG_NAMES, encoding="utf-8")
        project.haven("deps", "--offline")
        project.haven("demo", "init", "--scale", SCALE)
        project.haven("load")
        _set_environment(source.as_env() | warehouse.as_env() | {"HAVEN_TARGET": "local"})
        made = Warehouse(path, warehouse)
        made.manifest = (
            dbtRunner().invoke(["parse", "--project-dir", str(path), "--profiles-dir", str(path), "--quiet"]).result
        )
        made.dbt("build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
        # A model that is never refreshed keeps what its inputs no longer say: nothing to compare it with.
        compared = [name for name in made.incremental() if made.node(name).config.full_refresh is not False]
        compiled = made.dbt("compile", "--full-refresh", "--select", *compared)
        made.refreshes = {
            r.node.name: (r.node.relation_name, r.node.compiled_code)
            for r in compiled.results
            if r.node.resource_type == "model"
        }
        made.keep()
        yield made
    finally:
        embedded.down(home, delete=True)


def _set_environment(values: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith(("HAVEN_", "DBT_", "PG"))]:
        del os.environ[name]
    os.environ.update(values, DBT_SEND_ANONYMOUS_USAGE_STATS="false")
