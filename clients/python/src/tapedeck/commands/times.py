"""A time that somebody typed."""

from datetime import UTC, datetime

from tapedeck.errors import UsageError


def typed_time(text: str) -> datetime:
    """RFC 3339 (without a zone it is taken as UTC), or unix seconds. Raises UsageError for anything else."""
    try:
        if text.replace(".", "", 1).isdigit():
            return datetime.fromtimestamp(float(text), UTC)
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            f"{text[:60]!r} is no time", hint="write 2026-11-21T10:00:00Z, or unix seconds"
        ) from error
