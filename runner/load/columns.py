"""Checks which columns and key a table is loaded with, against what the source has and raw was loaded with."""

from __future__ import annotations

from runner.catalog import Column, Table
from runner.contract import TableSpec
from runner.errors import ConfigError
from runner.load.statements import META_COLUMNS

MAX_COLUMNS = 1600
# A table has these already; a view may have columns of such names.
SYSTEM_COLUMNS = ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid")
# No index can tell which of two values comes first.
_UNSORTED = (
    "json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle", "jsonpath", "xid", "cid",
    "pg_snapshot", "txid_snapshot",
)  # fmt: skip


def chosen_columns(spec: TableSpec, found: Table) -> tuple[Column, ...]:
    """Return the source's columns that are loaded. Raises ConfigError if raw cannot hold them, or none is left."""
    check_columns(spec, found, "columns", spec.columns)
    check_columns(spec, found, "exclude", spec.exclude)
    wanted = spec.columns or found.names
    chosen = tuple(c for c in found.columns if c.name in wanted and c.name not in spec.exclude)
    for column in chosen:
        if column.name in META_COLUMNS:
            raise ConfigError(
                f"{spec.file}: table {spec.label}: column {column.name!r} has a name that raw keeps "
                "for itself; leave it out with `exclude`"
            )
        if column.name in SYSTEM_COLUMNS:
            raise ConfigError(
                f"{spec.file}: table {spec.label}: no table can have a column called {column.name!r}; leave it "
                "out with `exclude`, or give it another name in the view"
            )
    if not found.columns:
        raise ConfigError(
            f"{spec.file}: table {spec.label}: {spec.source_schema}.{spec.source_table} has no column, "
            "so there is nothing to load; remove it"
        )
    if not chosen:
        raise ConfigError(f"{spec.file}: table {spec.label}: no column is left to load")
    if len(chosen) > MAX_COLUMNS - len(META_COLUMNS):
        raise ConfigError(
            f"{spec.file}: table {spec.label}: it has {len(chosen)} columns, but a table holds "
            f"{MAX_COLUMNS} and raw needs {len(META_COLUMNS)} for itself: leave some out with `exclude`"
        )
    return chosen


def check_columns(spec: TableSpec, found: Table, key: str, names: tuple[str, ...]) -> None:
    """Raise ConfigError unless the source table has all of `names`, which the YAML lists under `key`."""
    for name in names:
        if name not in found.names:
            raise ConfigError(
                f"{spec.file}: table {spec.label}: {key} names column {name!r}, which "
                f"{spec.source_schema}.{spec.source_table} does not have; "
                f"it has {', '.join(found.names)}"
            )


def check_key(spec: TableSpec, key: tuple[str, ...], found: Table, raw: Table | None, *, is_rebuilding: bool) -> None:
    """Raise ConfigError if an incremental table has no key, or raw or its rows cannot take the one it has now."""
    unsorted = [n for n in key if found.type_of(n).removesuffix("[]") in _UNSORTED]
    if unsorted:
        raise ConfigError(
            f"{spec.file}: table {spec.label}: column {unsorted[0]!r} is {found.type_of(unsorted[0])}, which "
            "no index can hold: name other columns with `primary_key`"
        )
    if spec.strategy == "incremental" and not key:
        raise ConfigError(
            f"{spec.file}: table {spec.label}: strategy incremental needs a key, and the source's "
            f"{found.kind} declares none; name one with `primary_key`, or use strategy full"
        )
    if raw is None or is_rebuilding or raw.primary_key == key:
        return
    missing = [name for name in key if name not in raw.names]
    if key and not missing:
        return
    now = f"the key is ({', '.join(key)})" if key else f"the source's {found.kind} has no key"
    before = f"with ({', '.join(raw.primary_key)})" if raw.primary_key else "without a key"
    raise ConfigError(
        f"{spec.file}: table {spec.label}: {now} but {spec.raw_schema}.{spec.raw_table} was loaded "
        f"{before}; name the old one with `primary_key` if it still holds, or "
        f"run `haven load {spec.label} --rebuild`"
    )
