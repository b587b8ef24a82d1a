"""Where the project's YAML says that people are: tables with a `meta.person` column and what is erased there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner.errors import ConfigError

_COPIES = """
select pg_namespace.nspname, pg_class.relname, keys.attname,
    (
        select array_agg(held.attname::text order by held.attnum)
        from pg_attribute as held
        where held.attrelid = pg_class.oid and held.attnum > 0 and held.attname = any(%(columns)s)
    ) as columns
from pg_class
inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
inner join pg_attribute as keys on pg_class.oid = keys.attrelid
where pg_class.relkind in ('r', 'p') and not pg_class.relispartition
    and pg_class.relpersistence <> 't'
    and pg_namespace.nspname <> all(%(raw_schemas)s)
    and pg_namespace.nspname not in ('pg_catalog', 'information_schema')
    and keys.attname = any(%(keys)s) and keys.attnum > 0
    and keys.atttypid = any(
        select originals.atttypid from pg_attribute as originals
        where originals.attrelid = to_regclass(%(original)s) and originals.attname = %(original_key)s
    )
order by 1, 2
"""


@dataclass(frozen=True)
class Place:
    """A table that holds a kind of person: the column with their key, and the columns that are erased.

    `names` are those of the columns that hold people's names. `is_raw`: the loader fills it.
    """

    label: str
    schema: str
    table: str
    person_kind: str
    person_column: str
    columns: tuple[str, ...]
    names: tuple[str, ...]
    is_raw: bool

    @property
    def name(self) -> sql.Identifier:
        """Return the table's quoted name."""
        return sql.Identifier(self.schema, self.table)


def column_meta(column: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the `meta` of a column of the manifest."""
    return (column.get("config") or {}).get("meta") or column.get("meta") or {}


def person_of(
    columns: Mapping[str, Mapping[str, Any]],
) -> tuple[str, str, tuple[str, ...]] | None:
    """Return kind, key column and erased columns of a manifest node's `columns`, or None without a person.

    What has `meta.pii` is erased, unless `meta.erase` is false; `meta.erase: true` adds what is not called personal.

    Raises ConfigError if two columns name a person.
    """
    metas = {name: column_meta(column) for name, column in columns.items()}
    people = [(name, str(meta["person"])) for name, meta in metas.items() if meta.get("person")]
    if not people:
        return None
    if len(people) > 1:
        raise ConfigError(
            f"columns {', '.join(name for name, _ in people)} each have `meta.person`: only one may"
        )
    ((key, kind),) = people
    erased = tuple(
        name
        for name, meta in metas.items()
        if meta.get("erase", bool(meta.get("pii"))) and name != key
    )
    return kind, key, erased


def find_places(manifest: Mapping[str, Any], kind: str) -> list[Place]:
    """Return every place of people of this kind, raw first.

    Raises ConfigError if the YAML knows no such kind, or names two people in one table.
    """
    nodes: Iterable[Mapping[str, Any]] = [
        *manifest["sources"].values(),
        *manifest["nodes"].values(),
    ]
    places = []
    kinds = set()
    for node in nodes:
        try:
            found = person_of(node.get("columns") or {})
        except ConfigError as error:
            raise ConfigError(f"{node['original_file_path']}: {node['name']}: {error}") from None
        if found is None:
            continue
        kinds.add(found[0])
        if found[0] == kind and found[2]:
            is_raw = node["resource_type"] == "source"
            table = node["identifier"] if is_raw else node["alias"]
            names = tuple(
                name for name in found[2] if column_meta(node["columns"][name]).get("pii") == "name"
            )
            places.append(
                Place(
                    f"{node['schema']}.{table}",
                    node["schema"],
                    table,
                    *found,
                    names=names,
                    is_raw=is_raw,
                )
            )
    if not places:
        known = ", ".join(sorted(kinds)) or "none: mark the key's column with `meta.person`"
        raise ConfigError(f"the YAML knows no person of kind {kind!r}; known: {known}")
    return places


def copies_of(cursor: PgCursor, places: Sequence[Place]) -> list[Place]:
    """Return the tables that no YAML names but that have a person's key and marked columns, by their names.

    Such are a developer's schemas, what models keep of their changes, and failing rows of tests. Raises psycopg2.Error.
    """
    first = places[0]
    known = {(place.schema, place.table) for place in places}
    names = {name for place in places for name in place.names}
    cursor.execute(
        _COPIES,
        {
            "columns": sorted({name for place in places for name in place.columns}),
            "keys": sorted({place.person_column for place in places}),
            "raw_schemas": sorted({place.schema for place in places if place.is_raw}),
            "original": first.name.as_string(cursor),
            "original_key": first.person_column,
        },
    )
    return [
        Place(
            f"{schema}.{table}",
            schema,
            table,
            first.person_kind,
            key,
            tuple(columns),
            tuple(name for name in columns if name in names),
            is_raw=False,
        )
        for schema, table, key, columns in cursor.fetchall()
        if columns and (schema, table) not in known
    ]
