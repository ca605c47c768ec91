"""A system that things happen to, and the Prometheus that looks at it: what the tests of the alerts cause faults with."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import redis

from tapedeck_testing.bucket_servers import GcsServer
from tapedeck_testing.free_ports import free_port
from tapedeck_testing.prometheus import Prometheus
from tapedeck_testing.protocol_client import ProtocolClient
from tapedeck_testing.queries import alerts
from tapedeck_testing.recordings import in_messages
from tapedeck_testing.stack import Stack

SECOND: Final = bytes(32_000)
HURRIED: Final = {"TAPEDECK_BATCH_SECONDS": "2", "TAPEDECK_IDLE_SECONDS": "2"}
WITHIN_S: Final = 150.0
"""For what hangs: an alert comes as fast as the machine lets its fault be seen."""


class Trial:
    """A stack over a bucket's server."""

    def __init__(self, folder: Path, stack: Stack, prometheus: Prometheus, gcs: GcsServer) -> None:
        self.stack = stack
        self.prometheus = prometheus
        self.gcs = gcs
        self.bucket = stack.facts["store"].removeprefix("gs://")
        self.redis = redis.Redis.from_url(stack.facts["redis"], socket_timeout=5)
        self._folder = folder

    def client(
        self,
        cid: str,
        seconds: int = 1,
        *,
        uid: str = "alice",
        token: str = "",
        pace_s: float = 0,
        address: str = "",
    ) -> ProtocolClient:
        """Who records so many seconds, in messages of 100 ms."""
        messages = in_messages(SECOND * seconds, 3_200)
        where = address or self.stack.facts["listen"]
        return ProtocolClient(
            where, token or self.stack.user_token(uid), cid, messages, codec="pcm16", pace_s=pace_s
        )

    async def fires(self, *names: str) -> None:
        """Until these fire."""
        assert set(names) <= alerts().keys()
        await asyncio.to_thread(
            self.prometheus.await_nothing, lambda: sorted(set(names) - self.prometheus.firing()), WITHIN_S
        )

    async def calm(self, *names: str) -> None:
        """Until none of these does."""
        assert set(names) <= alerts().keys()
        await asyncio.to_thread(
            self.prometheus.await_nothing, lambda: sorted(set(names) & self.prometheus.firing()), WITHIN_S
        )

    @contextmanager
    def redis_full(self) -> Iterator[None]:
        """Redis has taken nine tenths of its maxmemory and more, by what is not ours, and is as it was afterwards.

        So much lies there that what connections and buffers take, and give back a moment later, is nothing beside it. One short
        command makes it: one that carried it would fill such buffers itself.
        """
        before = self.redis.config_get("maxmemory")["maxmemory"] or 0
        self.redis.setrange("ballast", 64 << 20, b"x")
        try:
            self.redis.config_set("maxmemory", int(self.redis.info("memory")["used_memory"] / 0.95))
            yield
        finally:
            self.redis.config_set("maxmemory", before)
            self.redis.delete("ballast")

    @contextmanager
    def beside(self, service: str, **environ: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Another process of `listen` or `pusher`, as a pod of several, and scraped as one of them, whether or not it comes up."""
        admin = f"127.0.0.1:{free_port()}"
        settings = {
            "TAPEDECK_LISTEN_BIND": f"127.0.0.1:{free_port()}",
            "TAPEDECK_REDIS_URL": self.stack.facts["redis"],
            "TAPEDECK_ADMIN_BIND": admin,
            "TAPEDECK_STORE_URL": self.stack.facts["store"],
            **self.gcs.settings(),
            **environ,
        }
        with (self._folder / "beside.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", service], env={**os.environ, **settings}, stdout=log, stderr=log
            )
        try:
            with self.prometheus.scraping(service, admin):
                yield process
        finally:
            process.kill()
            process.wait(20)

    def started(self, job: str) -> set[float]:
        """When a process of it started, as Prometheus has seen it in the last second."""
        return set(self.prometheus.values(f'process_start_time_seconds{{job="{job}"}}', last_s=0))

    async def flush_on(self, cid: str) -> None:
        """Asks for it to be stored, again and again."""
        async with self.stack.http() as http:
            while True:
                await http.post(f"/v1/users/alice/conversations/{cid}:flush")
                await asyncio.sleep(0.2)

    async def get(self, path: str) -> int:
        """The status of a request."""
        async with self.stack.http() as http:
            return (await http.get(f"/v1/users/alice/conversations{path}")).status_code
