"""Messages without an end, and messages that unpack to far more than was sent: what is held must stay bounded."""

import os
import zlib
from functools import cache
from itertools import repeat
from typing import Final

from tapedeck_testing.hostile.attack import Attack
from tapedeck_testing.hostile.frames import BINARY, CONTINUATION, RSV1, TEXT, frame
from tapedeck_testing.hostile.peer import Peer
from tapedeck_testing.hostile.server import Server
from tapedeck_testing.hostile.vitals import MIB

TOO_BIG: Final = ("close 1009", "close 1009 too_big", "cut")
"""A server may also break off with one who sends on and on; then its close frame may be lost on the way."""
LONG: Final = int(os.environ.get("TAPEDECK_TEST_HOSTILE_LONG", "0"))
SENT_MIB: Final = 1024 if LONG else 48
BOMB_MIB: Final = 64
OFFERS: Final = (
    b"permessage-deflate",
    b"permessage-deflate; client_max_window_bits; server_no_context_takeover",
    b"permessage-deflate; server_max_window_bits=8, permessage-deflate",
    b"x-webkit-deflate-frame",
)


async def _pour(peer: Peer, begin: bytes, more: bytes, pieces: int) -> str:
    """Sends a beginning, and then the same bytes over and over, until the server will have no more."""
    await peer.send(begin)
    for piece in repeat(more, pieces):
        if peer.heard.ended or not await peer.send(piece, within_s=10):
            break
        await peer.hear(lambda heard: heard.close_code is not None, within_s=0)
    return str(await peer.hear(lambda heard: heard.close_code is not None))


def _poured(name: str, opcode: int, payload: bytes, in_a_piece: int, sent_mib: int = SENT_MIB) -> Attack:
    more = frame(CONTINUATION, payload, fin=False) * in_a_piece
    pieces = sent_mib * MIB // len(more) + 1

    async def run(server: Server) -> str:
        async with await server.session() as peer:
            return await _pour(peer, frame(opcode, payload, fin=False), more, pieces)

    return Attack(name=name, run=run, right=TOO_BIG, times=2)


async def _empty_fragments(server: Server) -> str:
    """They add up to nothing, so no limit of size ends them; the message comes to its end, and is audio."""
    async with await server.session() as peer:
        await peer.send(frame(BINARY, b"", fin=False))
        for _ in range(200 if LONG else 20):
            await peer.send(frame(CONTINUATION, b"", fin=False) * 5_000)
        await peer.send(frame(CONTINUATION, bytes(320)))
        return await server.alive(peer)


async def _crumbs(server: Server) -> str:
    """A message of 60,000 fragments of a byte: what is held may not be a multiple of what was sent."""
    async with await server.session() as peer:
        await peer.send(frame(BINARY, b"\0", fin=False))
        await peer.send(frame(CONTINUATION, b"\0", fin=False) * 59_998)
        await peer.send(frame(CONTINUATION, b"\0"))
        return await server.alive(peer)


async def _one_frame(server: Server) -> str:
    """A frame that says 10 MB, and has them."""
    async with await server.session() as peer:
        whole = frame(BINARY, bytes(10_000_000))
        for at in range(0, len(whole), 65_536):
            if not await peer.send(whole[at : at + 65_536], within_s=10):
                break
        return str(await peer.hear(lambda heard: heard.close_code is not None))


def _offered(offer: bytes) -> Attack:
    async def run(server: Server) -> str:
        """Whatever is offered, the answer names no extension; a frame compressed nevertheless is an error."""
        async with await server.connect() as peer:
            await peer.send(server.handshake()[:-2] + b"Sec-WebSocket-Extensions: " + offer + b"\r\n\r\n")
            heard = await peer.hear(lambda heard: heard.status is not None)
            agreed = heard.headers.get("sec-websocket-extensions")
            if agreed:
                return f"agreed to {agreed}"
            await peer.send(_bomb())
            return str(await peer.hear(lambda heard: heard.close_code is not None))

    return Attack(name=f"offers {offer.decode()}, sends a bomb", run=run, right=("close 1002*",), times=3)


@cache
def _bomb() -> bytes:
    """One frame of some 64 KiB that unpacks to 64 MiB (RFC 7692 §7.2)."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join(squeezer.compress(bytes(MIB)) for _ in range(BOMB_MIB))
    return frame(BINARY, (data + squeezer.flush(zlib.Z_SYNC_FLUSH))[:-4], rsv=RSV1)


async def _bomb_unasked(server: Server) -> str:
    async with await server.session() as peer:
        await peer.send(_bomb())
        return str(await peer.hear(lambda heard: heard.close_code is not None))


ATTACKS = (
    _poured("endless fragments of 4 KiB", BINARY, bytes(4_096), 16),
    _poured("endless fragments of a byte", BINARY, b"\0", 8_192, SENT_MIB // 12),
    _poured("endless fragments of text", TEXT, b" " * 4_096, 16),
    Attack(name="100,000 empty fragments", run=_empty_fragments, right=("open", "close 1009*"), times=2),
    Attack(name="messages of 60,000 crumbs", run=_crumbs, right=("open", "close 1009*"), times=10),
    Attack(name="a frame of 10 MB", run=_one_frame, right=TOO_BIG, times=5),
    Attack(name="a deflate bomb that nobody agreed to", run=_bomb_unasked, right=("close 1002*",), times=3),
    *(_offered(offer) for offer in OFFERS),
)
