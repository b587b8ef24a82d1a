"""The merge of a table without a key, which is compared as a bag of rows.

Equal rows are numbered; row by row the same number must exist on the other side.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2 import sql

from runner.load.statements import STAGE, column_list

_NUMBERED = (
    "select {id} as id, digest, row_number() over (partition by digest) as copy "
    "from (select {id}, md5(row({columns})::text) as digest from {relation} {where}) as digested"
)


# Spelled out: the stage may have columns of these names, too.
_SAME = sql.SQL("live.digest = staged.digest and live.copy = staged.copy")


def _bags(raw: sql.Identifier, columns: Sequence[str]) -> tuple[sql.Composed, sql.Composed]:
    live, staged = (
        sql.SQL(_NUMBERED).format(
            id=sql.Identifier("ctid"), columns=column_list(columns), relation=relation, where=where
        )
        for relation, where in ((raw, sql.SQL("where _deleted_at is null")), (STAGE, sql.SQL("")))
    )
    return live, staged


def tombstone_multiset(raw: sql.Identifier, columns: Sequence[str], load_id: int) -> sql.Composed:
    """Return the statement that marks keyless raw rows which are no longer in the stage."""
    live, staged = _bags(raw, columns)
    return sql.SQL(
        "update {raw} as target "
        "set _deleted_at = now(), _loaded_at = now(), _load_id = {load_id} "
        "from ({live}) as live left join ({staged}) as staged on {same} "
        "where target.ctid = live.id and staged.id is null"
    ).format(raw=raw, load_id=sql.Literal(load_id), live=live, staged=staged, same=_SAME)


def insert_multiset(raw: sql.Identifier, columns: Sequence[str], load_id: int) -> sql.Composed:
    """Return the statement that inserts keyless staged rows which raw lacks."""
    live, staged = _bags(raw, columns)
    return sql.SQL(
        "insert into {raw} ({columns}, _loaded_at, _load_id) "
        "select {qualified}, now(), {load_id} from {stage} as stage "
        "inner join ({staged}) as staged on stage.ctid = staged.id "
        "left join ({live}) as live on {same} where live.id is null"
    ).format(
        raw=raw,
        columns=column_list(columns),
        qualified=column_list(columns, "stage"),
        load_id=sql.Literal(load_id),
        stage=STAGE,
        staged=staged,
        live=live,
        same=_SAME,
    )
