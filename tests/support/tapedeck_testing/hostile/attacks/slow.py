"""Clients that take their time: a byte now and then, or nothing at all. None may hold more than its own socket, or for ever."""

import asyncio
from typing import Final

from tapedeck_testing.hostile.attack import Attack
from tapedeck_testing.hostile.frames import BINARY, PING, TEXT, frame
from tapedeck_testing.hostile.heads import UPGRADE, head
from tapedeck_testing.hostile.server import V1, Server

GIVES_UP_S: Final = 25.0
"""A server that waits longer than this for a head waits too long: the page of limits says 10 s."""
SILENT_S: Final = 110.0
TURNED_AWAY: Final = ("HTTP 408", "cut")


async def _slow_head(server: Server) -> str:
    """A byte a second: each is a sign of life, and still the head must come to its end."""
    async with await server.connect() as peer:
        sending = asyncio.create_task(peer.trickle(server.handshake(), 1.0))
        heard = await peer.ending(within_s=GIVES_UP_S)
        sending.cancel()
        return str(heard)


async def _no_head(server: Server) -> str:
    async with await server.connect() as peer:
        return str(await peer.ending(within_s=GIVES_UP_S))


async def _half_a_head(server: Server) -> str:
    async with await server.connect() as peer:
        await peer.send(server.handshake()[:60])
        return str(await peer.ending(within_s=GIVES_UP_S))


async def _no_first_message(server: Server) -> str:
    """`/v4/web/listen` waits 5 s for a token."""
    async with await server.connect() as peer:
        await peer.send(head(b"/v4/web/listen", (*UPGRADE, V1)))
        return str(await peer.hear(lambda heard: heard.close_code is not None))


async def _slow_first_message(server: Server) -> str:
    async with await server.connect() as peer:
        await peer.send(head(b"/v4/web/listen", (*UPGRADE, V1)))
        await peer.hear(lambda heard: heard.status is not None)
        sending = asyncio.create_task(peer.trickle(frame(TEXT, b'{"type":"auth","token":"'), 0.5))
        heard = await peer.hear(lambda heard: heard.close_code is not None)
        sending.cancel()
        return str(heard)


async def _slow_frame(server: Server) -> str:
    """A good frame, its header and its payload a byte at a time: slow is not wrong."""
    async with await server.session() as peer:
        await peer.trickle(frame(BINARY, bytes(24)), 0.1)
        return await server.alive(peer)


async def _slow_length(server: Server) -> str:
    """Says 60,000 bytes, and sends some of them over seconds."""
    async with await server.session() as peer:
        await peer.trickle(frame(BINARY, bytes(60_000))[:30], 0.1)
        return str(await peer.hear(lambda heard: heard.close_code is not None, within_s=0.5))


async def _silent(server: Server) -> str:
    """Takes pings and answers none: after 90 s it is given up."""
    async with await server.session() as peer:
        return str(await peer.ending(within_s=SILENT_S))


async def _only_pings(server: Server) -> str:
    """Lives, as far as anybody can tell."""
    async with await server.session() as peer:
        for _ in range(int(SILENT_S / 5)):
            await peer.send(frame(PING, b"x"))
            await peer.hear(lambda heard: heard.close_code is not None, within_s=5)
        return str(peer.heard)


ATTACKS = (
    Attack(name="a head, a byte a second", run=_slow_head, right=TURNED_AWAY, waits=True),
    Attack(name="no head", run=_no_head, right=TURNED_AWAY, times=100, waits=True),
    Attack(name="half a head", run=_half_a_head, right=TURNED_AWAY, times=100, waits=True),
    Attack(
        name="no first message",
        run=_no_first_message,
        right=("close 4401 unauthorized",),
        times=50,
        waits=True,
        wire=False,
    ),
    Attack(
        name="a first message, a byte at a time",
        run=_slow_first_message,
        right=("close 4401 unauthorized",),
        waits=True,
        wire=False,
    ),
    Attack(name="a frame, a byte at a time", run=_slow_frame, right=("open",), waits=True),
    Attack(name="half a message, a byte at a time", run=_slow_length, right=("open",), waits=True),
    Attack(name="silent for 90 s", run=_silent, right=("cut", "close *"), times=50, waits=True, long=True),
    Attack(name="nothing but pings", run=_only_pings, right=("open",), waits=True, long=True),
)
