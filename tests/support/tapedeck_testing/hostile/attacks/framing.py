"""Frames that RFC 6455 forbids: masks, opcodes, reserved bits, lengths, control frames, order, UTF-8, closing.

Each opens a session, sends its bytes, and says how the server ended it.
"""

import struct
from collections.abc import Sequence

from tapedeck_testing.hostile.attack import Attack
from tapedeck_testing.hostile.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    close,
    frame,
)
from tapedeck_testing.hostile.server import Server

PROTOCOL_ERROR = ("close 1002*",)
BAD_TEXT = ("close 1007*",)
SERVES_ON = ("open",)
AUDIO = bytes(320)


def says(name: str, data: bytes | Sequence[bytes], right: Sequence[str]) -> Attack:
    """An attack that sends bytes (in pieces, a send each) and hears how it ends; where it may go on, it must serve on."""
    pieces = [data] if isinstance(data, bytes) else list(data)

    async def run(server: Server) -> str:
        async with await server.session() as peer:
            for piece in pieces:
                await peer.send(piece)
            if right[0].startswith("open"):
                return await server.alive(peer)
            return str(await peer.hear(lambda heard: heard.close_code is not None))

    return Attack(name=name, run=run, right=tuple(right))


def _masks_and_bits() -> list[Attack]:
    control = ((PING, "ping"), (CLOSE, "close"))
    reserved = ((RSV1, 1), (RSV2, 2), (RSV3, 3))
    return [
        says("a frame without a mask", frame(BINARY, AUDIO, key=None), PROTOCOL_ERROR),
        says("a ping without a mask", frame(PING, b"x", key=None), PROTOCOL_ERROR),
        says("a mask of zeros", frame(BINARY, AUDIO, key=bytes(4)), SERVES_ON),
        *(
            says(f"reserved bit {number} set", frame(BINARY, AUDIO, rsv=bit), PROTOCOL_ERROR)
            for bit, number in reserved
        ),
        says("reserved bit 1 on a text", frame(TEXT, b"{}", rsv=RSV1), PROTOCOL_ERROR),
        *(
            says(f"reserved bit {number} on a {name}", frame(opcode, b"", rsv=bit), PROTOCOL_ERROR)
            for bit, number in reserved
            for opcode, name in control
        ),
        says(
            "reserved bit 1 on a continuation",
            frame(BINARY, AUDIO, fin=False) + frame(CONTINUATION, AUDIO, rsv=RSV1),
            PROTOCOL_ERROR,
        ),
        *(
            says(f"opcode {code}", frame(code, b"x"), PROTOCOL_ERROR)
            for code in (*range(3, 8), *range(11, 16))
        ),
    ]


def _control() -> list[Attack]:
    return [
        says("a ping of 125 bytes", frame(PING, bytes(125)), SERVES_ON),
        says("a ping of 126 bytes", frame(PING, bytes(126)), PROTOCOL_ERROR),
        says("a pong of 126 bytes", frame(PONG, bytes(126)), PROTOCOL_ERROR),
        says(
            "a ping that says 2^63 - 1 bytes",
            frame(PING, says=2**63 - 1, length_form=64),
            (*PROTOCOL_ERROR, "close 1009*"),
        ),
        says("a fragmented ping", frame(PING, b"x", fin=False), PROTOCOL_ERROR),
        says("a fragmented close", frame(CLOSE, b"\x03\xe8", fin=False), PROTOCOL_ERROR),
        says("a pong that nobody asked for", frame(PONG, b"x"), SERVES_ON),
        says(
            "a ping inside a fragmented message",
            frame(BINARY, AUDIO, fin=False) + frame(PING, b"x") + frame(CONTINUATION, AUDIO),
            SERVES_ON,
        ),
    ]


def _order() -> list[Attack]:
    begun = frame(BINARY, AUDIO, fin=False)
    return [
        says("a continuation of nothing", frame(CONTINUATION, AUDIO), PROTOCOL_ERROR),
        says("a continuation of nothing, unfinished", frame(CONTINUATION, b"", fin=False), PROTOCOL_ERROR),
        says("a message inside a fragmented one", begun + frame(BINARY, AUDIO), PROTOCOL_ERROR),
        says("a text inside a fragmented binary", begun + frame(TEXT, b"{}"), PROTOCOL_ERROR),
        says("fragments inside fragments", begun + frame(BINARY, AUDIO, fin=False), PROTOCOL_ERROR),
        says(
            "a continuation after the end", frame(BINARY, AUDIO) + frame(CONTINUATION, AUDIO), PROTOCOL_ERROR
        ),
        says(
            "a message in three fragments, one of them empty",
            begun + frame(CONTINUATION, fin=False) + frame(CONTINUATION, AUDIO),
            SERVES_ON,
        ),
        says("a good frame, a byte a packet", [bytes((b,)) for b in frame(BINARY, AUDIO)], SERVES_ON),
    ]


