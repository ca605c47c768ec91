"""Logs: one JSON object a line on stdout, in the words of Google Cloud Logging and most collectors.

Owns the format and the fields that a context adds. Callers write `log.info("stored a batch", extra={"batch_ms": 60000})`;
no audio, token or key may be in a log, and no uid.
"""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, TextIO

_context: ContextVar[Mapping[str, object] | None] = ContextVar("tapedeck_log_context", default=None)

# What every record carries for logging's own use; anything else on a record came from `extra=`.
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

# Libraries that log each request at INFO, with its address.
_CHATTY: Final = ("httpx", "httpcore", "hpack")


class JsonFormatter(logging.Formatter):
    """A record as one line: severity, time (RFC 3339 UTC, ms), message, service, logger, the context's fields, `extra=`."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; whatever is in the record, it is valid JSON in ASCII."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, object] = {
            "severity": record.levelname,
            "time": time.replace("+00:00", "Z"),
            "message": record.getMessage(),
            "service": self._service,
            "logger": record.name,
        }
        for name, value in {**(_context.get() or {}), **vars(record)}.items():
            if name not in _OWN:
                fields.setdefault(name, value)
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:
            fields["exception"] = record.exc_text
        if record.stack_info:
            fields["stack"] = record.stack_info
        try:
            return json.dumps(fields, default=str, allow_nan=False)
        except ValueError:  # nan, infinity or a value that holds itself: its text still tells
            return json.dumps({name: str(value) for name, value in fields.items()})


def configure(service: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Send all logs of this process, warnings included, to `stream` (stdout) as JSON lines. Replaces earlier handlers."""
    handler = logging.StreamHandler(sys.stdout if stream is None else stream)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def log_context(**fields: object) -> Iterator[None]:
    """Add these fields to whatever is logged inside, by this task and those that it starts: `conversation_id`, `request_id`."""
    token = _context.set({**(_context.get() or {}), **fields})
    try:
        yield
    finally:
        _context.reset(token)
