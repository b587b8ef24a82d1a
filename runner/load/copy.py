"""Streams one query's result from the source into a warehouse table as binary COPY.

The source's CopyData messages are passed on as they are: both directions of the protocol frame them alike. Python only
walks from header to header, so that an error is never taken for data and the end is never missed; no row becomes an
object, and memory is one buffer whatever the table's size.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from select import POLLIN

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor
from psycopg2.extensions import encodings

from runner.errors import DataError
from runner.load.wire import COPY_DATA, COPY_DONE, COPY_IN, COPY_OUT, HEADER, Blocked, Wire

BUFFER_BYTES = 1 << 18


def copy_rows(
    source: PgCursor,
    query: sql.Composable,
    warehouse: PgCursor,
    into: sql.Composable,
    columns: tuple[str, ...],
    *,
    freeze: bool = False,
    on_bytes: Callable[[int], None] = lambda count: None,
) -> int:
    """Copy the rows of `query` into the table `into`, inside the caller's transactions; return their number.

    `freeze` needs a table made in this very transaction.

    Raises:
        psycopg2.Error: either side failed. Both sessions are in mid-COPY then: the caller closes them.
        DataError: the two sides count different numbers of rows.
    """
    copy_out = sql.SQL("copy ({}) to stdout (format binary)").format(query)
    copy_in = sql.SQL("copy {} ({}) from stdin (format binary{})").format(
        into, sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", freeze true" if freeze else "")
    )
    with Wire(source.connection) as origin, Wire(warehouse.connection) as target:
        target.start(_encoded(copy_in, warehouse), COPY_IN)
        origin.start(_encoded(copy_out, source), COPY_OUT, beside=target)
        _forward(origin, target, on_bytes)
        sent = origin.finish()
        target.write(COPY_DONE + struct.pack(">I", 4))
        taken = target.finish()
    if sent != taken:
        raise DataError(
            f"the source sent {sent} rows but the warehouse took {taken}; nothing was kept, run the load again"
        )
    return taken


def _encoded(statement: sql.Composable, cursor: PgCursor) -> bytes:
    return statement.as_string(cursor).encode(encodings[cursor.connection.encoding])


def _forward(origin: Wire, target: Wire, on_bytes: Callable[[int], None]) -> None:
    """Pass CopyData on until the origin sends CopyDone; what it sends then is left unread.

    Raises psycopg2.Error as soon as either side reports one.
    """
    buffer = bytearray(BUFFER_BYTES)
    view = memoryview(buffer)
    unpack, data = HEADER.unpack_from, COPY_DATA
    kept = 0  # bytes at the buffer's start: a header that was cut in two
    rest = 0  # bytes still to come of a message whose header has passed
    while True:
        try:
            end = kept + origin.read_into(view[kept:])
        except Blocked as blocked:
            if not origin.wait(blocked.event, beside=target):
                target.handle_all()
            continue
        if end == len(buffer):  # the origin is ahead and would never be waited for
            target.handle_all()
        position = rest
        last = end - HEADER.size
        kind = data
        while position <= last:
            kind, size = unpack(buffer, position)
            if kind != data:
                break
            position += size + 1
        passed = min(position, end)
        _send(target, view[:passed])
        on_bytes(passed)
        if kind != data:
            origin.give_back(view[passed:end])
            message = origin.read_message()
            if message.kind == COPY_DONE:
                return
            origin.handle(message)
            kept = rest = 0
            continue
        rest = position - passed
        kept = end - passed
        view[:kept] = view[passed:end]


def _send(target: Wire, view: memoryview) -> None:
    """Write all of `view`; listen meanwhile, as a server that fails says so and then swallows the data."""
    while view:
        try:
            view = view[target.write_some(view) :]
        except Blocked as blocked:
            if target.wait(blocked.event | POLLIN) & POLLIN:
                target.handle_all()
