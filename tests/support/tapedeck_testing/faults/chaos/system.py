"""The whole system under chaos: its Redis, its bucket, and `tapedeck up` with several processes of each kind.

Owns what is started and in which order. What is done to it stands in `on_redis`, `on_processes` and the others.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import Final

from audiobus import Bus
from tapedeck_testing.faults.chaos.options import DRAIN_S, LEASE_S, ChaosOptions
from tapedeck_testing.faults.chaos.processes import alive, ports_of
from tapedeck_testing.faults.chaos.servers import ClusterServers, SentinelServers, Servers
from tapedeck_testing.faults.chaos.shelf import FileShelf, GcsShelf
from tapedeck_testing.stack import Stack

TOPOLOGIES: Final = {"single": Servers, "sentinel": SentinelServers, "cluster": ClusterServers}
COMPONENTS: Final = ("listen", "pusher", "storage_api")


class System:
    """Everything that runs."""

    def __init__(self, options: ChaosOptions, directory: Path) -> None:
        self.options = options
        self.directory = directory
        self.servers = TOPOLOGIES[options.topology](directory / "redis", fsync=options.soak.fsync)
        self.shelf: GcsShelf | FileShelf
        if options.store == "gcs":
            self.shelf = GcsShelf(directory, seed=options.soak.seed, fallback=options.fallback)
        else:
            self.shelf = FileShelf(directory)
        self.stack: Stack
        self.bus: Bus

    async def start(self) -> "System":
        """Starts everything; returns when it answers."""
        await self.servers.start()
        await self.shelf.start()
        options = self.options
        fallback = self.shelf.fallback_url
        environ = {
            "TAPEDECK_BATCH_SECONDS": str(options.soak.batch_seconds),
            "TAPEDECK_DRAIN_SECONDS": str(DRAIN_S),
            "TAPEDECK_PUSHER_LEASE_SECONDS": str(LEASE_S),
            "TAPEDECK_OPUS_COMPLEXITY": "2",
            "TAPEDECK_MAX_SOCKETS_PER_USER": "200",  # half-open ones hold their places for 90 s
            **({"TAPEDECK_REDIS_WAIT_REPLICAS": "1"} if options.topology == "sentinel" else {}),
            **({"TAPEDECK_FALLBACK_STORE_URL": fallback} if fallback else {}),
            **self.shelf.environ(),
        }
        self.bus = Bus(self.servers.url)
        self.stack = Stack(
            self.directory / "stack",
            *("--redis-url", self.servers.url, "--store", self.shelf.url),
            *("--listen-workers", str(options.listens), "--pushers", str(options.pushers)),
            environ=environ,
        )
        await asyncio.to_thread(self.stack.start)
        return self

    async def stop(self) -> None:
        """Ends everything."""
        with contextlib.suppress(AttributeError):  # it never came so far
            await asyncio.to_thread(self.stack.stop)
        with contextlib.suppress(AttributeError):
            await self.bus.close()
        await self.servers.stop()
        await self.shelf.stop()

    @property
    def address(self) -> tuple[str, int]:
        """Where devices connect."""
        host, port = self.stack.facts["listen"].removeprefix("ws://").rsplit(":", 1)
        return host, int(port)

    def pids(self, component: str) -> list[int]:
        """The processes of `listen`, `pusher` or `storage_api` that live now."""
        found: list[int] = self.stack.facts["pids"].get(component, [])
        return [pid for pid in found if alive(pid)]

    def ports(self) -> set[int]:
        """The ports from which processes of the system speak now: not our own, nor those of sentinels and replicas."""
        return {port for component in COMPONENTS for pid in self.pids(component) for port in ports_of(pid)}

    def log(self, name: str) -> Path:
        """The log of one process: `pusher-1`."""
        return self.directory / "stack" / "data" / "logs" / f"{name}.log"
