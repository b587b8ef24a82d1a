"""What `haven discover` adds to a sources YAML: the tables and columns of the source's catalog that it lacks."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from itertools import chain, count
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from psycopg2.extensions import cursor as PgCursor

from runner.catalog import Name, read_tables
from runner.contract import NAME_LENGTH, place_in_source
from runner.discover.yaml_file import YamlFile, comment, scalar, unescaped
from runner.errors import ConfigError
from runner.load.columns import MAX_COLUMNS, SYSTEM_COLUMNS
from runner.load.statements import META_COLUMNS
from runner.personal_data import personal_kind

# A source, table or column: of catalog.sql, of the YAML.
Entry = dict[str, Any]


def read_schemas(cursor: PgCursor, wanted: Sequence[str]) -> dict[str, list[Entry]]:
    """Return the tables of each of the wanted schemas (none: of all) that has some.

    Raises ConfigError for a schema that is not there.
    """
    query = resources.files("runner.discover").joinpath("catalog.sql").read_text("utf-8")
    options = {
        "schemas": list(wanted) or None,
        "reserved": [*META_COLUMNS, *SYSTEM_COLUMNS],
        "most_columns": MAX_COLUMNS - len(META_COLUMNS),
    }
    cursor.execute(query, options)
    schemas: dict[str, list[Entry]] = dict(cursor.fetchall())
    if missing := [name for name in wanted if name not in schemas]:
        raise ConfigError(f"the source has no schema {missing[0]}: it has {', '.join(schemas)}")
    tables = list(chain.from_iterable(schemas.values()))
    known = read_tables(cursor, [(table["schema"], table["table"]) for table in tables])
    for table in tables:
        shape = known[table["schema"], table["table"]]
        table["bytes"] = shape.size_bytes
        for column, in_raw in zip(table["columns"], shape.columns, strict=True):
            column |= {"data_type": in_raw.raw_type, "is_cast": in_raw.is_cast}
    return {schema: tables for schema, tables in schemas.items() if tables}


def described(file: YamlFile, schemas: Mapping[str, list[Entry]]) -> dict[Name, tuple[int, int]]:
    """Return which tables the file describes: positions of source and table, by place in the database.

    A project's sources are all of one database, but a file may hold those of another: of what a source loads from
    these schemas, most must be there. Raises ConfigError if the file is no sources YAML.
    """
    there = {(schema, table["table"]) for schema, tables in schemas.items() for table in tables}
    found: dict[Name, tuple[int, int]] = {}
    for at, source in enumerate(_entries(file, file.data, "sources")):
        tables = _entries(file, source, "tables")
        own = {_place(source, table): (at, number) for number, table in enumerate(tables)}
        here = {place for place in own if place[0] in schemas}
        if 2 * len(here & there) > len(here):
            found |= own
    return found


def add_to(file: YamlFile, schemas: Mapping[str, list[Entry]], database: str) -> Entry:
    """Add to `file` the tables and columns it lacks; return their labels, and why what is there cannot be loaded.

    Raises ConfigError if the file is written in a way that nothing can be added to.
    """
    sources = list(_entries(file, file.data, "sources"))
    old = len(sources)
    known = described(file, schemas)
    names = {
        place: (str(sources[at]["name"]), str(sources[at]["tables"][number]["name"]))
        for place, (at, number) in known.items()
    }
    homes = {schema: at for (schema, _), (at, _) in reversed(known.items())}
    for schema, tables in schemas.items():
        if schema not in homes:
            homes[schema] = len(sources)
            name = slug(database if schema == "public" else f"{database}_{schema}")
            name = _free(name, {source["name"] for source in sources})
            raw = _free(f"raw_{name}", {source.get("schema") for source in sources})
            sources.append({"name": name, "schema": raw, "source_schema": schema})
        source = sources[homes[schema]]
        taken = {entry["name"] for entry in source.get("tables") or []}
        # The tables that have such a name anyway keep it.
        for table in sorted(tables, key=lambda t: (t["table"] != slug(t["table"]), t["table"])):
            place = (schema, table["table"])
            if place not in names:
                names[place] = (source["name"], _free(slug(table["table"]), taken))
                taken.add(names[place][1])
            table["label"], table["name"] = ".".join(names[place]), names[place][1]
            table["needs_schema"] = homes[schema] < old
    shut = {(t["schema"], t["table"]) for t in chain(*schemas.values()) if t["problem"]}
    for place, (at, number) in known.items():
        if (sources[at]["tables"][number].get("config") or {}).get("enabled") is False:
            shut.add(place)
    write = _templates({place: name for place, name in names.items() if place not in shut})
    added: Entry = {"tables": [], "columns": [], "problems": {}}
    for schema, tables in schemas.items():
        new = [table for table in tables if (schema, table["table"]) not in known]
        added["tables"] += [table["label"] for table in new]
        added["problems"] |= {t["label"]: t["problem"] for t in tables if t["problem"]}
        for table in tables:
            if (schema, table["table"]) in known:
                at, number = known[schema, table["table"]]
                columns = _new_columns(file, sources[at], sources[at]["tables"][number], table, added)
                if columns:
                    written = "".join(map(write.column, columns))
                    file.add(("sources", at, "tables", number, "columns"), written)
        if homes[schema] >= old:
            file.add(["sources"], write.source({**sources[homes[schema]], "tables": new}))
        elif new:
            file.add(["sources", homes[schema], "tables"], "".join(map(write.table, new)))
    return added


def _new_columns(file: YamlFile, source: Entry, entry: Entry, table: Entry, added: Entry) -> list[Entry]:
    """Return the columns of a table that its entry lacks, but for those that it does not load; note them in `added`."""
    load = _load(source) | _load(entry)
    there = {unescaped(column["name"]) for column in _entries(file, entry, "columns")}
    chosen, excluded = (
        {unescaped(name) for name in ([said] if isinstance(said, str) else said)}
        for said in (load.get("columns") or [], load.get("exclude") or [])
    )
    new = []
    for column in table["columns"]:
        name, label = column["name"], f"{table['label']}.{column['name']}"
        if name in there | excluded or (chosen and name not in chosen):
            continue
        if column["problem"]:
            added["problems"][label] = f"{column['problem']}; leave it out with `exclude`"
        else:
            added["columns"].append(label)
            new.append(column)
    return new


def _entries(file: YamlFile, data: Entry, key: str) -> list[Entry]:
    """Return the entries under `key`, each with a name; none if it is not there. Raises ConfigError."""
    found = data.get(key) or []
    if not isinstance(found, list) or not all(isinstance(e, dict) and "name" in e for e in found):
        raise ConfigError(f"{file.path}: `{key}` must be a list of entries with names")
    return found


def _load(entry: Entry) -> Entry:
    """Return `config.meta.load` of a source or table of the YAML."""
    for key in ("config", "meta", "load"):
        entry = entry.get(key) or {}
        if not isinstance(entry, dict):
            return {}
    return entry


def _place(source: Entry, entry: Entry) -> Name:
    """Return the schema and name that a table of the YAML has in the source."""
    load = _load(source) | _load(entry)
    schema = load.get("source_schema")
    table = unescaped(load.get("source_table") or entry["name"])
    return place_in_source(None if schema is None else unescaped(schema), table)


def slug(name: str) -> str:
    """Return `name` in lower case and without what must be quoted: `OrderItems` and `order items` are order_items."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
    return re.sub(r"\W+", "_", words).strip("_") or "unnamed"


def _free(name: str, taken: Collection[object]) -> str:
    """Return `name`, cut as PostgreSQL would, or with the first number behind it that is not taken."""
    ends = chain([""], (f"_{number}" for number in count(2)))
    names = (name.encode()[: NAME_LENGTH - len(e)].decode(errors="ignore") + e for e in ends)
    return next(found for found in names if found not in taken)


def _templates(targets: Mapping[Name, tuple[str, str]]) -> Any:  # noqa: ANN401 (its members are the macros)
    """Return the macros of the template, which write a source, table or column as a list item of YAML."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701 (YAML, no page)
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"scalar": scalar, "comment": comment, "personal_kind": personal_kind}
    environment.filters |= filters
    environment.globals |= {"targets": targets, "today": datetime.now(UTC).date()}
    return environment.get_template("sources.yml.j2").module
