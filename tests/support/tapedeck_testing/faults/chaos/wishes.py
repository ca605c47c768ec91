"""What devices, people and services ask for all at once: finalize and flush storms, and conversations that are deleted while they are recorded.

Owns the conversations that are made to be deleted; they are in no other account.
"""

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass
from typing import Any, Final, cast

import httpx
import redis
import websockets

from audiobus import Conversation
from audiobus.connection import translated
from audiobus.errors import BusError
from tapedeck_testing.faults.chaos.system import System
from tapedeck_testing.faults.hand import Hand
from tapedeck_testing.faults.load import DeviceSpec
from tapedeck_testing.recordings import opus_packets

UID: Final = "gone"
PACKETS: Final = 250
"""20 ms each."""
TRY_S: Final = 25.0
WAIT_MS: Final = 1_000
TOMBSTONE_MS: Final = 30 * 24 * 3_600_000
FLUSHES: Final = 16
"""Asked for at once."""


@dataclass(slots=True)
class Gone:
    """A conversation that is to be deleted."""

    cid: str
    confirmed: bool = False
    """Its tombstone stands, by Redis' word."""

    @property
    def conversation(self) -> Conversation:
        """Its name."""
        return Conversation(UID, self.cid)


class Wishes:
    """What is asked for in one run."""

    def __init__(self, system: System, devices: list[DeviceSpec]) -> None:
        self._system = system
        self._devices = devices
        self._packets = opus_packets(PACKETS // 50, seed=7)
        self.gone: list[Gone] = []

    async def flush(self, share: float, chance: random.Random) -> int:
        """Has a share of all conversations stored at once; how many of them were."""
        room = asyncio.Semaphore(FLUSHES)

        async def one(http: httpx.AsyncClient, device: DeviceSpec) -> int:
            async with room:
                with contextlib.suppress(httpx.TransportError):
                    path = f"/v1/users/{device.uid}/conversations/{device.cid}:flush"
                    return int((await http.post(path)).status_code == 200)
            return 0

        chosen = [device for device in self._devices if chance.random() < share]
        async with self._system.stack.http() as http:
            return sum(await asyncio.gather(*(one(http, device) for device in chosen)))

    async def delete(self, chance: random.Random) -> int:
        """Records a conversation and deletes it: sometimes in mid-recording, sometimes while it is being stored, sometimes after.

        How many bytes of it were acked.
        """
        cid = f"gone{len(self.gone)}-{chance.randrange(10**6)}"
        sent = chance.randrange(PACKETS // 5, PACKETS)
        acked = 0
        with contextlib.suppress(
            TimeoutError, OSError, websockets.WebSocketException, AssertionError, redis.RedisError, BusError
        ):
            async with asyncio.timeout(TRY_S):
                acked = await self._record_and_delete(cid, sent, chance)
        return acked

    async def _record_and_delete(self, cid: str, sent: int, chance: random.Random) -> int:
        packets = self._packets[:sent]
        token = self._system.stack.user_token(UID)
        async with Hand(self._system.address, token, cid) as socket:
            await socket.ready()
            await socket.send(*packets)
            await socket.say("finalize")
            await socket.acked(sum(map(len, packets)))
            await asyncio.sleep(chance.choice((0.0, 0.0, 0.1, 0.3, 1.0)))
            gone = Gone(cid)
            self.gone.append(gone)  # from now on it may be deleted, whether or not the answer comes
            while not gone.confirmed:
                with contextlib.suppress(BusError):
                    gone.confirmed = await self._entomb(gone.conversation)
            return sum(map(len, packets))

    async def _entomb(self, conversation: Conversation) -> bool:
        """Sets the tombstone; whether it will be there from now on, come what may."""
        bus = self._system.bus
        with translated("tombstone"):
            pipeline = cast("Any", bus.client).pipeline(transaction=False)
            key = bus.keys.tomb(conversation)
            pipeline.execute_command("SET", key, int(time.time() * 1000), "PX", TOMBSTONE_MS)
            if self._system.options.topology == "sentinel":
                pipeline.execute_command("WAIT", 1, WAIT_MS)
            answers = await pipeline.execute()
        return self._system.options.topology != "sentinel" or int(answers[1]) >= 1