def _lengths() -> list[Attack]:
    # §5.2: the least form MUST be used; what a receiver does about another is left open. It must not lose its place.
    lax = ("open", "close 1002*")
    too_big = ("close 1009", "close 1009 too_big")
    return [
        says("16 bits for a length of 5", frame(BINARY, bytes(6), length_form=16), lax),
        says("64 bits for a length of 6", frame(BINARY, bytes(6), length_form=64), lax),
        says(
            "a length of 2^63",
            frame(BINARY, AUDIO, says=1 << 63, length_form=64),
            (*PROTOCOL_ERROR, *too_big),
        ),
        says(
            "a length of 2^64 - 1",
            frame(BINARY, AUDIO, says=2**64 - 1, length_form=64),
            (*PROTOCOL_ERROR, *too_big),
        ),
        says("a length of 2^63 - 1", frame(BINARY, AUDIO, says=2**63 - 1, length_form=64), too_big),
        says("a length of 2^32 + 2", frame(BINARY, AUDIO, says=2**32 + 2, length_form=64), too_big),
        says("a text of 2^62", frame(TEXT, b"{", says=1 << 62, length_form=64), too_big),
        says("64 KiB", frame(BINARY, bytes(65_536)), SERVES_ON),
        says("64 KiB and a byte", frame(BINARY, bytes(65_537)), too_big),
        says("a text of 64 KiB and a byte", frame(TEXT, b" " * 65_537), too_big),
        says(
            "64 KiB and a byte in two fragments",
            frame(BINARY, bytes(32_768), fin=False) + frame(CONTINUATION, bytes(32_769)),
            too_big,
        ),
    ]


def _utf8() -> list[Attack]:
    euro = "€".encode()
    bad = {
        "no UTF-8 at all": b"\xff\xfe",
        "a lone continuation byte": b"{\x80}",
        "an overlong slash": b"\xc0\xaf",
        "a surrogate": b"\xed\xa0\x80",
        "a code point above U+10FFFF": b"\xf4\x90\x80\x80",
        "a code point that breaks off": b"{}" + euro[:2],
    }
    return [
        *(says(f"text: {name}", frame(TEXT, data), BAD_TEXT) for name, data in bad.items()),
        says(
            "text: a code point split over fragments",
            frame(TEXT, b'{"type":"' + euro[:1], fin=False) + frame(CONTINUATION, euro[1:] + b'"}'),
            SERVES_ON,
        ),
        says(
            "text: a broken code point split over fragments",
            frame(TEXT, b"\xf4", fin=False) + frame(CONTINUATION, b"\x90\x80\x80"),
            BAD_TEXT,
        ),
        says("text: NULs", frame(TEXT, bytes(100)), ("open bad_json", "open")),
        says("text: empty", frame(TEXT, b""), ("open bad_json", "open")),
    ]


def _closing() -> list[Attack]:
    forbidden = (0, 999, 1004, 1005, 1006, 1015, 5000, 65_535)
    unassigned = (1016, 1100, 2000, 2999)
    return [
        *(
            says(f"close {code}", close(code), (f"close {code}", "close 1000"))
            for code in (1000, 1001, 3000, 4999)
        ),
        # §7.4: never on the wire, or of no range.
        *(says(f"close {code}", close(code), PROTOCOL_ERROR) for code in forbidden),
        *(
            says(f"close {code}", close(code), (*PROTOCOL_ERROR, f"close {code}", "close 1000"))
            for code in unassigned
        ),
        says("close without a code", close(), ("close 1005", "close 1000", "cut")),
        says("close with half a code", frame(CLOSE, b"\x03"), PROTOCOL_ERROR),
        says("close whose reason is no UTF-8", close(1000, b"\xff\xff"), ("close 1007*", "close 1002*")),
        says("close of 126 bytes", frame(CLOSE, struct.pack("!H", 1000) + bytes(124)), PROTOCOL_ERROR),
        says("close, and audio after it", close(1000) + frame(BINARY, AUDIO) * 100, ("close 1000",)),
        # §5.5.1: nothing may follow a close; what a server says of one who does it nevertheless is its own.
        says("close twice", close(1000) + close(1001), ("close 1000", *PROTOCOL_ERROR)),
    ]


ATTACKS = (*_masks_and_bits(), *_control(), *_order(), *_lengths(), *_utf8(), *_closing())
