"""The byte stream beneath a psycopg2 session, for COPY data that Python must not touch row by row.

libpq logs in (TLS, SCRAM, certificates, .pgpass, several hosts) and psycopg2 runs every statement. Only while a COPY is
under way, and libpq is idle, are its bytes read and written here: on the session's own socket, or through the very TLS
object that libpq made (`PQsslStruct`). docs/decisions/0009 says why. Message formats: PostgreSQL's documentation,
"Message Formats" (protocol 3).
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
from dataclasses import dataclass, field

import psycopg2
import psycopg2._psycopg
import psycopg2.errors
from psycopg2.extensions import TRANSACTION_STATUS_INTRANS
from psycopg2.extensions import connection as PgConnection

# Message kinds.
QUERY, COPY_DATA, COPY_DONE, ERROR, NOTICE, READY = b"Q", b"d", b"c", b"E", b"N", b"Z"
COPY_IN, COPY_OUT, COMPLETE = b"G", b"H", b"C"
# What a server may send at any time and COPY need not know: a changed setting, a notification.
_IGNORED = (b"S", b"A")
HEADER = struct.Struct(">cI")
_CHUNK_BYTES = 1 << 16
_SSL_WANT_READ, _SSL_WANT_WRITE = 2, 3

# The handle of psycopg2's extension finds the libpq and the libssl it was linked with, wherever they are.
_libpq = ctypes.CDLL(psycopg2._psycopg.__file__)
_libpq.PQsslStruct.restype = ctypes.c_void_p
_libpq.PQsslStruct.argtypes = ctypes.c_void_p, ctypes.c_char_p


class ServerError(psycopg2.DatabaseError):
    """An error of the server whose SQLSTATE psycopg2 has no class for: one that a function made up, say."""


class Blocked(Exception):
    """The stream cannot go on before its socket is ready for `event` (select.POLLIN or POLLOUT)."""

    def __init__(self, event: int) -> None:
        self.event = event


@dataclass(frozen=True)
class Message:
    """One whole message of the server: its kind and its body without the length."""

    kind: bytes
    body: bytes

    @property
    def fields(self) -> dict[str, str]:
        """Return the fields of an error or a notice by their one-letter codes."""
        text = self.body.decode("utf-8", "replace").split("\0")
        return {part[0]: part[1:] for part in text if part}

    @property
    def rows(self) -> int:
        """Return the row count of a COPY's CommandComplete."""
        return int(self.body.rstrip(b"\0").rsplit(b" ", 1)[-1])


