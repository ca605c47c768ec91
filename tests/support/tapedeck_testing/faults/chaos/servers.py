"""The Redis of a run: one server, a master with a replica and three sentinels, or three masters; each behind a relay.

Owns the processes and their relays. What services connect to are always the relays: servers announce them as their own addresses, so that
sentinels and clusters send clients there too.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import Any, Final, cast

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from tapedeck_testing.faults.relay import Relay
from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.redis_process import RedisProcess, join_cluster

SERVICE: Final = "tape"
SETTLE_S: Final = 40.0
TIMEOUT_S: Final = 2.0
PERIODS: Final = ("INFO-PERIOD", 1_000, "PING-PERIOD", 300, "ASK-PERIOD", 300, "PUBLISH-PERIOD", 500)
"""ms. A former master is made a replica four publications after it came back: 2 s instead of 8."""
CLUSTER_BUS: Final = 10_000
"""How far a cluster node's second port lies above its first."""


class Configured(RedisProcess):
    """A server with a file of its own settings, into which sentinels write whose replica it is."""

    def __init__(self, binary: str, directory: Path, lines: list[str], *, sentinel: bool = False) -> None:
        super().__init__(binary, directory)
        directory.mkdir(parents=True, exist_ok=True)
        settings = directory / "server.conf"
        settings.write_text(
            "\n".join([f"port {self.port}", "bind 127.0.0.1", f"dir {directory}", *lines, ""]),
            encoding="utf-8",
        )
        self._command = [binary, str(settings), *(["--sentinel"] if sentinel else [])]


class Servers:
    """One server, and what all topologies have in common."""

    def __init__(self, directory: Path, *, fsync: str = "always") -> None:
        self.directory = directory
        self.fsync = fsync
        self.relays: list[Relay] = []
        self.nodes: list[RedisProcess] = []
        self.alone: list[RedisProcess] = []
        """Those that hold no data: sentinels."""

    async def start(self) -> None:
        """Starts everything; returns when it works."""
        await self._relay_before()
        node = RedisProcess(any_server(), self.directory / "redis", options=("--appendfsync", self.fsync))
        self.nodes.append(node)
        self.relays[0].retarget(node.port)
        await asyncio.to_thread(node.start)

    async def stop(self) -> None:
        """Ends everything."""
        for relay in self.relays:
            await relay.stop()
        for process in (*self.alone, *self.nodes):
            process.stop()

    @property
    def url(self) -> str:
        """What services are told."""
        return f"redis://127.0.0.1:{self.relays[0].port}"

    async def masters(self) -> list[int]:
        """Which nodes are masters now; all that answer where that is not known."""
        return list(range(len(self.nodes)))

    def client(self, node: int, *, timeout_s: float = TIMEOUT_S) -> "redis.asyncio.Redis":
        """A client of one node, past its relay."""
        return redis.asyncio.Redis(
            port=self.nodes[node].port,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=AsyncRetry(NoBackoff(), 0),
        )

    async def ask(self, node: int, *args: str | bytes | int, timeout_s: float = TIMEOUT_S) -> Any:
        """One command to one node, past its relay. RedisError, OSError."""
        async with self.client(node, timeout_s=timeout_s) as client:
            return await cast("Any", client.execute_command(*args))

    async def answers(self, node: int, within_s: float) -> bool:
        """Whether a node answers a ping."""
        try:
            await self.ask(node, "PING", timeout_s=within_s)
        except (redis.RedisError, OSError):
            return False
        return True

    async def leases(self) -> dict[str, str]:
        """Who holds which conversation (its tag) now. RedisError, OSError."""
        found: dict[str, str] = {}
        for node in await self.masters():
            async with self.client(node) as client:
                keys = [key async for key in client.scan_iter("td:lease:*", count=1000)]
                for key in keys:
                    with contextlib.suppress(redis.ResponseError):  # a slot that is on its way
                        holder = await client.get(key)
                        if isinstance(holder, bytes):
                            found[key.decode().removeprefix("td:lease:")] = holder.decode()
        return found

    async def _relay_before(self) -> Relay:
        relay = await Relay("127.0.0.1", 0).start()
        self.relays.append(relay)
        return relay


