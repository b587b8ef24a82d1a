"""The contract: which tables are loaded and how, from `config.meta.load` in dbt sources YAML (DESIGN section 3).

A source is loaded when it, or the table, has a `load` entry (an empty one will do). A table's keys win over its
source's. What is wrong with one table never stops the others: it comes back as that table's problem.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import ConfigError
from runner.misplaced import misplaced
from runner.personal_data import personal_kind

STRATEGIES = ("full", "incremental")
DELETES = ("sweep", "ignore")
DEFAULT_LOOKBACK = "15 minutes"
DEFAULT_TIMEOUT = "2 hours"
DEFAULT_MAX_DELETED_SHARE = 0.2
# PostgreSQL cuts longer names, in bytes.
NAME_LENGTH = 63
KEYS = (
    "strategy", "primary_key", "watermark", "lookback", "deletes", "columns", "exclude",
    "source_schema", "source_table", "timeout", "watermark_timezone", "max_deleted_share",
)  # fmt: skip


@dataclass(frozen=True)
class TableSpec:
    """How one table is loaded. Empty tuples mean: read the key from the catalog, all columns."""

    source_name: str
    name: str
    raw_schema: str
    raw_table: str
    source_schema: str
    source_table: str
    strategy: str = "full"
    primary_key: tuple[str, ...] = ()
    watermark: str | None = None
    lookback: str = DEFAULT_LOOKBACK
    deletes: str = "sweep"
    columns: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    timeout: str = DEFAULT_TIMEOUT
    # Of a watermark without a zone; None: as sessions have it in the source.
    watermark_timezone: str | None = None
    max_deleted_share: float = DEFAULT_MAX_DELETED_SHARE
    file: str = ""
    # Kind of person, the column with their key, and the columns that are personal (`person_of`).
    person: tuple[str, str, tuple[str, ...]] | None = None
    # Columns that the YAML itself says are not erased, whatever their names.
    kept: tuple[str, ...] = ()
    retention_column: str | None = None

    @property
    def label(self) -> str:
        """Return `source.table`, as the user names it."""
        return f"{self.source_name}.{self.name}"


@dataclass(frozen=True)
class Problem:
    """Why one table of the contract cannot be loaded: one line naming file, table and key."""

    label: str
    message: str


@dataclass(frozen=True)
class Contract:
    """All tables to load, and the ones whose YAML is wrong.

    `people` are all kinds of person that sources have, None in a part of a contract that was looked at already.
    """

    tables: tuple[TableSpec, ...]
    problems: tuple[Problem, ...]
    people: tuple[str, ...] | None = None

    def select(self, names: Sequence[str]) -> Contract:
        """Return the part named by `names` (`table` or `source.table`; none means all).

        Raises ConfigError for a name the contract does not have, with the nearest one it has.
        """
        if not names:
            return self
        labels = [t.label for t in self.tables] + [p.label for p in self.problems]
        chosen: set[str] = set()
        for name in names:
            hits = [x for x in labels if name in (x, x.split(".", 1)[1])]
            if not hits:
                short = [x.split(".", 1)[1] for x in labels]
                near = difflib.get_close_matches(name, [*short, *labels], n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(short)}"
                raise ConfigError(f"no table {name!r} in the sources YAML: {hint}")
            chosen.update(hits)
        return Contract(
            tuple(t for t in self.tables if t.label in chosen),
            tuple(p for p in self.problems if p.label in chosen),
            self.people,
        )


def read_contract(manifest: Mapping[str, Any], project_dir: Path | None = None) -> Contract:
    """Return the contract in dbt's manifest; with `project_dir`, what its YAML says in the wrong place is a problem.

    Raises ConfigError if nothing is to be loaded.
    """
    wrong = misplaced(manifest, project_dir, KEYS) if project_dir else {}
    tables: list[TableSpec] = []
    problems: list[Problem] = []
    for node in manifest["sources"].values():
        of_source, of_table = _load_entries(node)
        label = f"{node['source_name']}.{node['name']}"
        if of_source is None and of_table is None and label not in wrong:
            continue
        try:
            if label in wrong:
                raise ConfigError(wrong[label])
            tables.append(_table(node, _mapping(of_source) | _mapping(of_table)))
        except ConfigError as error:
            problems.append(Problem(label, f"{node['original_file_path']}: table {label}: {error}"))
    if not tables and not problems:
        raise ConfigError("no source of this project is to be loaded: give one `config.meta.load` in its YAML")
    clashes = _clashes(tables, _schemas_of_models(manifest))
    problems += [Problem(spec.label, message) for spec, message in clashes]
    refused = {spec.label for spec, _ in clashes}
    metas = [meta for node in manifest["sources"].values() for meta in _metas(node.get("columns") or {}).values()]
    people = tuple(sorted({str(meta["person"]) for meta in metas if meta.get("person")}))
    return Contract(tuple(t for t in tables if t.label not in refused), tuple(problems), people)


def place_in_source(schema: str | None, table: str) -> tuple[str, str]:
    """Return the schema and name of a table in the source, by `source_schema`, if any, and `source_table` or name."""
    if schema is not None:
        return schema, table
    # `source_table: other.table` names the schema too, unless source_schema already does.
    head, dot, tail = table.partition(".")
    return (head, tail) if dot else ("public", table)


def raw_schemas(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the schemas that dbt's manifest has tables loaded into: whoever writes there holds their locks."""
    loaded = (n for n in manifest["sources"].values() if _load_entries(n) != (None, None))
    return tuple(sorted({_name_in_warehouse(node, "schema") for node in loaded}))


