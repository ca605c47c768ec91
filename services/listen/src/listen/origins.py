"""The origins of web pages that may connect, as browsers send them (RFC 6454 §6.2). Pure.

Owns how an origin is written: what a browser would never send could never be equal to what it sends.
"""

import re
from typing import Final

from servicekit.parsers import words
from servicekit.secret import shown_address

_OF_FILES: Final = "file://"
"""What pages send that lie in the app itself: Electron's, Cordova's."""
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_ORIGIN: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:(?P<port>[0-9]{1,5}))?",
    re.ASCII,
)


def origins(value: str) -> tuple[str, ...]:
    """Origins with commas between them, in lower case and without the port that the scheme has by default.

    ValueError says what is wrong with the first that no page can have: a path, `*`, no scheme, …
    """
    return tuple(dict.fromkeys(_origin(word) for word in words(value)))


def same_origin(word: str) -> str | None:
    """An origin, of the settings or as a client sent it, as `origins` writes it; None where it is none."""
    if word.lower() == _OF_FILES:
        return _OF_FILES
    found = _ORIGIN.fullmatch(word.lower())
    if found is None:
        return None
    scheme, host, digits = found["scheme"], found["host"], found["port"]
    port = None if digits is None else int(digits)
    if port is not None and not 0 < port < 65536:
        return None
    return f"{scheme}://{host}" if port in (None, DEFAULT_PORTS.get(scheme)) else f"{scheme}://{host}:{port}"


def _origin(word: str) -> str:
    found = same_origin(word)
    if found is None:
        raise ValueError(f"must hold origins, as https://app.example.com, with commas: {_wrong(word)}")
    return found


def _wrong(word: str) -> str:
    """What is wrong with one, and how it is right where that can be said."""
    shown = f"{shown_address(word)[:100]!r}"
    if _ORIGIN.fullmatch(word.lower()):
        return f"{shown} has no port from 1 to 65535"
    if "*" in word or word.lower() == "null":
        return f"{shown} is none, each page's is to be named"
    if "@" in word:
        return f"{shown} has a user"
    scheme, there, rest = word.partition("://")
    if not there:
        return (
            f"{shown} lacks its scheme, as in 'https://{word[:100]}'"
            if _ORIGIN.fullmatch(f"https://{word.lower()}")
            else f"{shown} is none"
        )
    host = re.split(r"[/?#]", rest)[0]
    if host != rest and _ORIGIN.fullmatch(f"{scheme}://{host}".lower()):
        return f"{shown} has more than its origin, {_origin(f'{scheme}://{host}')!r}"
    try:
        spelled = f"{scheme}://{host.encode('idna').decode()}"
    except UnicodeError:
        spelled = ""
    return (
        f"{shown} is sent as {spelled!r}"
        if not host.isascii() and _ORIGIN.fullmatch(spelled)
        else f"{shown} is none"
    )
