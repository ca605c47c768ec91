"""Request heads as bytes: a good handshake (RFC 6455 §4.1), and everything about it that can be wrong.

Pure.
"""

from collections.abc import Sequence
from typing import Final

KEY: Final = b"dGhlIHNhbXBsZSBub25jZQ=="
"""The key of the RFC's own example."""
ACCEPT: Final = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""What belongs to it."""
Header = tuple[bytes, bytes]

UPGRADE: Final[tuple[Header, ...]] = (
    (b"Host", b"localhost"),
    (b"Upgrade", b"websocket"),
    (b"Connection", b"Upgrade"),
    (b"Sec-WebSocket-Key", KEY),
    (b"Sec-WebSocket-Version", b"13"),
)


def head(
    target: bytes = b"/v4/listen",
    headers: Sequence[Header] = UPGRADE,
    *,
    method: bytes = b"GET",
    version: bytes = b"HTTP/1.1",
) -> bytes:
    """A request head, written as it is given."""
    lines = [b" ".join((method, target, version)), *(name + b": " + value for name, value in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def without(name: bytes, headers: Sequence[Header] = UPGRADE) -> tuple[Header, ...]:
    """The headers but this one."""
    return tuple(header for header in headers if header[0].lower() != name.lower())


def instead(name: bytes, value: bytes, headers: Sequence[Header] = UPGRADE) -> tuple[Header, ...]:
    """The headers with another value for this one."""
    return tuple((key, value if key.lower() == name.lower() else old) for key, old in headers)