def _load_entries(node: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the `load` entries of a table's source and of the table itself; None where there is none."""
    of_table = node.get("meta") or (node.get("config") or {}).get("meta") or {}
    metas = (node.get("source_meta") or {}, of_table)
    of_source, own = (({} if meta["load"] is None else meta["load"]) if "load" in meta else None for meta in metas)
    return of_source, own


def _schemas_of_models(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the schemas that something else than the loader fills, each with what does."""
    schemas = dict.fromkeys(("ops", "information_schema"), "Haven or PostgreSQL itself")
    for node in (manifest.get("nodes") or {}).values():
        if node["resource_type"] in ("model", "snapshot", "seed"):
            schemas.setdefault(node["schema"], f"{node['resource_type']} {node['name']}")
    return schemas


def _clashes(tables: Sequence[TableSpec], taken: Mapping[str, str]) -> list[tuple[TableSpec, str]]:
    """Return the tables that would be loaded over each other or over what dbt builds, each with why."""
    places = Counter((t.raw_schema, t.raw_table) for t in tables)
    found = []
    for spec in tables:
        where = f"{spec.file}: table {spec.label}: "
        place = f"{spec.raw_schema}.{spec.raw_table}"
        owner = taken.get(spec.raw_schema)
        if spec.raw_schema.startswith("pg_"):
            owner = "Haven or PostgreSQL itself"
        if owner is not None:
            found.append(
                (
                    spec,
                    f"{where}its source's schema {spec.raw_schema} belongs to {owner}: "
                    "give the source a `schema` of its own, such as raw_" + spec.source_name,
                )
            )
        elif places[spec.raw_schema, spec.raw_table] > 1:
            same = [
                t.label
                for t in tables
                if t.label != spec.label and (t.raw_schema, t.raw_table) == (spec.raw_schema, spec.raw_table)
            ]
            found.append(
                (
                    spec,
                    f"{where}{', '.join(same)} is loaded into {place} as well: give one of them another "
                    "`identifier`, or its source another `schema`",
                )
            )
    return found


def _name_in_warehouse(node: Mapping[str, Any], part: str) -> str:
    """Return a source's schema or identifier as PostgreSQL takes it from dbt: cut, and in lower case if unquoted."""
    name = str(node[part])
    if (node.get("quoting") or {}).get(part) is False:
        name = name.lower()
    return name.encode()[:NAME_LENGTH].decode(errors="ignore")


def _share(load: Mapping[str, Any]) -> float:
    value = load.get("max_deleted_share", DEFAULT_MAX_DELETED_SHARE)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigError(f"max_deleted_share is {value!r}: it must be a share from 0 to 1, such as 0.2")
    return float(value)


def _mapping(value: object) -> dict[str, Any]:
    if value is None or value is True:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"`load` must be a mapping, not {value!r}")
    return value


def _table(node: Mapping[str, Any], load: Mapping[str, Any]) -> TableSpec:
    for key in load:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(KEYS)}"
            raise ConfigError(f"unknown key {key!r} under load: {hint}")
    strategy = _one_of(load, "strategy", STRATEGIES, "full")
    watermark = None if load.get("watermark") is None else _name(load, "watermark")
    if strategy == "incremental" and not watermark:
        raise ConfigError("strategy incremental needs the key `watermark`")
    source_schema, source_table = place_in_source(
        _name(load, "source_schema"), _name(load, "source_table") or str(node["name"])
    )
    return TableSpec(
        source_name=node["source_name"],
        name=node["name"],
        raw_schema=_name_in_warehouse(node, "schema"),
        raw_table=_name_in_warehouse(node, "identifier"),
        source_schema=source_schema,
        source_table=source_table,
        strategy=strategy,
        primary_key=_names(load, "primary_key"),
        # A source's default watermark means nothing to a table that is read whole.
        watermark=watermark if strategy == "incremental" else None,
        lookback=_length(load, "lookback", DEFAULT_LOOKBACK),
        deletes=_one_of(load, "deletes", DELETES, "sweep"),
        columns=_names(load, "columns"),
        exclude=_names(load, "exclude"),
        timeout=_length(load, "timeout", DEFAULT_TIMEOUT),
        watermark_timezone=_zone(load.get("watermark_timezone")),
        max_deleted_share=_share(load),
        file=node["original_file_path"],
        person=person_of(node.get("columns") or {}),
        kept=tuple(
            name
            for name, meta in _metas(node.get("columns") or {}).items()
            if not meta.get("erase", meta.get("pii", True))
        ),
        retention_column=retention_column(node),
    )


