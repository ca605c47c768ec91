"""Moments: how times come in and go out. Pure.

In: RFC 3339, or unix seconds with up to nine decimals. Out: RFC 3339 UTC with milliseconds, and unix seconds with three decimals.
Inside everything is samples at 48 kHz since 1970, and exact; what comes in finer than that is rounded once, to the nearest. Of the
samples at 16 kHz, a third as many, the nearest to what is rounded is then the nearest to what came in.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from functools import lru_cache
from math import floor
from typing import Final

RATE: Final = 48_000
MAX_SECONDS: Final = 99_999_999_999
"""What fits into an object's name: past the year 5000."""

_UNIX: Final = re.compile(r"(\d{1,11})(?:\.(\d{1,9}))?\Z", re.ASCII)
_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+\- ])(\d\d):(\d\d))\Z",
    re.ASCII,
)
_DAY: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)\Z", re.ASCII)
_LAST_MS: Final = 253_402_300_800_000
"""The year 10000 begins."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_moment(text: str) -> int:
    """The moment in samples at 48 kHz since 1970, the nearest. ValueError: neither form, before 1970, after MAX_SECONDS, or no such day."""
    if match := _UNIX.match(text):
        return _nearest(int(match[1]) + _fraction(match[2]))
    match = _RFC3339.match(text)
    if match is None:
        raise ValueError("must be RFC 3339 (2026-11-21T01:28:50Z) or unix seconds (1795224530.250)")
    year, month, day, hour, minute, second = (int(match[index]) for index in range(1, 7))
    try:
        zone = UTC
        if not match[8]:
            # A plus that was not escaped in a query arrives as a space.
            offset = timedelta(hours=int(match[10]), minutes=int(match[11]))
            zone = timezone(-offset if match[9] == "-" else offset)
        whole = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone) - _EPOCH
    except (ValueError, OverflowError) as error:
        raise ValueError("is no moment of any calendar") from error
    leap = 1 if second == 60 else 0  # a leap second is the next one's first, as unix time has it
    if second > 60:
        raise ValueError("is no moment of any calendar")
    seconds = whole.days * 86_400 + whole.seconds + leap
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError("must lie between 1970 and 5138, as the names of objects do")
    return _nearest(seconds + _fraction(match[7]))


def parse_day(text: str) -> int:
    """The UTC day `YYYY-MM-DD`, counted since 1970. ValueError: another form, no such day, or before 1970."""
    match = _DAY.match(text)
    try:
        days = (date(int(match[1]), int(match[2]), int(match[3])) - _EPOCH.date()).days if match else -1
    except ValueError as error:
        raise ValueError("is no day of any calendar") from error
    if days < 0:
        raise ValueError("must be a day as 2026-11-21, from 1970 on")
    return days


def rfc3339(at_48k: int) -> str:
    """`2026-11-21T01:28:50.250Z`, rounded down to the millisecond."""
    return rfc3339_ms(at_48k // 48)


def rfc3339_ms(at_ms: int) -> str:
    """The same from unix ms."""
    days, ms = divmod(at_ms, 24 * 3_600_000)
    seconds, ms = divmod(ms, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_date(days)}T{hour:02d}:{minute:02d}:{second:02d}.{ms:03d}Z"


def rfc3339_or_none(at_ms: int | None) -> str | None:
    """The same where there may be none, or a number that is no time of this calendar."""
    return rfc3339_ms(at_ms) if at_ms is not None and 0 <= at_ms < _LAST_MS else None


def unix_seconds(at_ms: int) -> str:
    """`1795224530.250`."""
    return f"{at_ms // 1000}.{at_ms % 1000:03d}"


@lru_cache(maxsize=1024)
def _date(days: int) -> str:
    """The UTC day, so many after the first of 1970. OverflowError: no calendar has it."""
    return (_EPOCH + timedelta(days=days)).date().isoformat()


def _nearest(seconds: Fraction) -> int:
    """Halves up; but the last second that is possible does not become one more."""
    return min(floor(seconds * RATE + Fraction(1, 2)), (MAX_SECONDS + 1) * RATE - 1)


def _fraction(digits: str | None) -> Fraction:
    return Fraction(int(digits), 10 ** len(digits)) if digits else Fraction(0)
