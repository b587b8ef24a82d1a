"""Opens database sessions and turns libpq's failures into one line that says what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import psycopg2
import psycopg2.errors
from psycopg2.extensions import connection as PgConnection

from runner.errors import ConfigError, DataError, HavenError, UnreachableError
from runner.settings import CLIENT_CHECK, CLIENT_CHECK_MS, Connection

CONNECT_TIMEOUT_S = 10
_HAS_TRANSACTION_TIMEOUT = 170000
# Exact floats, one time zone and one form of text. Set, not sent with the login, where PGTZ and PGDATESTYLE would win;
# `role` in profiles.yml gives dbt's sessions the same.
_SETTINGS = """
set timezone = 'UTC';
set datestyle = 'ISO, MDY';
set intervalstyle = 'postgres';
set quote_all_identifiers = off;
set search_path = 'public';
set extra_float_digits = 1;
set bytea_output = 'hex';
set lc_monetary = 'C';
set lc_numeric = 'C';
set lc_time = 'C';
set xmloption = 'content';
set xmlbinary = 'base64';
set array_nulls = on;
set standard_conforming_strings = on;
set transform_null_equals = off;
set default_text_search_config = 'pg_catalog.english';
set default_transaction_isolation = 'read committed';
set default_transaction_deferrable = off;
"""
# Rows that a policy hides are an error, never left out in silence. And a session that keeps a snapshot or a lock waits
# for the others; a comparison may take its time; loads set bounds of their own. Not sent with the login either: a
# connection pooler refuses options, or takes them and does nothing.
_PATIENCE = (
    "set row_security = off; set statement_timeout = 0; set lock_timeout = 0; "
    "set idle_in_transaction_session_timeout = 0; set idle_session_timeout = 0"
)
# What is reported as loaded must survive a crash of the server, whatever its default; a stricter one stays.
_DURABLE = """
select set_config('synchronous_commit', 'local', false)
where current_setting('synchronous_commit') = 'off'
"""
# A statement whose client was killed ends soon. A server whose system cannot look for that refuses the setting.
_NOTICE_DEATH = f"set {CLIENT_CHECK} = {CLIENT_CHECK_MS}"
# Poolers that were found to keep a session's server.
_KEEPERS: set[tuple[str, int, str]] = set()
# What libpq says when the same attempt may succeed a little later.
_TRANSIENT = (
    "Connection refused",
    "timeout expired",
    "starting up",
    "shutting down",
    "in recovery mode",
    "not yet accepting connections",
    "not accepting connections",
    "too many clients",
    "too many connections",
    "remaining connection slots",
    "closed the connection unexpectedly",
    "Connection reset",
    "Connection timed out",
    "No route to host",
    "Network is unreachable",
    "EOF detected",
    "Temporary failure in name resolution",
)
# What a statement says whose connection broke meanwhile.
_BROKEN = (
    "terminating connection",
    "connection already closed",
    "could not receive data from server",
    "could not send data to server",
    "SSL connection has been closed",
    "the connection is lost",
)


def let_servers_choose_zone() -> None:
    """Take the time zone out of what libpq sends with a login: of a source's own, times without a zone are read by.

    `set` cannot do that: what came with the login is then taken for the server's default.
    """
    os.environ.pop("PGTZ", None)
    if options := os.environ.get("PGOPTIONS"):
        os.environ["PGOPTIONS"] = re.sub(r"(?i)(-c\s*|--)timezone=(\\.|\S)*", "", options)


def connect(target: Connection, *, application_name: str = "haven") -> PgConnection:
    """Open a session in UTC, autocommit off.

    Raises:
        UnreachableError: no answer, or the login was refused.
        ConfigError: a connection pooler changes the server's session under ours.
    """
    try:
        session = _open(target, application_name)
        try:
            _settle(target, session)
        except BaseException:
            session.close()
            raise
    except psycopg2.OperationalError as error:
        message = str(error)
        raise UnreachableError(
            explain(target, message), is_transient=any(sign in message for sign in _TRANSIENT)
        ) from None
    return session


def _open(target: Connection, application_name: str) -> PgConnection:
    session = psycopg2.connect(
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
        # A host that vanished is noticed within a minute while nothing is sent. While data waits it takes longer:
        # a warehouse may be too busy to read for a while.
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
        tcp_user_timeout=600_000,
    )
    session.autocommit = True
    return session


def _settle(target: Connection, session: PgConnection) -> None:
    """Make all settings of a new session, and sure that it stays one. Raises ConfigError."""
    with session.cursor() as cursor:
        if session.server_version >= _HAS_TRANSACTION_TIMEOUT:
            cursor.execute("set transaction_timeout = 0")  # older ones do not know it
        cursor.execute(_SETTINGS + _PATIENCE)
        cursor.execute(_DURABLE)
        with suppress(psycopg2.errors.InvalidParameterValue):
            cursor.execute(_NOTICE_DEATH)
        cursor.execute("select pg_backend_pid()")
        pid = cursor.fetchone()[0]  # type: ignore[index]
    # A pooler tells a number of its own at login.
    if pid != session.info.backend_pid:
        _check_pooler(target, session, pid)
    session.autocommit = False


def _check_pooler(target: Connection, session: PgConnection, pid: int) -> None:
    """Make sure that the pooler keeps a server's session for as long as ours lasts; locks and snapshots hang on it.

    In session mode a second client gets a server of its own. Else it gets ours while it is idle, or ours changes.

    Raises ConfigError.
    """
    place = (target.host, target.port, target.dbname)
    if place in _KEEPERS:
        return
    prefix = f"HAVEN_{target.side.upper()}_"
    refusal = ConfigError(
        f"{prefix}HOST and {prefix}PORT lead to a connection pooler that gives each transaction another "
        "server session, so that locks, snapshots and settings would be lost: use the pooler's session mode "
        "(pgbouncer: pool_mode = session), or the port of the database itself"
    )
    with closing(_open(target, "haven")) as second:
        try:
            with second.cursor() as other, session.cursor() as cursor:
                other.execute("begin")
                other.execute("select pg_backend_pid()")
                cursor.execute("select pg_backend_pid()")
                is_kept = cursor.fetchone() == (pid,) != other.fetchone()
        except psycopg2.Error:  # in statement mode there are no transactions at all
            is_kept = False
    if not is_kept:
        raise refusal
    _KEEPERS.add(place)


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


def is_connection_message(text: str) -> bool:
    """Return whether the text of an error, dbt's say, tells that a connection broke or could not be made."""
    return any(sign in text for sign in (*_TRANSIENT, *_BROKEN))


