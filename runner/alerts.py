"""Delivers what `quality.alert_digests` has for each receiver, by apprise, and notes it in ops.alert_deliveries.

What is told, to whom and when is SQL (models/quality/alerts); a receiver's address is `HAVEN_ALERT_<RECEIVER>`. A
delivery is noted after it was made: one that was cut off is made again, never lost.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import psycopg2.errors
from apprise import Apprise, NotifyFormat
from psycopg2.extensions import cursor as PgCursor
from psycopg2.extras import execute_values

from runner.connect import connect, explained
from runner.errors import ConfigError
from runner.ops import LOCK_SPACE, prepare
from runner.report.masking import mask_text
from runner.settings import ALERT_PREFIX, Settings

# How long all receivers together may take to answer.
PATIENCE_S = 10.0
# With LOCK_SPACE: one call tells at a time, so that two runs that end together tell nothing twice.
_TELLING_LOCK = -1
# Parts of an address that are no longer than this are no secret.
_SHORT = 2


@dataclass(frozen=True)
class Digest:
    """One message to one receiver; `problems` have `problem_id`, `state` and `severity`."""

    receiver: str
    title: str
    message_type: str
    body: str
    problems: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True)
class Delivery:
    """What became of a message; `error` is why it was not delivered, without the address."""

    receiver: str
    title: str
    problem_count: int
    error: str | None = None


def receivers(settings: Settings) -> dict[str, str]:
    """Return the address of each receiver that has one. Raises ConfigError if apprise cannot read it."""
    found = {
        name.removeprefix(ALERT_PREFIX).lower(): address.strip()
        for name, address in settings.values.items()
        if name.startswith(ALERT_PREFIX)
    }
    for receiver, address in found.items():
        if " " in address or not _channel(address):
            raise ConfigError(
                f"{ALERT_PREFIX}{receiver.upper()} must be one address that apprise knows, such as slack://… or "
                "mailto://… (https://github.com/caronc/apprise/wiki); a second address is a receiver of its own"
            )
    return found


def tell(settings: Settings, addresses: Mapping[str, str]) -> tuple[list[Delivery], list[str]]:
    """Tell each receiver what there is, and return that, and the receivers that have something and no address.

    Nothing is told in a target without alerts (dev), or while another call tells.

    Raises:
        ConfigError: the role may not read alerts or note deliveries.
        UnreachableError: the warehouse cannot be reached.
    """
    if not addresses or settings.schema_prefix:
        return [], []
    warehouse = settings.connection("warehouse")
    with closing(connect(warehouse, application_name="haven alert")) as session, explained():
        prepare(session)
    user, password = settings.transformer
    builder = replace(warehouse, user=user, password=password)
    with closing(connect(builder, application_name="haven alert")) as session, explained():
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute("set search_path to pg_catalog, pg_temp")
            digests = _digests(cursor)
            known = [digest for digest in digests if digest.receiver in addresses]
            deliveries = deliver(known, addresses)
            for digest, delivery in zip(known, deliveries, strict=True):
                _note(cursor, digest, delivery)
    return deliveries, [digest.receiver for digest in digests if digest.receiver not in addresses]


def deliver(digests: Sequence[Digest], addresses: Mapping[str, str]) -> list[Delivery]:
    """Send each digest to its receiver, all at once; none takes longer than PATIENCE_S seconds. Never raises."""

    def send(digest: Digest) -> Delivery:
        address = addresses[digest.receiver]
        said: list[str] = []
        done = Delivery(digest.receiver, digest.title, len(digest.problems))
        try:
            result = _channel(address).notify(
                title=f"Haven: {digest.title}",
                body=mask_text(digest.body),
                notify_type=digest.message_type,
                body_format=NotifyFormat.MARKDOWN.value,
                timeout=PATIENCE_S,
                log_callback=lambda entry, service: said.append(entry.message),
                log_level=logging.WARNING,
            )
        except Exception as error:  # a channel of 100, each with code of its own: a run must not end by it
            return replace(done, error=_without(address, f"{type(error).__name__}: {error}"))
        if result:
            return done
        reason = "; ".join(said) or f"no answer within {PATIENCE_S:.0f} s ({result.status.name.lower()})"
        return replace(done, error=_without(address, reason))

    if not digests:
        return []
    with ThreadPoolExecutor(len(digests)) as pool:
        return list(pool.map(send, digests))


def _channel(address: str) -> Apprise:
    """Return apprise with this one address; it is false if apprise cannot read it."""
    logging.getLogger("apprise").propagate = False
    channel = Apprise()
    channel.add(address)
    return channel


def _without(address: str, text: str) -> str:
    """Return a channel's words without any part of its address, which may be a secret."""
    parts = sorted(set(re.split(r"[/?@:&=,]+", address.partition("://")[2])), key=len, reverse=True)
    return mask_text(" ".join(text.split()), tuple(part for part in parts if len(part) > _SHORT))


def _digests(cursor: PgCursor) -> list[Digest]:
    cursor.execute(
        "select pg_try_advisory_lock(%s, %s), to_regclass('quality.alert_digests')", (LOCK_SPACE, _TELLING_LOCK)
    )
    is_ours, view = cursor.fetchone()  # type: ignore[misc]
    if not is_ours or view is None:
        return []
    cursor.execute("select receiver, title, message_type, body, problems from quality.alert_digests")
    return [Digest(*row) for row in cursor.fetchall()]


def _note(cursor: PgCursor, digest: Digest, delivery: Delivery) -> None:
    digest_id = uuid.uuid4().hex
    status = "failed" if delivery.error else "sent"
    rows: list[tuple[Any, ...]] = [
        (digest_id, digest.receiver, p["problem_id"], p["state"], p["severity"], status, delivery.error)
        for p in digest.problems
    ]
    execute_values(
        cursor,
        "insert into ops.alert_deliveries (digest_id, receiver, problem_id, state, severity, status, error) values %s",
        rows,
    )


def silence(settings: Settings, pattern: str, *, hours: float, reason: str) -> None:
    """Let nobody be told of the problems that `pattern` matches for so many hours. Raises ConfigError."""
    with closing(connect(settings.connection("warehouse"))) as session, explained():
        prepare(session)
        with session, session.cursor() as cursor:
            try:
                cursor.execute("set search_path to pg_catalog, pg_temp; select '' ~ %s", (f"^({pattern})$",))
            except psycopg2.errors.InvalidRegularExpression as error:
                raise ConfigError(
                    f"{pattern!r} is no regular expression of PostgreSQL: {error.diag.message_primary}"
                ) from None
            cursor.execute(
                "insert into ops.alert_silences (pattern, reason, ends_at) "
                "values (%s, %s, now() + make_interval(secs => %s))",
                (pattern, reason, hours * 3600),
            )
