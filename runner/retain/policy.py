"""Reads retention policies from the sources in dbt's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from runner.errors import ConfigError

DEFAULT_PURGE_AFTER = "30 days"
_KEYS = {"column", "keep", "purge_after"}


@dataclass(frozen=True)
class Policy:
    """How long rows of one table are kept: `keep` behind today, by the time in `column`.

    Of a table that the loader fills (`is_raw`), old rows become tombstones first, so that models drop them, and are
    deleted `purge_after` later.
    """

    schema: str
    table: str
    column: str
    keep: str
    purge_after: str
    is_raw: bool

    @property
    def label(self) -> str:
        """Return `schema.table`."""
        return f"{self.schema}.{self.table}"

    @property
    def name(self) -> sql.Identifier:
        """Return the table's quoted name."""
        return sql.Identifier(self.schema, self.table)


def find_policies(manifest: Mapping[str, Any]) -> list[Policy]:
    """Return the policies of all sources. Raises ConfigError for one that is wrong, naming file and table."""
    return [policy for node in manifest["sources"].values() if (policy := _policy(node))]


def retention_column(node: Mapping[str, Any]) -> str | None:
    """Return the column that a source table's retention goes by, or None. Raises ConfigError if it is wrong."""
    policy = _policy(node)
    return policy.column if policy else None


def _policy(node: Mapping[str, Any]) -> Policy | None:
    meta = node.get("meta") or (node.get("config") or {}).get("meta") or {}
    said = meta.get("retention")
    if said is None:
        return None
    if not isinstance(said, dict) or set(said) - _KEYS or not {"column", "keep"} <= set(said):
        raise ConfigError(
            f"{node['original_file_path']}: table {node['name']}: retention takes column, keep "
            f"(such as `2 years`) and purge_after, not {said!r}"
        )
    is_raw = (node.get("source_meta") or {}).get("load") is not None or "load" in meta
    return Policy(
        node["schema"],
        node["identifier"],
        str(said["column"]),
        str(said["keep"]),
        str(said.get("purge_after", DEFAULT_PURGE_AFTER)),
        is_raw,
    )
