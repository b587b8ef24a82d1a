"""Opens database sessions and turns libpq's failures into one line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import psycopg2.errors
from psycopg2.extensions import connection as PgConnection

from runner.errors import ConfigError, DataError, HavenError, UnreachableError
from runner.settings import Connection

CONNECT_TIMEOUT_S = 10
# What libpq says when the same attempt may succeed a little later.
_TRANSIENT = (
    "Connection refused",
    "timeout expired",
    "starting up",
    "shutting down",
    "in recovery mode",
    "not yet accepting connections",
    "too many clients",
    "remaining connection slots",
    "closed the connection unexpectedly",
    "Connection reset",
    "Temporary failure in name resolution",
)


def connect(target: Connection, *, application_name: str = "haven") -> PgConnection:
    """Open a session in UTC, autocommit off.

    Raises:
        UnreachableError: no answer, or the login was refused.
    """
    try:
        return psycopg2.connect(
            host=target.host,
            port=target.port,
            user=target.user,
            password=target.password,
            dbname=target.dbname,
            sslmode=target.sslmode,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name=application_name,
            # One encoding on both sides, so that text is converted, and refused where it cannot be.
            client_encoding="UTF8",
            # COPY data is read beneath libpq, in the clear or through TLS; not through Kerberos encryption.
            gssencmode="disable",
            # A host that vanished is noticed within a minute, also while nothing is sent.
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            tcp_user_timeout=60_000,
            # Exact floats and one time zone and date style, whatever the server's defaults are.
            options="-c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres"
            " -c extra_float_digits=1"
            # A session that keeps a snapshot waits for the others; it must not be ended for that.
            " -c idle_in_transaction_session_timeout=0",
        )
    except psycopg2.OperationalError as error:
        message = str(error)
        raise UnreachableError(
            explain(target, message), is_transient=any(sign in message for sign in _TRANSIENT)
        ) from None


def explain(target: Connection, message: str) -> str:
    """Return one line for a libpq connection error: where, what, and what to do. No password."""
    text = " ".join(message.split())
    if target.password:
        text = text.replace(target.password, "***")
    prefix = f"HAVEN_{target.side.upper()}_"
    hint = f"check {prefix}HOST and {prefix}PORT, and that the server runs (`haven status`)"
    if "password authentication failed" in text or "no password supplied" in text:
        what, hint = "the server refuses the login", f"check {prefix}USER and {prefix}PASSWORD"
    elif "does not exist" in text and "database" in text:
        what, hint = f"database {target.dbname!r} does not exist", f"check {prefix}DBNAME"
    elif "does not exist" in text and "role" in text:
        what, hint = f"role {target.user!r} does not exist", f"check {prefix}USER"
    elif "pg_hba.conf" in text:
        what, hint = "the server's pg_hba.conf refuses this client", f"check {prefix}SSLMODE"
    elif "SSL" in text:
        what, hint = "TLS could not be agreed", f"check {prefix}SSLMODE"
    elif "could not translate host name" in text:
        what, hint = f"host name {target.host!r} is unknown", f"check {prefix}HOST"
    elif "Connection refused" in text:
        what = "nothing listens there"
    elif "timeout expired" in text:
        what = f"no answer within {CONNECT_TIMEOUT_S} s"
    else:
        what = text.split("failed: ", 1)[-1]
    return f"cannot connect to {target.label}: {what}; {hint}"


# Class 08 and what a server says when it stops, starts or has no room: the same statement may work in a new session.
_CONNECTION_ERRORS = (
    psycopg2.errors.ConnectionException,
    psycopg2.errors.ConnectionDoesNotExist,
    psycopg2.errors.ConnectionFailure,
    psycopg2.errors.SqlclientUnableToEstablishSqlconnection,
    psycopg2.errors.SqlserverRejectedEstablishmentOfSqlconnection,
    psycopg2.errors.AdminShutdown,
    psycopg2.errors.CrashShutdown,
    psycopg2.errors.CannotConnectNow,
    psycopg2.errors.IdleInTransactionSessionTimeout,
    psycopg2.errors.TooManyConnections,
)


def is_connection_error(error: Exception) -> bool:
    """Return whether `error` says that a connection broke, not that a statement was wrong."""
    if isinstance(error, UnreachableError):
        return error.is_transient
    if isinstance(error, _CONNECTION_ERRORS):
        return True
    # libpq's own errors carry no SQLSTATE: the socket broke, or psycopg2 had closed the session.
    return (
        type(error) in (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.DatabaseError)
        and error.pgcode is None  # type: ignore[attr-defined]
    )


@contextmanager
def explained() -> Iterator[None]:
    """Turn a failed statement of the block into the error the command line shows."""
    try:
        yield
    except psycopg2.Error as error:
        raise as_haven_error(error) from None


def as_haven_error(error: psycopg2.Error) -> HavenError:
    """Return the failure of a statement as the error the command line shows; one line, no password."""
    text = " ".join((error.diag.message_primary or str(error)).split())
    if isinstance(error, psycopg2.errors.ReadOnlySqlTransaction):
        return UnreachableError(
            f"the warehouse is read-only ({text}): point HAVEN_WAREHOUSE_HOST at the primary, "
            "or switch default_transaction_read_only off"
        )
    if isinstance(error, psycopg2.errors.InsufficientPrivilege):
        return ConfigError(f"{text}: grant it to the role that connects (see `haven doctor`)")
    if is_connection_error(error):
        return UnreachableError(f"the connection broke: {text}; run it again", is_transient=True)
    if isinstance(error, psycopg2.errors.LockNotAvailable):
        return DataError(
            f"{text}: another session held the table for longer than HAVEN_LOCK_TIMEOUT allows; "
            "see who in pg_stat_activity, then load it again"
        )
    if isinstance(error, psycopg2.errors.DiskFull):
        return DataError(
            f"the warehouse's disk is full ({text}): nothing was kept; free some and run it again"
        )
    detail = error.diag.message_detail
    return DataError(f"{text} ({' '.join(detail.split())})" if detail else text)
