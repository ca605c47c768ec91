"""What the stories of resuming have in common: six seconds of packets, and one device that sends them in pieces.

Owns the packets and where each ends. A story says what goes wrong in between.
"""

import asyncio
import contextlib
import time
from typing import Any, Final

import httpx

from tapedeck_testing.account import assert_stored_once, flush, objects, packets_back
from tapedeck_testing.faults.hand import Hand
from tapedeck_testing.faults.relay import Relay
from tapedeck_testing.faults.rig import Rig
from tapedeck_testing.recordings import opus_packets

UID: Final = "device-7"
PACKETS: Final = opus_packets(6, seed=30)
"""20 ms each."""
BEGAN_MS: Final = int(time.time() * 1000) - 60_000
"""When the first packet was captured."""


def end(count: int) -> int:
    """The offset after so many packets."""
    return sum(map(len, PACKETS[:count]))


def after(offset: int) -> list[bytes]:
    """The packets from an offset on."""
    at = 0
    for index, packet in enumerate(PACKETS):
        if at == offset:
            return PACKETS[index:]
        at += len(packet)
    assert at == offset, f"{offset} lies within a packet"
    return []


def hand(rig: Rig, cid: str, *, via: Relay | None = None, **options: Any) -> Hand:
    """The device's socket of a conversation; `via` a relay, or straight."""
    address = ("127.0.0.1", via.port) if via else rig.address
    return Hand(address, rig.stack.user_token(UID), cid, **options)


def conv(cid: str) -> str:
    """The key of a conversation in Redis."""
    return f"td:conv:{{{UID}/{cid}}}"


async def mark(socket: Hand, index: int) -> None:
    """The packet that comes next, and when it was captured."""
    await socket.say("mark", at_ms=BEGAN_MS + 20 * index)


async def begin(socket: Hand, count: int) -> str:
    """Sends the first packets, and waits until they are acked; the session's name."""
    session: str = (await socket.ready())["session"]
    await mark(socket, 0)
    await socket.send(*PACKETS[:count])
    await socket.say("finalize")  # closes the chunk
    await socket.acked(end(count))
    return session


async def finish(socket: Hand, offset: int) -> None:
    """Sends everything from `offset` on, and closes. The mark is for fresh sessions: in others it lies on the clock."""
    packets = after(offset)
    await mark(socket, len(PACKETS) - len(packets))
    await socket.send(*packets)
    await socket.say("close")
    assert await socket.closed() == 1000


async def settle(rig: Rig, cid: str) -> None:
    """Until all that is safe is stored."""
    async with asyncio.timeout(60), rig.stack.http() as http:
        while True:
            with contextlib.suppress(httpx.TransportError, AssertionError):
                await flush(http, UID, cid)
                return
            await asyncio.sleep(0.2)


async def stored(rig: Rig, cid: str) -> list[bytes]:
    """The packets of a conversation as they are stored, each byte of each session once."""
    await settle(rig, cid)
    assert_stored_once(rig.stack.store, UID, cid)
    assert objects(rig.stack.store, UID, cid)
    async with rig.stack.http() as http:
        return await packets_back(http, UID, cid)
