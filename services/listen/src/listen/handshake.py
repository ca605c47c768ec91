"""The head of a request: whether it asks for a WebSocket (RFC 6455 §4.2.1), and what it asks for.

Pure: bytes in, a `Handshake` or an `HttpHead` out. Owns what is no well-formed opening handshake, and bounds what reading one costs: it is
read before anybody is asked who they are. Must not know who may connect.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import h11

from listen.errors import BadHandshakeError
from servicekit.header_lines import read_in_linear_time

HEAD_BYTES_LIMIT: Final = 32 * 1024
"""Request line and headers: a token may have 8 KiB of them."""
HEAD_LINES_LIMIT: Final = 100
"""The same, in lines: what a head costs goes with them."""
QUERY_BYTES_LIMIT: Final = 8 * 1024
"""About what a server should understand at least (RFC 9112 §3)."""
PARAMETERS_LIMIT: Final = 100
"""Of the query. The page has eight."""
ITEMS_LIMIT: Final = 64
"""Of a header that is a list; what stands behind is one item more."""
HTTP2_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\n"
VERSION: Final = "13"
KEY_BYTES: Final = 16

_UPGRADE: Final = re.compile(rb"^upgrade[ \t]*:[^\n]*\n", re.IGNORECASE | re.MULTILINE)
_NEVER: Final = re.compile(rb"[\x00\x0b\x0c\x7f]|\r(?!\n)")
"""What no line of a head holds (RFC 9110 section 5.5)."""
_END: Final = re.compile(rb"\n\r?\n")
"""As h11 reads it: a line may end without its CR."""

read_in_linear_time()  # here, and what stands behind a chunked body on the HTTP side


@dataclass(frozen=True)
class Handshake:
    """A well-formed request for a WebSocket."""

    path: str
    query_string: str
    """As it came."""
    headers: dict[str, str]
    """By lower-case name; of those that stand there several times, joined with commas (RFC 9110 §5.2)."""
    subprotocols: tuple[str, ...]
    """As offered, in order."""
    key: str
    address: str = ""
    """The client's, as far as it is known; the door puts it in."""
    certain: bool = True
    """Whether `address` is that of this one client: not that of a proxy, behind which many may be."""
    lain_ms: int = 0
    """How long it had lain in the kernel when the door read it (`listen.arrival`)."""

    @property
    def crowded(self) -> bool:
        """Whether its query is longer, or has more parameters, than is looked at."""
        return len(self.query_string) > QUERY_BYTES_LIMIT or self.query_string.count("&") >= PARAMETERS_LIMIT

    @property
    def offers_ticket(self) -> bool:
        """Whether its query has a ticket; of one that is `crowded` it is enough that it seems so."""
        return "ticket=" in self.query_string if self.crowded else "ticket" in self.query

    @cached_property
    def query(self) -> dict[str, str]:
        """Decoded; of a parameter that stands there twice, the last. Empty where it is `crowded`."""
        return {} if self.crowded else dict(parse_qsl(self.query_string, keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class HttpHead:
    """A request for anything else."""

    head: bytes
    """Without a wish to change to HTTP/2, which may be ignored (RFC 9110 §7.8)."""


@dataclass(frozen=True, slots=True)
class Http2Preface:
    """HTTP/2 by prior knowledge (RFC 9113 §3.3)."""


def head_end(head: bytes | bytearray, searched: int) -> int | None:
    """Where the head ends, if it does; the first `searched` bytes have been looked through before."""
    found = _END.search(head, max(0, searched - 2))
    return None if found is None else found.end()


def read_head(head: bytes) -> Handshake | HttpHead | Http2Preface:
    """What a whole head asks for.

    Raises:
        BadHandshakeError: no HTTP (400, 501), a request for a WebSocket that is none (400, 426), or one that is too large (431).
    """
    if head == HTTP2_PREFACE:
        return Http2Preface()
    if head.count(b"\n") > HEAD_LINES_LIMIT:
        raise BadHandshakeError(431, f"a request's head has at most {HEAD_LINES_LIMIT} lines")
    if _NEVER.search(head):
        raise BadHandshakeError(400, "no HTTP request: a control character")
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_LIMIT)
    connection.receive_data(head)
    try:
        request = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise BadHandshakeError(error.error_status_hint, f"no HTTP request: {error}") from error
    if not isinstance(request, h11.Request):
        raise BadHandshakeError(400, "no HTTP request")
    headers = _joined(request.headers)
    if request.method != b"GET" or "websocket" not in _tokens(headers.get("upgrade", "")):
        return HttpHead(_UPGRADE.sub(b"", head))
    key = _checked_key(request, headers)
    try:
        target = urlsplit(request.target.decode("latin-1"))
    except ValueError as error:
        raise BadHandshakeError(400, "the request target is no path") from error
    return Handshake(
        path=target.path,
        query_string=target.query,
        headers=headers,
        subprotocols=tuple(filter(None, _items(headers.get("sec-websocket-protocol", "")))),
        key=key,
    )


def _checked_key(request: h11.Request, headers: dict[str, str]) -> str:
    if request.http_version != b"1.1":
        raise BadHandshakeError(400, "a WebSocket needs HTTP/1.1")
    if "upgrade" not in _tokens(headers.get("connection", "")):
        raise BadHandshakeError(400, "`Connection` must name `Upgrade`")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise BadHandshakeError(400, "a request for a WebSocket has no body")
    if headers.get("sec-websocket-version") != VERSION:
        raise BadHandshakeError(
            426,
            f"`Sec-WebSocket-Version` must be {VERSION}",
            headers={"Sec-WebSocket-Version": VERSION, "Upgrade": "websocket"},
        )
    key = headers.get("sec-websocket-key", "")
    try:
        size = len(b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if size != KEY_BYTES:
        raise BadHandshakeError(400, f"`Sec-WebSocket-Key` must be {KEY_BYTES} bytes in base64")
    return key


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.decode("ascii"), []).append(value.decode("latin-1"))
    return {name: ", ".join(several) for name, several in values.items()}


def _tokens(value: str) -> set[str]:
    return {token.lower() for token in _items(value)}


def _items(value: str) -> list[str]:
    return [item.strip() for item in value.split(",", ITEMS_LIMIT)]