@contextmanager
def explained() -> Iterator[None]:
    """Turn a failed statement of the block into the error the command line shows."""
    try:
        yield
    except psycopg2.Error as error:
        raise as_haven_error(error) from None


_TOO_LARGE = "PostgreSQL moves no row of more than 1 GB; leave a column out with `exclude`, or load a view that cuts it"
# What to do about some failures: their class, a sign of them in their text, and the advice.
_ADVICE = (
    (
        psycopg2.errors.LockNotAvailable,
        "",
        "another session held the table for longer than HAVEN_LOCK_TIMEOUT allows; see who in "
        "pg_stat_activity, then load it again",
    ),
    (
        psycopg2.errors.DeadlockDetected,
        "",
        "another session and this one waited for each other; nothing was kept, so run it again",
    ),
    (psycopg2.errors.DiskFull, "", "the disk is full; nothing of the table was kept, so free some and run it again"),
    (
        psycopg2.errors.CharacterNotInRepertoire,
        "",
        "the text is not of the encoding that its database declares; fix it in the source, or load a view that does",
    ),
    (
        psycopg2.errors.UntranslatableCharacter,
        "",
        "the warehouse's encoding lacks it; make the warehouse a database with encoding UTF8",
    ),
    (
        psycopg2.errors.ObjectNotInPrerequisiteState,
        "has not been populated",
        "run `refresh materialized view` on it in the source, then load again",
    ),
    # A row that is sent is one message; one that is taken is one piece of memory.
    (psycopg2.errors.ProgramLimitExceeded, "string buffer", _TOO_LARGE),
    (psycopg2.errors.InternalError_, "invalid memory alloc request size", _TOO_LARGE),
)


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
    for kind, sign, advice in _ADVICE:
        if isinstance(error, kind) and sign in text:
            return DataError(f"{text}: {advice}")
    more = [error.diag.message_detail, error.diag.message_hint]
    if isinstance(error, psycopg2.IntegrityError):
        more = more[1:]  # the detail is the row's values
    said = "; ".join(" ".join(one.split()) for one in more if one)
    return DataError(f"{text} ({said})" if said else text)
