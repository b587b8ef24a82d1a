"""The runner's own state, schema ops of the warehouse: what load, reconcile, erase and access know of it."""

from runner.ops.migrate import LOCK_SPACE, prepare
from runner.ops.owner import as_owner, prepare_operator
from runner.ops.runs import RunRecord, check_still_ours, lock_source, next_load_ids, note_removed_files, recorded_run

__all__ = [
    "LOCK_SPACE",
    "RunRecord",
    "as_owner",
    "check_still_ours",
    "lock_source",
    "next_load_ids",
    "note_removed_files",
    "prepare",
    "prepare_operator",
    "recorded_run",
]
