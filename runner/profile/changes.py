"""Which columns change slowly: read from dbt's snapshots in the warehouse, where a table has one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection

from runner.catalog import read_table
from runner.profile.result import Changes


@dataclass(frozen=True)
class Snapshot:
    """A dbt snapshot of one source table, and the key whose versions it holds."""

    name: str
    schema: str
    table: str
    key: tuple[str, ...]


def snapshots_of(manifest: Mapping[str, Any], source_id: str) -> list[Snapshot]:
    """Return the project's snapshots that read only this source, directly or through models."""
    found = []
    for node in manifest["nodes"].values():
        key = (node.get("config") or {}).get("unique_key")
        if node["resource_type"] != "snapshot" or not key:
            continue
        if _sources_behind(manifest, node["unique_id"]) == {source_id}:
            names = (key,) if isinstance(key, str) else tuple(key)
            found.append(Snapshot(node["name"], node["schema"], node["alias"], names))
    return sorted(found, key=lambda snapshot: snapshot.name)


def _sources_behind(manifest: Mapping[str, Any], node_id: str) -> set[str]:
    seen: set[str] = set()
    waiting = [node_id]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            node = manifest["nodes"].get(current) or {}
            waiting += (node.get("depends_on") or {}).get("nodes") or []
    return {name for name in seen if name in manifest["sources"]}


def read_changes(
    warehouse: PgConnection, snapshot: Snapshot, columns: Iterable[str]
) -> Changes | None:
    """Return, for columns of the snapshot that have the source's names, how many keys had several values.

    Null counts as a value. None if the snapshot is not built, cannot be read, or lacks its key.
    """
    try:
        with warehouse, warehouse.cursor() as cursor:
            table = read_table(cursor, snapshot.schema, snapshot.table)
            if table is None or not set(snapshot.key) <= set(table.names):
                return None
            shared = [name for name in columns if name in table.names and name not in snapshot.key]
            versions = [
                sql.SQL("count(distinct {0}::text) + (bool_or({0} is null))::int as {1}").format(
                    sql.Identifier(name), sql.Identifier(f"v{at}")
                )
                for at, name in enumerate(shared)
            ]
            counted = [
                sql.SQL("count(*) filter (where {} > 1)").format(sql.Identifier(f"v{at}"))
                for at in range(len(shared))
            ]
            keys = sql.SQL(", ").join(sql.Identifier(name) for name in snapshot.key)
            cursor.execute(
                sql.SQL("select {} from (select {} from {} group by {}) as versions").format(
                    sql.SQL(", ").join([sql.SQL("count(*)"), *counted]),
                    sql.SQL(", ").join([keys, *versions]),
                    sql.Identifier(snapshot.schema, snapshot.table),
                    keys,
                )
            )
            keys_seen, *changed = cursor.fetchone() or (0,)
    except psycopg2.Error:
        return None
    return Changes(snapshot.name, keys_seen, dict(zip(shared, changed, strict=True)))
