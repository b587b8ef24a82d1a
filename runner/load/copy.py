"""Streams one query's result from the source into a warehouse table as binary COPY.

No row becomes a Python object and nothing is kept: a thread writes the source's COPY data into a pipe, the caller's
thread feeds the other end to the warehouse, so memory stays flat whatever the table's size.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import BinaryIO

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

from runner.errors import DataError

CHUNK_BYTES = 1 << 18


class _Tap:
    """File-like read end: counts bytes, and turns a failed source into a failed read.

    A binary COPY that simply ends is accepted by PostgreSQL even without its trailer, so the end of the pipe alone
    must never look like the end of the data.
    """

    def __init__(self, pipe: BinaryIO, writer: _Writer, on_bytes: Callable[[int], None]) -> None:
        self._pipe = pipe
        self._writer = writer
        self._on_bytes = on_bytes

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        data = self._pipe.read(size)
        if not data:
            self._writer.join()
            if self._writer.error is not None:
                raise self._writer.error
        self._on_bytes(len(data))
        return data

    def readline(self, size: int = -1) -> bytes:
        """Return the next line of raw bytes; psycopg2 wants it to be there, binary data needs `read`."""
        return self._pipe.readline(size)


class _Writer(threading.Thread):
    """Runs the source's COPY into the pipe and keeps its row count or its error."""

    def __init__(self, cursor: PgCursor, statement: sql.Composable, pipe: BinaryIO) -> None:
        super().__init__(name="copy-out", daemon=True)
        self._cursor = cursor
        self._statement = statement
        self._pipe = pipe
        self.rows = 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            with self._pipe:
                self._cursor.copy_expert(self._statement, self._pipe, CHUNK_BYTES)
            self.rows = self._cursor.rowcount
        except Exception as error:  # handed to the reading thread, which raises it
            self.error = error


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
        psycopg2.Error: either side failed; the caller rolls back.
        DataError: the two sides count different numbers of rows.
    """
    copy_out = sql.SQL("copy ({}) to stdout (format binary)").format(query)
    copy_in = sql.SQL("copy {} ({}) from stdin (format binary{})").format(
        into,
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", freeze true" if freeze else ""),
    )
    read_end, write_end = os.pipe()
    writer = _Writer(source, copy_out, os.fdopen(write_end, "wb", CHUNK_BYTES))
    try:
        with os.fdopen(read_end, "rb", CHUNK_BYTES) as pipe:
            writer.start()
            # Leaving this block closes the pipe: a writer still at it then fails instead of waiting.
            warehouse.copy_expert(copy_in, _Tap(pipe, writer, on_bytes), CHUNK_BYTES)
    except psycopg2.Error:
        writer.join()
        if isinstance(writer.error, psycopg2.Error):
            raise writer.error from None  # the cause; the warehouse only saw its data end
        raise
    if writer.rows != warehouse.rowcount:
        raise DataError(
            f"the source sent {writer.rows} rows but the warehouse took {warehouse.rowcount}; "
            "nothing was kept, run the load again"
        )
    return writer.rows
