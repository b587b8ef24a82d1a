"""The profile as JSON; `profile.schema.json` beside this file describes it.

`schema_version` grows by 0.1 when a key is added, by 1 when one changes its meaning or goes away.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from runner.profile.result import ColumnProfile, Reference, TableProfile
from runner.report.masking import mask_text

SCHEMA_VERSION = "1.0"


def document(profiles: Sequence[TableProfile]) -> dict[str, Any]:
    """Return the profile as plain JSON values, tables in the order given."""
    return {
        "schema_version": SCHEMA_VERSION,
        "status": "failed" if any(profile.error for profile in profiles) else "ok",
        "tables": [_table(profile) for profile in profiles],
    }


def _table(profile: TableProfile) -> dict[str, Any]:
    entry = asdict(profile)
    entry["columns"] = [_column(column, profile) for column in profile.columns]
    entry["references"] = [_reference(reference) for reference in profile.references]
    # Through JSON: tuples become lists, as a reader of the file gets them.
    made: dict[str, Any] = json.loads(json.dumps(entry, allow_nan=False))
    return made


def _reference(reference: Reference) -> dict[str, Any]:
    return asdict(reference) | {"orphan_share": reference.orphan_share}


def _column(column: ColumnProfile, profile: TableProfile) -> dict[str, Any]:
    entry = asdict(column)
    entry["null_share"] = column.nulls / profile.profiled_rows if profile.profiled_rows else None
    # An address inside a longer text is nobody's business either.
    entry["top"] = [{"value": mask_text(top.value), "rows": top.rows} for top in column.top]
    return entry
