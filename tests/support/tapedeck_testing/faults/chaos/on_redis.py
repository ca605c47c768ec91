"""What is done to Redis and to the network before it. Each function does one fault to its end and answers how often it has hit."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import redis

from tapedeck_testing.faults.chaos.kinds import Blow
from tapedeck_testing.faults.chaos.processes import ports_of, send, until_stopped
from tapedeck_testing.faults.chaos.servers import SETTLE_S, SentinelServers
from tapedeck_testing.faults.chaos.slots import move_slots
from tapedeck_testing.faults.chaos.system import System

DELAY_S: Final = (0.03, 0.3)
POLL_S: Final = 0.05
PORTS_S: Final = 0.25
"""Between two looks at who speaks from which port."""
FAILOVER_S: Final = 30.0
ORDER_AGAIN_S: Final = 8.0
"""Sentinels give a failover up that their colleagues disturb."""
EAT_S: Final = 5.0
UNTIL_HIT_S: Final = 10.0
LOG_BYTES: Final = (20_000, 400_000)
READY: Final = "td:ready:*"
GROUP: Final = "pusher"
LITTLE_MEMORY: Final = 1_000_000
"""Less than any server uses."""

Do = Callable[[System, Blow, random.Random], Awaitable[int]]


async def pause(system: System, blow: Blow, chance: random.Random) -> int:
    """SIGSTOP and SIGCONT."""
    node = await _master(system, chance)
    process = system.servers.nodes[node].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.to_thread(until_stopped, process.pid)
        return await _asked(system, node, blow.lasts_s, UNTIL_HIT_S)
    finally:
        process.send_signal(signal.SIGCONT)


async def kill(system: System, blow: Blow, chance: random.Random) -> int:
    """SIGKILL; it comes back with its log."""
    node = await _master(system, chance)
    relay = system.servers.relays[node]
    before = relay.broken
    system.servers.nodes[node].kill()
    try:
        await asyncio.sleep(blow.lasts_s)
    finally:
        await asyncio.to_thread(system.servers.nodes[node].start)
    return relay.broken - before


async def lose_log(system: System, blow: Blow, chance: random.Random) -> int:
    """SIGKILL; it comes back with less than it had confirmed, and most often a listen dies with it. How many bytes it lost."""
    [server] = system.servers.nodes
    server.kill()
    try:
        logs = sorted(
            (server.directory / "appendonlydir").glob("*.incr.aof"),
            key=lambda path: int(path.name.split(".")[-3]),
        )
        size = logs[-1].stat().st_size
        lost = min(chance.randrange(*LOG_BYTES), size)
        os.truncate(logs[-1], size - lost)
        if chance.random() < 0.7 and (pids := system.pids("listen")):
            send(chance.choice(pids), signal.SIGKILL)
        await asyncio.sleep(blow.lasts_s)
    finally:
        await asyncio.to_thread(server.start)
    return lost


async def slow(system: System, blow: Blow, chance: random.Random) -> int:
    """Everything takes longer, both ways."""
    relay = system.servers.relays[await _master(system, chance)]
    before = relay.delayed
    relay.delay_s = chance.uniform(*DELAY_S)
    try:
        await asyncio.sleep(blow.lasts_s)
    finally:
        relay.delay_s = 0.0
    return relay.delayed - before


async def client_pause(system: System, blow: Blow, chance: random.Random) -> int:
    """It takes commands, and answers none for a while."""
    node = await _master(system, chance)
    began = time.monotonic()
    await system.servers.ask(node, "CLIENT", "PAUSE", int(blow.lasts_s * 1000), "ALL")
    left_s = began + blow.lasts_s - time.monotonic()
    return await _asked(system, node, left_s, left_s)


async def lose_replies(system: System, _blow: Blow, _chance: random.Random) -> int:
    """The next reply on every connection is lost, after the work was done."""
    before = sum(relay.eaten for relay in system.servers.relays)
    for relay in system.servers.relays:
        relay.lose_replies()
    deadline = time.monotonic() + EAT_S
    while (eaten := sum(relay.eaten for relay in system.servers.relays) - before) == 0:
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(POLL_S)
    return eaten


async def refuse_memory(system: System, blow: Blow, chance: random.Random) -> int:
    """Its memory is full: appends are refused, draining goes on. How many commands it refused."""
    node = await _master(system, chance)
    before = await _errors(system, node, "OOM")
    await system.servers.ask(node, "CONFIG", "SET", "maxmemory", LITTLE_MEMORY)
    try:
        await asyncio.sleep(blow.lasts_s)
    finally:
        await _insist(lambda: system.servers.ask(node, "CONFIG", "SET", "maxmemory", 0))
    return await _errors(system, node, "OOM") - before


async def forget_scripts(system: System, _blow: Blow, chance: random.Random) -> int:
    """It knows no script any more, as after a restart."""
    node = await _master(system, chance)
    before = await _errors(system, node, "NOSCRIPT")
    await system.servers.ask(node, "SCRIPT", "FLUSH")
    deadline = time.monotonic() + EAT_S
    while (unknown := await _errors(system, node, "NOSCRIPT") - before) == 0 and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)
    return unknown


async def forget_groups(system: System, _blow: Blow, chance: random.Random) -> int:
    """The consumer groups of the hints are gone, with what was pending in them."""
    node = await _master(system, chance)
    gone = 0
    async with system.servers.client(node) as client:
        keys = [key async for key in client.scan_iter(READY)]
        for key in keys:
            with contextlib.suppress(redis.ResponseError):
                gone += await client.xgroup_destroy(key, GROUP)
    return gone


async def cut_off(system: System, blow: Blow, chance: random.Random, component: str) -> int:
    """One process of a component and Redis do not hear each other; what was said arrives when it is over."""
    pids = system.pids(component)
    if not pids:
        return 0
    pid = chance.choice(pids)
    ports: set[int] = set()

    def held() -> int:
        return sum(relay.held for relay in system.servers.relays)

    before = held()
    for relay in system.servers.relays:
        relay.hold(ports)
    try:
        began = time.monotonic()
        while (lasted_s := time.monotonic() - began) < blow.lasts_s or (
            lasted_s < UNTIL_HIT_S and held() == before
        ):
            ports |= await asyncio.to_thread(ports_of, pid)
            await asyncio.sleep(POLL_S)
    finally:
        for relay in system.servers.relays:
            relay.let_go()
    return held() - before


async def force_failover(system: System, _blow: Blow, _chance: random.Random) -> int:
    """The sentinels are told to change the master while it lives."""
    servers = _sentinels(system)
    await servers.until_whole(SETTLE_S)
    former = await servers.master()
    changed, deadline = False, time.monotonic() + FAILOVER_S
    while not changed and time.monotonic() < deadline:
        with contextlib.suppress(redis.ResponseError):  # one is under way
            await servers.order_failover()
        changed = await _changed(servers, former, ORDER_AGAIN_S)
    await servers.until_whole(SETTLE_S)
    return int(changed)


async def kill_master(system: System, blow: Blow, _chance: random.Random) -> int:
    """SIGKILL to the master; it comes back only after another took its place."""
    servers = _sentinels(system)
    await servers.until_whole(SETTLE_S)
    former = await servers.master()
    servers.nodes[former].kill()
    try:
        changed = await _changed(servers, former)
        await asyncio.sleep(blow.lasts_s)
    finally:
        await asyncio.to_thread(servers.nodes[former].start)
    await servers.until_whole(SETTLE_S)
    return int(changed)


async def stop_master(system: System, _blow: Blow, _chance: random.Random) -> int:
    """SIGSTOP to the master; when it wakes up, another is the master, and what it was asked comes too late."""
    servers = _sentinels(system)
    await servers.until_whole(SETTLE_S)
    former = await servers.master()
    process = servers.nodes[former].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        changed = await _changed(servers, former)
    finally:
        process.send_signal(signal.SIGCONT)
    await servers.until_whole(SETTLE_S)
    return int(changed)


async def kill_replica(system: System, blow: Blow, _chance: random.Random) -> int:
    """SIGKILL to the replica: nothing is confirmed until it is back."""
    servers = _sentinels(system)
    await servers.until_whole(SETTLE_S)
    master = await servers.master()
    replica = 1 - master
    servers.nodes[replica].kill()
    try:
        await asyncio.sleep(blow.lasts_s / 2)
        confirmed = await servers.ask(master, "WAIT", 1, 100)
        await asyncio.sleep(blow.lasts_s / 2)
    finally:
        await asyncio.to_thread(servers.nodes[replica].start)
    await servers.until_whole(SETTLE_S)
    return int(confirmed == 0)


def _cut_off(component: str) -> Do:
    async def do(system: System, blow: Blow, chance: random.Random) -> int:
        return await cut_off(system, blow, chance, component)

    return do


REDIS_FAULTS: Final[dict[str, Do]] = {
    "redis paused": pause,
    "redis killed": kill,
    "redis slow": slow,
    "redis client pause": client_pause,
    "redis loses replies": lose_replies,
    "redis refuses memory": refuse_memory,
    "redis forgets scripts": forget_scripts,
    "redis forgets the groups": forget_groups,
    "listen cut off from redis": _cut_off("listen"),
    "pusher cut off from redis": _cut_off("pusher"),
    "storage-api cut off from redis": _cut_off("storage_api"),
    "failover forced": force_failover,
    "master killed until failover": kill_master,
    "master stopped until failover": stop_master,
    "replica killed": kill_replica,
    "slots moved": move_slots,
    "redis loses the end of its log": lose_log,
}


async def _master(system: System, chance: random.Random) -> int:
    return chance.choice(await system.servers.masters())


def _sentinels(system: System) -> SentinelServers:
    assert isinstance(system.servers, SentinelServers)
    return system.servers


async def _changed(servers: SentinelServers, former: int, within_s: float = FAILOVER_S) -> bool:
    """Waits until another node is the master, and says so itself."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while True:
                with contextlib.suppress(redis.RedisError, OSError, ValueError):
                    now = await servers.master()
                    if now != former and (await servers.ask(now, "ROLE"))[0] == b"master":
                        return True
                await asyncio.sleep(POLL_S)
    return False