def _one_of(load: Mapping[str, Any], key: str, allowed: Sequence[str], default: str) -> str:
    value = load.get(key, default)
    if value not in allowed:
        raise ConfigError(f"unknown {key} {value!r}: it must be one of {', '.join(allowed)}")
    return str(value)


def _name(load: Mapping[str, Any], key: str) -> str | None:
    """Return the name under `key`, None if there is no such key."""
    if key not in load:
        return None
    value = load[key]
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{key} must be a name, not {value!r}")
    return value


def _length(load: Mapping[str, Any], key: str, default: str) -> str:
    """Return a length of time, or a number (of a watermark that is one), as text."""
    value = load.get(key, default)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ConfigError(f"{key} must be a length, such as {default!r}, not {value!r}")
    return str(value)


def _zone(value: object) -> str | None:
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise ConfigError(f"watermark_timezone must be the name of a time zone, not {value!r}")
    return value


def _names(load: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = load.get(key) or []
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ConfigError(f"{key} must be a list of column names, not {value!r}")
    if len(set(value)) < len(value):
        raise ConfigError(f"{key} names a column twice: {', '.join(value)}")
    return tuple(value)


def person_of(columns: Mapping[str, Mapping[str, Any]]) -> tuple[str, str, tuple[str, ...]] | None:
    """Return kind, key column and erased columns of a manifest node's `columns`, or None without a person.

    What is personal, by `meta.pii` or by name, is erased, unless `meta.erase` is false; `meta.erase: true` adds others.
    The macro person_nodes finds the same in dbt's graph.

    Raises ConfigError if two columns name a person.
    """
    metas = _metas(columns)
    people = [(name, str(meta["person"])) for name, meta in metas.items() if meta.get("person")]
    if not people:
        return None
    if len(people) > 1:
        raise ConfigError(f"columns {', '.join(name for name, _ in people)} each have `meta.person`: only one may")
    ((key, kind),) = people
    erased = tuple(name for name, meta in metas.items() if meta.get("erase", bool(_pii(name, meta))) and name != key)
    return kind, key, erased


def _metas(columns: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {name: (c.get("config") or {}).get("meta") or c.get("meta") or {} for name, c in columns.items()}


def _pii(column: str, meta: Mapping[str, Any]) -> object:
    """Return the kind of personal data in a column, or what is false; the YAML counts more than the name."""
    said = meta.get("pii")
    return personal_kind(column) if said is None else said


def retention_column(node: Mapping[str, Any]) -> str | None:
    """Return the column that a source table's retention goes by, or None. Raises ConfigError if it is wrong."""
    meta = node.get("meta") or (node.get("config") or {}).get("meta") or {}
    said = meta.get("retention")
    if said is None:
        return None
    keys = {"column", "keep", "purge_after"}
    if not isinstance(said, dict) or set(said) - keys or not {"column", "keep"} <= set(said):
        raise ConfigError(
            f"{node['original_file_path']}: table {node['name']}: retention takes column, keep "
            f"(such as `2 years`) and purge_after, not {said!r}"
        )
    return str(said["column"])
