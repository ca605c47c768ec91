"""WebSocket frames as bytes (RFC 6455 §5.2), well made and badly made: every field can be lied about.

Pure. Must not know the protocol that is spoken inside.
"""

import struct
from dataclasses import dataclass
from typing import Final

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

FIN: Final = 0x80
RSV1: Final = 0x40
RSV2: Final = 0x20
RSV3: Final = 0x10

KEY: Final = b"\x37\xfa\x21\x3d"
"""The masking key of the RFC's own examples."""


def masked(payload: bytes, key: bytes = KEY) -> bytes:
    """A payload under a masking key (§5.3)."""
    size = len(payload)
    pad = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = KEY,
    length_form: int | None = None,
    says: int | None = None,
) -> bytes:
    """One client frame.

    Args:
        opcode: any of 0 to 15.
        payload: what follows the header.
        fin: whether it ends its message.
        rsv: any of RSV1, RSV2, RSV3.
        key: None for a frame without a mask, which no client may send.
        length_form: 7, 16 or 64 bits for the length; the least that does by default.
        says: the length in the header, where it is not the payload's.
    """
    size = len(payload) if says is None else says
    form = length_form or (7 if size < 126 else 16 if size < 1 << 16 else 64)
    mask = 0 if key is None else 0x80
    head = bytes(((FIN if fin else 0) | rsv | opcode,))
    if form == 7:
        head += bytes((mask | size,))
    elif form == 16:
        head += bytes((mask | 126,)) + struct.pack("!H", size)
    else:
        head += bytes((mask | 127,)) + struct.pack("!Q", size)
    return head + (payload if key is None else key + masked(payload, key))


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    """A close frame; without a code it is empty."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


@dataclass(frozen=True, slots=True)
class ServerFrame:
    """A frame that a server sent."""

    opcode: int
    payload: bytes
    fin: bool
    rsv: int


class FrameReader:
    """Cuts what a server sends into frames. ValueError where it is masked, or longer than any answer of ours."""

    MOST: Final = 4 * 1024 * 1024

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> list[ServerFrame]:
        """The frames that are whole by now."""
        self._bytes += data
        frames = []
        while (one := self._next()) is not None:
            frames.append(one)
        return frames

    def _next(self) -> ServerFrame | None:
        held = self._bytes
        if len(held) < 2:
            return None
        size, at = held[1], 2
        if size & 0x80:
            raise ValueError("a server never masks")
        if size == 126:
            at, size = 4, int.from_bytes(held[2:4], "big")
        elif size == 127:
            at, size = 10, int.from_bytes(held[2:10], "big")
        if size > self.MOST:
            raise ValueError(f"a frame of {size} bytes")
        if len(held) < at or len(held) < at + size:
            return None
        found = ServerFrame(held[0] & 0x0F, bytes(held[at : at + size]), bool(held[0] & FIN), held[0] & 0x70)
        del held[: at + size]
        return found