async def _asked(system: System, node: int, lasts_s: float, at_most_s: float) -> int:
    """For so long, and on until it is asked something: what processes of the system ask of a node that answers nobody."""
    asked = system.servers.relays[node].asked
    before, seen, ports = asked.copy(), asked.copy(), set[int]()

    def met() -> int:
        return sum(seen[port] - before[port] for port in ports)

    began = time.monotonic()
    while (lasted_s := time.monotonic() - began) < lasts_s or (lasted_s < at_most_s and not met()):
        seen = asked.copy()  # at a moment at which it was still silent
        ports |= await asyncio.to_thread(system.ports)
        await asyncio.sleep(min(PORTS_S, max(POLL_S, lasts_s - (time.monotonic() - began))))
    return met()


async def _errors(system: System, node: int, code: str) -> int:
    """How many errors of that code a node has answered."""
    fields: dict[str, Any] = await system.servers.ask(node, "INFO", "errorstats")
    return int(fields.get(f"errorstat_{code}", {}).get("count", 0))


async def _insist(do: Callable[[], Awaitable[Any]]) -> None:
    """Until it is done: nothing goes on without it."""
    async with asyncio.timeout(SETTLE_S):
        while True:
            with contextlib.suppress(redis.RedisError, OSError):
                await do()
                return
            await asyncio.sleep(POLL_S)
