"""What is done to the processes of the services: killed, stopped and woken, asked to end; always in the middle of their work.

Each function does one fault from its beginning to its end, and answers how often it has hit.
"""

import asyncio
import contextlib
import random
import signal
import time
from typing import Final

import redis

from tapedeck_testing.faults.chaos.options import LEASE_S, SILENT_S
from tapedeck_testing.faults.chaos.processes import alive, clients_of, name_of, send
from tapedeck_testing.faults.chaos.system import System

LOOK_S: Final = 12.0
"""So long a pusher is looked for that is at work."""
STOPPED_S: Final = 5 * LEASE_S
"""The longest that a pusher is stopped."""
LISTEN_STOPPED_S: Final = SILENT_S + 6.0
GONE_S: Final = 30.0


async def kill_pusher(system: System, chance: random.Random) -> int:
    """SIGKILL to a pusher that holds a lease."""
    pid, held = await _stop_at_work(system, chance)
    if pid is None:
        return 0
    send(pid, signal.SIGKILL)
    return len(held)


async def restart_pusher(system: System, chance: random.Random) -> int:
    """SIGTERM to a pusher that holds a lease; it must end within its drain time."""
    pid, held = await _stop_at_work(system, chance)
    if pid is None:
        return 0
    send(pid, signal.SIGTERM)
    send(pid, signal.SIGCONT)
    return len(held) if await _gone(pid) else 0


async def stop_pusher(system: System, chance: random.Random) -> int:
    """SIGSTOP to a pusher in the middle of a conversation, until another has taken it over; then it goes on as if nothing had been."""
    pid, held = await _stop_at_work(system, chance)
    if pid is None:
        return 0
    name, taken = name_of(pid), set[str]()
    try:
        deadline = time.monotonic() + STOPPED_S
        while not taken and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
            with contextlib.suppress(redis.RedisError, OSError, ValueError):
                now = await system.servers.leases()
                taken |= {tag for tag in held if now.get(tag, name) != name}
    finally:
        send(pid, signal.SIGCONT)
    return len(taken)


async def kill_listen(system: System, chance: random.Random, number: signal.Signals) -> int:
    """SIGKILL or SIGTERM to a listen process; how many clients it had."""
    pid, clients = _busy_listen(system, chance)
    return clients if pid is not None and send(pid, number) else 0


async def stop_listen(system: System, chance: random.Random) -> int:
    """SIGSTOP to a listen process until its clients have gone to another; how many sessions were taken over meanwhile."""
    pid, _ = _busy_listen(system, chance)
    if pid is None or not send(pid, signal.SIGSTOP):
        return 0
    try:
        before = await _owners(system)
        await asyncio.sleep(LISTEN_STOPPED_S)
        after = await _owners(system)
    finally:
        send(pid, signal.SIGCONT)
    return sum(after.get(tag, owner) != owner for tag, owner in before.items())


async def kill_storage_api(system: System, chance: random.Random) -> int:
    """SIGKILL to storage-api; how many clients it had."""
    pids = system.pids("storage_api")
    if not pids:
        return 0
    pid = chance.choice(pids)
    clients = clients_of(pid, int(system.stack.facts["storage_api"].rpartition(":")[2]))
    return clients if send(pid, signal.SIGKILL) else 0


async def _stop_at_work(system: System, chance: random.Random) -> tuple[int | None, list[str]]:
    """A pusher that is stopped while it holds leases, and of which conversations; None where none was met at work.

    SIGSTOP comes first, the look second: so it is in the middle of it, wherever that is.
    """
    deadline = time.monotonic() + LOOK_S
    while time.monotonic() < deadline:
        pids = system.pids("pusher")
        if not pids:
            await asyncio.sleep(0.2)
            continue
        pid = chance.choice(pids)
        name = name_of(pid)
        with contextlib.suppress(redis.RedisError, OSError, ValueError):
            if name not in (await system.servers.leases()).values() or not send(pid, signal.SIGSTOP):
                await asyncio.sleep(0.01)
                continue
            try:
                held = [tag for tag, holder in (await system.servers.leases()).items() if holder == name]
            except BaseException:
                send(pid, signal.SIGCONT)
                raise
            if held:
                return pid, held
            send(pid, signal.SIGCONT)
        await asyncio.sleep(chance.uniform(0.01, 0.05))
    return None, []


def _busy_listen(system: System, chance: random.Random) -> tuple[int | None, int]:
    """A listen process that has clients, and how many; any where none has: after a restart the kernel gives all to the others."""
    pids = system.pids("listen")
    if not pids:
        return None, 0
    clients = {pid: clients_of(pid, system.address[1]) for pid in pids}
    chosen = chance.choice([pid for pid in pids if clients[pid]] or pids)
    return chosen, clients[chosen]


async def _owners(system: System) -> dict[str, str]:
    """Which socket owns which conversation; what can be read now."""
    found: dict[str, str] = {}
    for node in range(len(system.servers.nodes)):
        with contextlib.suppress(redis.RedisError, OSError):
            async with system.servers.client(node) as client:
                async for key in client.scan_iter("td:conv:*", count=1000):
                    owner = await client.hget(key, "owner")
                    if isinstance(owner, bytes):
                        found[key.decode()] = owner.decode()
    return found


async def _gone(pid: int) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GONE_S):
            while alive(pid):
                await asyncio.sleep(0.1)
    return not alive(pid)
