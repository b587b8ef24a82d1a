"""Which database and which table raw was loaded from, so that another one behind the same name is noticed.

A source is told by its system identifier and its database's oid: a standby has both, a restored dump or an upgraded
cluster has not. A table is told by its oid and by the files that hold its rows, its columns by their numbers and by
what their values are made from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from psycopg2.extensions import cursor as PgCursor

from runner.catalog import Name, Table
from runner.contract import TableSpec
from runner.errors import ConfigError

_ORIGIN = """
select
    case
        when has_function_privilege('pg_catalog.pg_control_system()', 'execute')
            then (select system_identifier::text from pg_control_system())
    end,
    oid::bigint, datname
from pg_database
where datname = current_database()
"""


@dataclass(frozen=True)
class Origin:
    """A database. `system` is its cluster's identifier, None where the login may not ask for it."""

    system: str | None
    database_oid: int
    database: str

    def is_same(self, other: Origin) -> bool:
        """Return whether both can be the same database."""
        knows_both = self.system is not None and other.system is not None
        return self.database_oid == other.database_oid and (
            self.system == other.system if knows_both else self.database == other.database
        )

    def __str__(self) -> str:
        system = f" of system {self.system}" if self.system else ""
        return f"database {self.database} (oid {self.database_oid}){system}"


@dataclass(frozen=True)
class Identity:
    """A source table as a load met it; `numbers` are its columns' attnums by name.

    `made_from` is as in the catalog's Table; empty where it was never noted.
    """

    origin: Origin
    table_oid: int
    storage: str
    numbers: Mapping[str, int]
    made_from: Mapping[str, str] = field(default_factory=dict)

    def renamed_to(self, now: Identity) -> dict[str, str]:
        """Return the columns that changed their names since, also to one that another column had: new by old name."""
        if not self.origin.is_same(now.origin) or self.table_oid != now.table_oid:
            return {}
        names = {number: name for name, number in now.numbers.items()}
        return {old: names[number] for old, number in self.numbers.items() if names.get(number, old) != old}

    def doubt(self, now: Identity) -> str | None:
        """Return why rows that no watermark tells of may differ by now; None if there is no reason."""
        if not self.origin.is_same(now.origin):
            return "the source is another database"
        if self.table_oid != now.table_oid:
            return "the source's table is another one, or was made again"
        if self.storage != now.storage:
            return "the source's table was rewritten, emptied, refreshed or put together anew"
        moved = [n for n, number in now.numbers.items() if self.numbers.get(n, number) != number]
        if moved:
            return f"another column of the source is now called {', '.join(sorted(moved))}"
        # What came, such as a label, no older row can have.
        parts = [p for p, value in self.made_from.items() if now.made_from.get(p, value) != value]
        changed = {int(part.split()[0]) for part in parts}
        remade = [name for name, number in now.numbers.items() if number in changed]
        if remade:
            return f"the type or expression of {', '.join(sorted(remade))} was changed in the source"
        return None


def read_origin(source: PgCursor) -> Origin:
    """Return what the source's database is."""
    source.execute(_ORIGIN)
    return Origin(*source.fetchone())  # type: ignore[misc]


def identity_of(table: Table, origin: Origin) -> Identity:
    """Return the identity of a source table."""
    numbers = {column.name: column.number for column in table.columns}
    return Identity(origin, table.oid, table.storage, numbers, table.made_from)


def noted_identities(warehouse: PgCursor, specs: Sequence[TableSpec]) -> dict[Name, Identity]:
    """Return what the tables' last loads met, by schema and name of the raw table."""
    warehouse.execute(
        "select raw_schema, raw_table, system_identifier, database_oid, database_name, table_oid, "
        "storage, column_numbers, made_from from ops.table_identities where raw_schema = any(%s)",
        (sorted({spec.raw_schema for spec in specs}),),
    )
    return {
        (schema, table): Identity(Origin(system, oid, name), *rest)
        for schema, table, system, oid, name, *rest in warehouse.fetchall()
    }


def check_origin(specs: Sequence[TableSpec], origin: Origin, noted: Mapping[Name, Identity]) -> None:
    """Make sure that the source is the database that raw was loaded from. Raises ConfigError that says how to go on."""
    others = [
        (spec, noted[name].origin)
        for spec in specs
        if (name := (spec.raw_schema, spec.raw_table)) in noted and not noted[name].origin.is_same(origin)
    ]
    if not others:
        return
    spec, before = others[0]
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    raise ConfigError(
        f"{spec.raw_schema}.{spec.raw_table}{more} came from {before}, but the source is now {origin}: "
        "nothing was moved. Check HAVEN_SOURCE_HOST, HAVEN_SOURCE_PORT and HAVEN_SOURCE_DBNAME; if the "
        "change is meant (a restored dump, pg_upgrade, a move), run `haven load --accept-source` once, "
        "which compares every table whole"
    )


def note_identity(spec: TableSpec, identity: Identity, warehouse: PgCursor, *, load_id: int) -> None:
    """Keep the table's identity, inside the load's transaction."""
    warehouse.execute(
        """
        insert into ops.table_identities (
            raw_schema, raw_table, system_identifier, database_oid, database_name, table_oid, storage,
            column_numbers, made_from, load_id
        ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (raw_schema, raw_table) do update set
            system_identifier = excluded.system_identifier, database_oid = excluded.database_oid,
            database_name = excluded.database_name, table_oid = excluded.table_oid,
            storage = excluded.storage, column_numbers = excluded.column_numbers,
            made_from = excluded.made_from, load_id = excluded.load_id, noted_at = now()
        """,
        (
            spec.raw_schema, spec.raw_table, identity.origin.system, identity.origin.database_oid,
            identity.origin.database, identity.table_oid, identity.storage,
            json.dumps(dict(identity.numbers)), json.dumps(dict(identity.made_from)), load_id,
        ),
    )  # fmt: skip