@dataclass
class Wire:
    """Reads and writes one session's bytes without waiting; `wait` waits. Use as a context manager.

    The session must be in a transaction and idle. Once an error has passed through, it must be closed.

    Raises psycopg2.OperationalError when the connection breaks.
    """

    session: PgConnection
    _unread: bytearray = field(default_factory=bytearray, init=False)

    def __post_init__(self) -> None:
        if self.session.info.transaction_status != TRANSACTION_STATUS_INTRANS:
            raise psycopg2.InterfaceError("a copy needs an open transaction")
        # None without TLS. SSL_read and SSL_write are looked up only then: libpq may be built without.
        self._ssl = _libpq.PQsslStruct(self.session.pgconn_ptr, b"OpenSSL")
        # A duplicate, so that closing it leaves libpq's socket open.
        self._socket = socket.socket(fileno=os.dup(self.session.fileno()))
        self._socket.setblocking(False)
        self._poll = select.poll()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def read_into(self, view: memoryview) -> int:
        """Read what is there, at least one byte, into `view`; return the number of bytes. Raises Blocked."""
        if self._unread:
            count = min(len(self._unread), len(view))
            view[:count] = self._unread[:count]
            del self._unread[:count]
            return count
        if self._ssl:
            return self._through_ssl(_libpq.SSL_read, view)
        try:
            count = self._socket.recv_into(view)
        except BlockingIOError:
            raise Blocked(select.POLLIN) from None
        except OSError as error:
            raise self._broken(error) from error
        if count == 0:
            raise self._broken("the server closed it")
        return count

    def write_some(self, view: memoryview) -> int:
        """Write as much of `view` as fits, at least one byte; return the number of bytes. Raises Blocked."""
        if self._ssl:
            return self._through_ssl(_libpq.SSL_write, view)
        try:
            return self._socket.send(view)
        except BlockingIOError:
            raise Blocked(select.POLLOUT) from None
        except OSError as error:
            raise self._broken(error) from error

    def _through_ssl(self, function: ctypes._NamedFuncPointer, view: memoryview) -> int:
        ssl = ctypes.c_void_p(self._ssl)
        _libpq.ERR_clear_error()
        buffer = (ctypes.c_char * len(view)).from_buffer(view)
        count: int = function(ssl, buffer, len(view))
        if count > 0:
            return count
        reason = _libpq.SSL_get_error(ssl, count)
        if reason in (_SSL_WANT_READ, _SSL_WANT_WRITE):
            raise Blocked(select.POLLIN if reason == _SSL_WANT_READ else select.POLLOUT)
        raise self._broken(f"TLS error {reason}")

    def wait(self, event: int, beside: Wire | None = None) -> int:
        """Wait until the socket is ready for `event`; return the events that are there.

        Returns 0 if the server `beside` has said something.
        """
        self._poll.register(self._socket, event)
        if beside is None:
            return self._poll.poll()[0][1]
        self._poll.register(beside._socket, select.POLLIN)
        try:
            ready = dict(self._poll.poll())
            return 0 if beside._socket.fileno() in ready else ready[self._socket.fileno()]
        finally:
            self._poll.unregister(beside._socket)

    def write(self, data: bytes | bytearray) -> None:
        """Write all of `data`, waiting as long as it takes."""
        view = memoryview(bytearray(data))
        while view:
            try:
                view = view[self.write_some(view) :]
            except Blocked as blocked:
                self.wait(blocked.event)

    def start(self, statement: bytes, expected: bytes, beside: Wire | None = None) -> None:
        """Send a COPY statement and wait for the answer of kind `expected` that data may flow.

        Raises the psycopg2.Error that the server answers, or that the one `beside` comes up with meanwhile.
        """
        self.write(QUERY + struct.pack(">I", len(statement) + 5) + statement + b"\0")
        if beside is not None:  # a query that sorts, say, is silent until its first row
            while not self.wait(select.POLLIN, beside):
                beside.handle_all()
        while (message := self.read_message()).kind != expected:
            self.handle(message)

    def finish(self) -> int:
        """Return the row count the server gives at the end of the COPY, the session being idle again."""
        rows = -1
        while (message := self.read_message()).kind != READY:
            if message.kind == COMPLETE:
                rows = message.rows
            elif message.kind != COPY_DONE:
                self.handle(message)
        return rows

    def handle(self, message: Message) -> None:
        """Keep a notice where psycopg2 keeps them; raise an error. Other messages end the session."""
        if message.kind == NOTICE:
            found = message.fields
            self.session.notices.append(f"{found.get('S', 'NOTICE')}:  {found.get('M', '')}\n")
        elif message.kind == ERROR:
            raise _error(message.fields)
        elif message.kind not in _IGNORED:
            raise psycopg2.InterfaceError(f"unexpected message {message.kind!r} during COPY")

    def read_message(self) -> Message:
        """Read one whole message, waiting as long as it takes."""
        kind, size = HEADER.unpack(self._exactly(HEADER.size))
        return Message(kind, self._exactly(size - 4))

    def handle_all(self) -> None:
        """Handle what the server has said so far, if anything, without waiting for it to speak."""
        while self._has_message():
            self.handle(self.read_message())

    def _has_message(self) -> bool:
        chunk = bytearray(_CHUNK_BYTES)
        try:
            count = self.read_into(memoryview(chunk))
        except Blocked:
            return False
        self._unread[:0] = chunk[:count]
        return True

    def give_back(self, data: memoryview) -> None:
        """Put bytes that were read too far in front of those to come."""
        self._unread[:0] = data

    def _exactly(self, count: int) -> bytes:
        result = bytearray(count)
        view = memoryview(result)
        while view:
            try:
                view = view[self.read_into(view) :]
            except Blocked as blocked:
                self.wait(blocked.event)
        return bytes(result)

    def _broken(self, reason: object) -> psycopg2.OperationalError:
        return psycopg2.OperationalError(f"connection to {self.session.info.host} lost: {reason}")


def _error(fields: dict[str, str]) -> psycopg2.Error:
    """Return the server's error as psycopg2 would raise it: the class of its SQLSTATE, message and detail."""
    text = fields.get("M", "unknown error")
    if "D" in fields and not fields.get("C", "").startswith("23"):  # there it is the row's values
        text += f" ({fields['D']})"
    if fields.get("W", "").startswith("COPY "):  # which line and column was refused
        text += f" [{fields['W'].splitlines()[0]}]"
    try:
        kind: type[psycopg2.Error] = psycopg2.errors.lookup(fields.get("C", ""))
    except KeyError:
        kind = ServerError
    return kind(text)
