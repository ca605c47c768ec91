"""The system under faults: `tapedeck up` behind a relay before a Redis of our own, and what is done to them.

Owns the Redis, the relay and the stack. Faults come one after the other; each ends with everything running again.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import httpx
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tapedeck_testing.faults.chaos.processes import clients_of, until_stopped
from tapedeck_testing.faults.relay import Relay
from tapedeck_testing.faults.schedule import Fault
from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.redis_process import RedisProcess
from tapedeck_testing.stack import Stack

Fsync = Literal["always", "everysec"]
SLOW_S = (0.03, 0.3)
"""What each piece of a slow Redis waits, either way."""


UNTIL_HIT_S = 10.0
"""A stop of Redis lasts until somebody has met it, but no longer."""


class Rig:
    """A running system, and the faults that it can be given."""

    def __init__(
        self,
        directory: Path,
        *,
        fsync: Fsync = "always",
        lose: bool = False,
        seed: int = 0,
        listen_workers: int = 2,
        environ: dict[str, str] | None = None,
    ) -> None:
        """`lose`: whenever Redis is killed, the end of its log is lost too, as in a failover or a power cut."""
        self._directory = directory
        self._lose = lose
        self._chance = random.Random(seed)
        self._workers = listen_workers
        self._environ = environ or {}
        self.redis = RedisProcess(any_server(), directory / "redis", options=("--appendfsync", fsync))
        self.relay = Relay("127.0.0.1", self.redis.port)
        self.stack: Stack
        self.done: Counter[str] = Counter()
        self.lost_bytes = 0
        """Of Redis' log, so far."""

    async def start(self) -> "Rig":
        await asyncio.to_thread(self.redis.start)
        await self.relay.start()
        self.stack = Stack(
            self._directory / "stack",
            *("--redis-url", f"redis://127.0.0.1:{self.relay.port}"),
            *("--listen-workers", str(self._workers)),
            environ=self._environ,
        )
        await asyncio.to_thread(self.stack.start)
        return self

    async def stop(self) -> None:
        with contextlib.suppress(AttributeError):  # it never came so far
            await asyncio.to_thread(self.stack.stop)
        await self.relay.stop()
        self.redis.stop()

    @property
    def address(self) -> tuple[str, int]:
        """Where devices connect."""
        host, port = self.stack.facts["listen"].removeprefix("ws://").rsplit(":", 1)
        return host, int(port)

    def client(self) -> "redis.asyncio.Redis":
        """A client of Redis itself, past the relay."""
        return redis.asyncio.Redis(port=self.redis.port, socket_timeout=10, retry=Retry(NoBackoff(), 0))

    # -- faults ------------------------------------------------------------------------------------------------------

    async def perform(self, fault: Fault) -> int:
        """The fault, from its beginning to its end; cutting lines is the devices' own. How often it has hit: what services asked of
        a silent Redis, lines that broke, pieces that were held back, clients of a listen.
        """
        relay, hits = self.relay, 0
        match fault.kind:
            case "redis paused":
                hits = await self.pause_redis(fault.lasts_s)
            case "redis killed":
                before = relay.broken
                await self.kill_redis(fault.lasts_s)
                hits = relay.broken - before
            case "redis slow":
                before = relay.delayed
                relay.delay_s = self._chance.uniform(*SLOW_S)
                await asyncio.sleep(fault.lasts_s)
                relay.delay_s = 0.0
                hits = relay.delayed - before
            case "redis client pause":
                hits = await self.pause_clients(fault.lasts_s)
            case "listen killed":
                hits = self._signal_with_clients(signal.SIGKILL)
            case "listen restarted":
                hits = self._signal_with_clients(signal.SIGTERM)
            case "clients cut":
                pass
        self.done[fault.kind] += 1
        return hits

    async def pause_clients(self, lasts_s: float) -> int:
        """It takes commands, and answers none for a while. How much it was asked meanwhile."""
        began = time.monotonic()
        async with self.client() as client:
            await client.execute_command("CLIENT", "PAUSE", int(lasts_s * 1000), "ALL")
        asked = self.relay.asked.total()
        await asyncio.sleep(max(0.0, began + lasts_s - time.monotonic()))
        return self.relay.asked.total() - asked

    async def pause_redis(self, lasts_s: float) -> int:
        """SIGSTOP, and SIGCONT: it answers nobody, and then everybody. How much it was asked meanwhile."""
        assert self.redis.process is not None
        self.redis.process.send_signal(signal.SIGSTOP)
        await asyncio.to_thread(until_stopped, self.redis.process.pid)
        before, began = self.relay.asked.total(), time.monotonic()
        await asyncio.sleep(lasts_s)
        while self.relay.asked.total() == before and time.monotonic() - began < UNTIL_HIT_S:
            await asyncio.sleep(0.05)
        asked = self.relay.asked.total() - before
        self.redis.process.send_signal(signal.SIGCONT)
        return asked

    async def kill_redis(self, lasts_s: float) -> None:
        """SIGKILL; it comes back with its log, or with less, and then sometimes listen is gone with what it still held."""
        self.redis.kill()
        if self._lose:
            self.lost_bytes += self.forget(self._chance.randrange(20_000, 400_000))
            if self._chance.random() < 0.7:
                self.signal_one("listen", signal.SIGKILL)
        await asyncio.sleep(lasts_s)
        await asyncio.to_thread(self.redis.start)

    def forget(self, count: int) -> int:
        """Takes the last bytes of the log of a Redis that does not run, as if they had never reached the disk."""
        folder = self.redis.directory / "appendonlydir"
        logs = sorted(folder.glob("*.incr.aof"), key=lambda path: int(path.name.split(".")[-3]))
        path = logs[-1]
        size = path.stat().st_size
        count = min(count, size)
        os.truncate(path, size - count)
        return count

    def signal_one(
        self, service: str, number: signal.Signals, among: Sequence[int] | None = None
    ) -> int | None:
        """Signals one process of a service, if one is there, of these if any are named."""
        pids = among or self.stack.pids(service)
        if not pids:
            return None
        pid: int = self._chance.choice(pids)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            return pid
        return None

    def _signal_with_clients(self, number: signal.Signals) -> int:
        """Signals a listen; how many clients it had."""
        port = self.address[1]
        had = {pid: clients_of(pid, port) for pid in self.stack.pids("listen")}
        # One that has only just come back has none: who is hit is left to chance among those that have some.
        pid = self.signal_one("listen", number, [pid for pid, clients in had.items() if clients])
        return had.get(pid, 0) if pid is not None else 0

    def log_size(self) -> int:
        """Bytes of Redis' log."""
        return sum(path.stat().st_size for path in self.redis.directory.rglob("*.incr.aof"))

    # -- what it says ------------------------------------------------------------------------------------------------

    async def counts(self, uid: str, cid: str) -> dict[str, int]:
        """Audio of a conversation, in samples at 48 kHz: received, stored, dead, deleted; the entries that still wait; ms of usage."""
        tag = f"{{{uid}/{cid}}}"
        async with self.client() as client:
            values: list[Any] = await client.hmget(f"td:conv:{tag}", ["in", "out", "dead", "deleted"])
            waiting = await client.xlen(f"td:audio:{tag}")
            used = 0
            async for key in client.scan_iter(f"td:usage:{{{uid}}}:*"):
                fields: dict[Any, Any] = await client.hgetall(key)
                used += sum(int(ms) for name, ms in fields.items() if name.startswith(f"{cid}/".encode()))
        received, stored, dead, deleted = (int(value or 0) for value in values)
        return {
            "received": received,
            "stored": stored,
            "dead": dead,
            "deleted": deleted,
            "entries": int(waiting),
            "used_ms": used,
        }

    async def lost_seconds(self) -> float:
        """`audio_lost_seconds_total` of the listen processes that live now."""
        async with httpx.AsyncClient(timeout=10) as http:
            text = (await http.get(f"{self.stack.facts['admin']['listen']}/metrics")).text
        rows = [row for row in text.splitlines() if row.startswith("tapedeck_audio_lost_seconds_total")]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows)
