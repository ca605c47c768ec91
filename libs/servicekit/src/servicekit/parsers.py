"""Parsers of settings: from a variable's text to a value, or ValueError that says what it must be.

Pure but for `existing_file`, which looks. They never repeat the text: `settings` does, where it is no secret.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

PREFIX_CHARACTERS: Final = 64
_PATTERN: Final = frozenset("*?[]\\{}")
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def text(value: str) -> str:
    """Any text, as it is."""
    return value


def whole(low: int = 0, high: int | None = None) -> Callable[[str], int]:
    """A whole number from `low` to `high`."""

    def parse(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise ValueError(_within("a whole number", low, high)) from None
        if number < low or (high is not None and number > high):
            raise ValueError(_within("a whole number", low, high))
        return number

    return parse


def number(low: float = 0.0, high: float | None = None) -> Callable[[str], float]:
    """A finite number from `low` to `high`, such as a count of seconds."""

    def parse(value: str) -> float:
        try:
            parsed = float(value)
        except ValueError:
            raise ValueError(_within("a number", low, high)) from None
        if not low <= parsed <= (float("1e300") if high is None else high):  # refuses nan and inf too
            raise ValueError(_within("a number", low, high))
        return parsed

    return parse


def one_of(*choices: str) -> Callable[[str], str]:
    """One of a closed set of words."""

    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    return parse


def words(value: str) -> tuple[str, ...]:
    """Texts separated by commas, in order, without empty ones."""
    return tuple(word.strip() for word in value.split(",") if word.strip())


def url(*schemes: str) -> Callable[[str], str]:
    """An address with one of `schemes`; the rest of it is for whoever opens it."""

    def parse(value: str) -> str:
        try:
            scheme = urlsplit(value).scheme
        except ValueError:
            scheme = ""
        if scheme not in schemes:
            raise ValueError(f"must begin with {' or '.join(f'{one}:' for one in schemes)}")
        return value

    return parse


def key_url(value: str) -> str:
    """An https address, or an http one on this machine: who can change what lies there can forge any token."""
    try:
        parts = urlsplit(value)
        scheme, host, _port = parts.scheme, parts.hostname, parts.port
    except ValueError:  # its text has the whole address
        scheme, host = "", None
    if not host or not (scheme == "https" or (scheme == "http" and host in LOOPBACK)):
        raise ValueError("must be an https:// address (http:// only on this machine)")
    return value


def key_prefix(value: str) -> str:
    """What keys of Redis may begin with: nothing that means something in a pattern (SCAN), or where a hash tag begins (a cluster's slots)."""
    if len(value) > PREFIX_CHARACTERS:
        raise ValueError(f"must have {PREFIX_CHARACTERS} characters at the most")
    if not value.isprintable() or not _PATTERN.isdisjoint(value) or any(one.isspace() for one in value):
        raise ValueError("must have none of * ? [ ] \\ { }, no white space and no control characters")
    return value


def existing_file(value: str) -> Path:
    """The path of a file that can be read now."""
    path = Path(value)
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(f"must name a file that can be read ({error.strerror})") from None


def _within(kind: str, low: float, high: float | None) -> str:
    return (
        f"must be {kind} from {low:g} to {high:g}"
        if high is not None
        else f"must be {kind}, at least {low:g}"
    )