class SentinelServers(Servers):
    """A master and a replica, and three sentinels of which two must agree."""

    async def start(self) -> None:
        """See Servers."""
        for number in range(2):
            relay = await self._relay_before()
            lines = [
                *("appendonly yes", f"appendfsync {self.fsync}", 'save ""', "maxmemory-policy noeviction"),
                *("repl-diskless-sync-delay 0", "repl-timeout 10", "repl-ping-replica-period 1"),
                *("replica-announce-ip 127.0.0.1", f"replica-announce-port {relay.port}"),
                *([f"replicaof 127.0.0.1 {self.relays[0].port}"] if number else []),
            ]
            node = Configured(any_server(), self.directory / f"redis{number}", lines)
            relay.retarget(node.port)
            self.nodes.append(node)
            await asyncio.to_thread(node.start)
        for number in range(3):
            lines = [
                f"sentinel monitor {SERVICE} 127.0.0.1 {self.relays[0].port} 2",
                f"sentinel down-after-milliseconds {SERVICE} 1500",
                f"sentinel failover-timeout {SERVICE} 6000",
            ]
            one = Configured(any_server(), self.directory / f"sentinel{number}", lines, sentinel=True)
            self.alone.append(one)
            await asyncio.to_thread(one.start)
            await self._hurry(one)
        await self.until_whole(SETTLE_S)

    @property
    def url(self) -> str:
        """See Servers."""
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.alone)
        return f"redis+sentinel://{hosts}/{SERVICE}"

    async def master(self) -> int:
        """Which node the sentinels call the master. RedisError, OSError."""
        async with redis.asyncio.Redis(
            port=self.alone[0].port, socket_timeout=TIMEOUT_S, retry=AsyncRetry(NoBackoff(), 0)
        ) as client:
            answer = await cast("Any", client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE))
        return [relay.port for relay in self.relays].index(int(answer[1]))

    async def masters(self) -> list[int]:
        """See Servers."""
        return [await self.master()]

    async def order_failover(self) -> None:
        """Asks a sentinel to change the master. RedisError where it refuses."""
        async with redis.asyncio.Redis(
            port=self.alone[0].port, socket_timeout=TIMEOUT_S, retry=AsyncRetry(NoBackoff(), 0)
        ) as client:
            await cast("Any", client.execute_command("SENTINEL", "FAILOVER", SERVICE))

    async def until_whole(self, within_s: float) -> bool:
        """Waits until the sentinels agree and the master has a replica in step; False where that did not come about."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not await self._whole():
                    await asyncio.sleep(0.1)
                return True
        return False

    @staticmethod
    async def _hurry(one: RedisProcess) -> None:
        """Has a sentinel look at everything more often than its colleagues in the field do, where it can (Redis 7)."""
        async with redis.asyncio.Redis(
            port=one.port, socket_timeout=TIMEOUT_S, retry=AsyncRetry(NoBackoff(), 0)
        ) as client:
            with contextlib.suppress(redis.ResponseError):
                await cast("Any", client.execute_command("SENTINEL", "DEBUG", *PERIODS))

    async def _whole(self) -> bool:
        try:
            master = await self.master()
            role = await self.ask(master, "ROLE")
            agreed = [
                await asyncio.to_thread(self._agrees, one, self.relays[master].port) for one in self.alone
            ]
        except (redis.RedisError, OSError, ValueError):
            return False
        return role[0] == b"master" and len(role[2]) == 1 and all(agreed)

    @staticmethod
    def _agrees(one: RedisProcess, master_port: int) -> bool:
        """Whether a sentinel knows the two others, that master, and a replica that says it is one and follows."""
        with redis.Redis(port=one.port, socket_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)) as client:
            master = _fields(cast("Any", client.execute_command("SENTINEL", "MASTER", SERVICE)))
            replicas = [
                _fields(row) for row in cast("Any", client.execute_command("SENTINEL", "REPLICAS", SERVICE))
            ]
        return (
            (master["port"], master["flags"]) == (str(master_port), "master")
            and master["num-other-sentinels"] == "2"
            and len(replicas) == 1
            and replicas[0]["flags"] == replicas[0]["role-reported"] == "slave"
            and replicas[0]["master-link-status"] == "ok"
        )


class ClusterServers(Servers):
    """Three masters that share the slots."""

    async def start(self) -> None:
        """See Servers."""
        for number in range(3):
            relay = await self._relay_before()
            node = RedisProcess(
                any_server(),
                self.directory / f"node{number}",
                cluster=True,
                options=(
                    *("--appendfsync", self.fsync),
                    *("--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", str(relay.port)),
                ),
            )
            node.add_options("--cluster-announce-bus-port", str(node.port + CLUSTER_BUS))
            relay.retarget(node.port)
            self.nodes.append(node)
            await asyncio.to_thread(node.start)
        await asyncio.to_thread(join_cluster, self.nodes)

    @property
    def url(self) -> str:
        """See Servers."""
        return f"redis+cluster://127.0.0.1:{self.relays[0].port}"


def _fields(rows: Any) -> dict[str, str]:
    pairs = rows.items() if isinstance(rows, dict) else zip(rows[::2], rows[1::2], strict=True)
    return {_text(name): _text(value) for name, value in pairs}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
