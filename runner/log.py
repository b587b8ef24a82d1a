"""Progress messages: plain lines on stderr, or one JSON object a line with `--log-json`."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

LOGGER = logging.getLogger("haven")
_bound: dict[str, object] = {}


class _JsonFormatter(logging.Formatter):
    """Renders time (UTC, ISO 8601), level, message and whatever was passed as `extra={"fields": …}`."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **_bound,
            **getattr(record, "fields", {}),
        }
        return json.dumps(entry, default=str)


def configure(*, as_json: bool) -> None:
    """Send the `haven` logger to stderr in the wanted form; calling again replaces the form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if as_json else logging.Formatter("%(message)s"))
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False


def bind(**fields: object) -> None:
    """Have every line from now on carry `fields`, in JSON form only."""
    _bound.update(fields)


def is_json() -> bool:
    """Return whether messages go out as JSON, so that nothing else may be drawn between them."""
    return any(isinstance(handler.formatter, _JsonFormatter) for handler in LOGGER.handlers)


def info(message: str, **fields: object) -> None:
    """Log one line; `fields` show in JSON form only."""
    LOGGER.info(message, extra={"fields": fields})


def error(message: str, **fields: object) -> None:
    """Log one error line; `fields` show in JSON form only."""
    LOGGER.error(message, extra={"fields": fields})
