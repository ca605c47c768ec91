"""The HTTP side of the same port: bodies without an end, HTTP/2 by prior knowledge and what is known to be done with it.

HTTP/2 frames are made by hand (RFC 9113 §4.1), headers with the static table and literals only (RFC 7541).
"""

import struct
from typing import Final

from tapedeck_testing.hostile.attack import Attack
from tapedeck_testing.hostile.heads import head
from tapedeck_testing.hostile.peer import Peer
from tapedeck_testing.hostile.server import Server

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
GET_ROOT: Final = b"\x82\x86\x84\x41\x01x"
"""`:method GET`, `:scheme http`, `:path /`, `:authority x`."""
ENDED: Final = ("ended", "cut")


def h2(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One HTTP/2 frame."""
    return struct.pack("!I", len(payload))[1:] + bytes((kind, flags)) + struct.pack("!I", stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header that enters no table, both parts under 127 bytes (RFC 7541 §6.2.2)."""
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


async def _begun(server: Server) -> Peer:
    peer = await server.connect()
    await peer.send(PREFACE + h2(SETTINGS, 0, 0))
    return peer


async def _pour(peer: Peer, piece: bytes, times: int) -> None:
    for _ in range(times):
        if not await peer.send(piece, within_s=3):
            break
        await peer.hear(lambda heard: False, within_s=0)


async def _serves(server: Server) -> str:
    async with await server.session() as peer:
        return await server.alive(peer)


async def _preface(server: Server) -> str:
    """HTTP/2 begun, and nothing asked."""
    async with await _begun(server) as peer:
        await peer.hear(lambda heard: heard.status is not None)
        return "answered" if peer.heard.status == 0 or peer.heard.ended else str(peer.heard)


async def _extended_connect(server: Server) -> str:
    """A WebSocket over HTTP/2 (RFC 8441): refused, for the audio socket speaks HTTP/1.1."""
    asked = (
        literal(b":method", b"CONNECT")
        + literal(b":protocol", b"websocket")
        + b"\x86"
        + literal(b":path", b"/v4/listen")
        + literal(b":authority", b"localhost")
        + literal(b"sec-websocket-version", b"13")
    )
    async with await _begun(server) as peer:
        await peer.send(h2(HEADERS, END_HEADERS, 1, asked))
        await peer.hear(lambda heard: b'"type":"ready"' in heard.body, within_s=1.0)
        return "accepted" if b"ready" in peer.heard.body else "refused"


async def _rapid_reset(server: Server) -> str:
    """Streams opened and given up at once (CVE-2023-44487)."""
    async with await _begun(server) as peer:
        for begin in range(1, 6_000, 600):
            piece = b"".join(
                h2(HEADERS, END_HEADERS | END_STREAM, stream, GET_ROOT) + h2(RST_STREAM, 0, stream, bytes(4))
                for stream in range(begin, begin + 600, 2)
            )
            await _pour(peer, piece, 1)
        return await _serves(server)


async def _endless_headers(server: Server) -> str:
    """A header block of CONTINUATION frames without an end (CVE-2024-27316)."""
    more = h2(CONTINUATION, 0, 1, literal(b"x-more", b"y" * 100) * 100)
    async with await _begun(server) as peer:
        await peer.send(h2(HEADERS, 0, 1, GET_ROOT))
        await _pour(peer, more * 5, 400)
        return await _serves(server)


async def _empty_headers(server: Server) -> str:
    async with await _begun(server) as peer:
        await peer.send(h2(HEADERS, 0, 1, GET_ROOT))
        await _pour(peer, h2(CONTINUATION, 0, 1) * 2_000, 20)
        return await _serves(server)


async def _settings(server: Server) -> str:
    """Settings and pings, each to be answered, whose answers nobody reads."""
    async with await server.connect(receive_buffer=4_096) as peer:
        await peer.send(PREFACE + h2(SETTINGS, 0, 0))
        for _ in range(100):
            if not await peer.send(h2(SETTINGS, 0, 0) * 200 + h2(PING, 0, 0, bytes(8)) * 200, within_s=2):
                break
        return await _serves(server)


async def _closed_window(server: Server) -> str:
    """Many requests whose answers may not be sent."""
    async with await server.connect() as peer:
        await peer.send(PREFACE + h2(SETTINGS, 0, 0, struct.pack("!HI", 4, 0)))
        piece = b"".join(
            h2(HEADERS, END_HEADERS | END_STREAM, stream, GET_ROOT) for stream in range(1, 200, 2)
        )
        await _pour(peer, piece, 1)
        return await _serves(server)


async def _broken_frames(server: Server) -> str:
    async with await _begun(server) as peer:
        await _pour(peer, struct.pack("!I", 0xFFFFFF)[1:] + b"\x63\xff" + bytes(4) + bytes(65_000), 5)
        heard = await peer.ending()
        return "ended" if heard.ended else "still open"


async def _endless_body(server: Server) -> str:
    """`POST /v1/tickets` wants no body: one without an end is not read to it."""
    async with await server.connect() as peer:
        asked = ((b"Host", b"localhost"), (b"Transfer-Encoding", b"chunked"), (b"Authorization", b"Bearer x"))
        await peer.send(head(b"/v1/tickets", asked, method=b"POST"))
        chunk = b"10000\r\n" + bytes(65_536) + b"\r\n"
        for _ in range(500):
            if not await peer.send(chunk, within_s=5):
                break
            if (await peer.hear(lambda heard: heard.status is not None, within_s=0)).status:
                break
        return str(await peer.hear(lambda heard: heard.status is not None))


async def _long_body(server: Server) -> str:
    """Says 1 GB, and sends little of it: the answer comes, and the connection is let go with the client."""
    async with await server.connect() as peer:
        asked = ((b"Host", b"localhost"), (b"Content-Length", b"1000000000"), (b"Authorization", b"Bearer x"))
        await peer.send(head(b"/v1/tickets", asked, method=b"POST") + bytes(1_000))
        return str(await peer.hear(lambda heard: heard.status is not None))


async def _expect(server: Server) -> str:
    async with await server.connect() as peer:
        asked = ((b"Host", b"localhost"), (b"Content-Length", b"5"), (b"Expect", b"100-continue"))
        await peer.send(head(b"/v1/tickets", asked, method=b"POST"))
        await peer.hear(lambda heard: heard.status is not None)
        return "answered" if peer.heard.status in {100, 401, 417} else str(peer.heard)


async def _chunks_without_sense(server: Server) -> str:
    async with await server.connect() as peer:
        asked = ((b"Host", b"localhost"), (b"Transfer-Encoding", b"chunked"))
        await peer.send(head(b"/v1/tickets", asked, method=b"POST") + b"zzzz\r\n" + bytes(100))
        return str(await peer.hear(lambda heard: heard.status is not None))


async def _spaces_behind_chunks(server: Server) -> str:
    """h11 reads what follows the last chunk as headers, and tries each of the spaces as the end of a value."""
    async with await server.connect() as peer:
        asked = ((b"Host", b"localhost"), (b"Transfer-Encoding", b"chunked"))
        spaces = b"0\r\nX:" + b" " * 30_000 + b"\0\r\n\r\n"
        await peer.send(head(b"/v1/tickets", asked, method=b"POST") + spaces)
        return str(await peer.hear(lambda heard: heard.status is not None))


ATTACKS = (
    Attack(name="HTTP/2: a preface", run=_preface, right=("answered",), wire=False),
    Attack(name="HTTP/2: a WebSocket", run=_extended_connect, right=("refused",), wire=False),
    Attack(name="HTTP/2: rapid reset", run=_rapid_reset, right=("open",), times=2, wire=False),
    Attack(name="HTTP/2: endless headers", run=_endless_headers, right=("open",), times=2, wire=False),
    Attack(name="HTTP/2: endless empty headers", run=_empty_headers, right=("open",), times=2, wire=False),
    Attack(name="HTTP/2: settings and pings", run=_settings, right=("open",), times=2, wire=False),
    Attack(name="HTTP/2: a closed window", run=_closed_window, right=("open",), times=2, wire=False),
    Attack(name="HTTP/2: broken frames", run=_broken_frames, right=ENDED, times=5, wire=False),
    Attack(
        name="an endless body",
        run=_endless_body,
        right=("HTTP 401", "HTTP 400", "HTTP 413", "cut"),
        times=3,
        wire=False,
    ),
    Attack(name="a body of 1 GB", run=_long_body, right=("HTTP 401", "HTTP 400", "HTTP 413"), wire=False),
    Attack(name="Expect: 100-continue", run=_expect, right=("answered",), wire=False),
    Attack(
        name="chunks without sense",
        run=_chunks_without_sense,
        right=("HTTP 400", "HTTP 401", "cut"),
        wire=False,
    ),
    Attack(
        name="spaces behind the last chunk",
        run=_spaces_behind_chunks,
        right=("HTTP 400", "HTTP 401", "cut"),
        wire=False,
    ),
)
