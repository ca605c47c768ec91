"""Slots of a cluster that move to another master while clients use them.

Owns the steps that `redis-cli --cluster reshard` takes; it tells the nodes and never the clients.
"""

import asyncio
import contextlib
import random
import time
from typing import Any, Final

import redis

from tapedeck_testing.faults.chaos.kinds import Blow
from tapedeck_testing.faults.chaos.system import System

AUDIO: Final = "td:audio:*"
MOVED: Final = 3
"""Conversations whose slots move at once."""
BETWEEN_S: Final = (0.02, 0.3)
"""Between the steps of a move: so long some keys of a slot are here and some there."""
TIMEOUT_MS: Final = 5_000
AGAIN_S: Final = 30.0


async def move_slots(system: System, blow: Blow, chance: random.Random) -> int:
    """Moves the slots of some conversations with audio to another master; how many keys went along."""
    servers = system.servers
    source, target = chance.sample(range(len(servers.nodes)), 2)
    async with servers.client(source) as client:
        keys = [key async for key in client.scan_iter(AUDIO, count=1000, _type="stream")]
        filled = [key for key in keys if await client.xlen(key)]
    chosen = chance.sample(filled, min(MOVED, len(filled)))
    moved = 0
    for key in chosen:
        slot = int(await servers.ask(source, "CLUSTER", "KEYSLOT", key))
        moved += await _move(system, slot, source, target, random.Random(blow.seed + slot))
    return moved


async def _move(system: System, slot: int, source: int, target: int, chance: random.Random) -> int:
    servers = system.servers
    ids = [(await servers.ask(node, "CLUSTER", "MYID")).decode() for node in (source, target)]
    await servers.ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    await servers.ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    moved = 0
    while keys := await servers.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 10):
        for key in keys:
            await asyncio.sleep(chance.uniform(*BETWEEN_S))
            moved += await _migrate(system, source, target, key)
    for node in (target, source, *({0, 1, 2} - {source, target})):
        await _insist(system, node, "CLUSTER", "SETSLOT", slot, "NODE", ids[1])
    return moved


async def _migrate(system: System, source: int, target: int, key: bytes) -> int:
    """One key; 0 where it was gone by itself. The nodes speak to each other past the relays."""
    port = system.servers.nodes[target].port
    answer = await _insist(system, source, "MIGRATE", "127.0.0.1", port, key, 0, TIMEOUT_MS)
    return int(answer != b"NOKEY")


async def _insist(system: System, node: int, *args: Any) -> Any:
    """A step that must be taken, or half of the slot stays behind. RedisError."""
    deadline = time.monotonic() + AGAIN_S
    while True:
        with contextlib.suppress(redis.ConnectionError, redis.TimeoutError, OSError):
            return await system.servers.ask(node, *args, timeout_s=TIMEOUT_MS / 1000 + 1)
        if time.monotonic() > deadline:
            raise redis.TimeoutError(f"{args[0]} was not done within {AGAIN_S:.0f} s")
        await asyncio.sleep(0.1)
