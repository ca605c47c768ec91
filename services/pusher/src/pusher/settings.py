"""The pusher's settings."""

import os
import socket
from collections.abc import Iterator
from typing import Annotated

import msgspec

from audiobus.connection import wrong_address
from audiocodec.libopus import wrong_libopus
from audiostore.errors import KeyRingError
from audiostore.key_ring import KeySource
from audiostore.opening import wrong_addresses
from servicekit.groups import (
    AdminSettings,
    EncryptionSettings,
    ProcessSettings,
    RedisSettings,
    StoreSettings,
    TraceSettings,
)
from servicekit.parsers import number, text, whole
from servicekit.settings import Setting


class PusherSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Read once, at the start."""

    redis: RedisSettings
    store: StoreSettings
    encryption: EncryptionSettings
    admin: AdminSettings
    process: ProcessSettings
    traces: TraceSettings
    name: Annotated[
        str,
        Setting(
            "TAPEDECK_PUSHER_NAME",
            text,
            "who holds the leases; keep it over restarts, and unlike any other pusher's (default: host and process id)",
        ),
    ] = ""
    batch_seconds: Annotated[
        float,
        Setting("TAPEDECK_BATCH_SECONDS", number(1, 60), "seconds in a batch, and that audio waits at most"),
    ] = 60.0
    idle_seconds: Annotated[
        float,
        Setting(
            "TAPEDECK_IDLE_SECONDS",
            number(1, 3600),
            "a conversation that is silent so long is stored as it is",
        ),
    ] = 60.0
    at_once: Annotated[
        int, Setting("TAPEDECK_PUSHER_CONCURRENCY", whole(1, 1024), "conversations stored at the same time")
    ] = 32
    redis_high_water: Annotated[
        float,
        Setting(
            "TAPEDECK_REDIS_HIGH_WATER",
            number(0.1, 0.9),
            "share of Redis' maxmemory from which on what waits is stored early, the largest and oldest first",
        ),
    ] = 0.75
    lease_seconds: Annotated[
        float,
        Setting(
            "TAPEDECK_PUSHER_LEASE_SECONDS",
            number(1, 600),
            "after so long a dead pusher's work is taken over",
        ),
    ] = 30.0

    def mistakes(self, unknown: frozenset[str]) -> Iterator[str]:
        """What is wrong with the key ring itself, with addresses of Redis and stores, and with libopus."""
        if "redis.url" not in unknown:
            yield from wrong_address("TAPEDECK_REDIS_URL", self.redis.url)
        yield from wrong_addresses(self.store.addresses(unknown))
        yield from wrong_libopus()
        if "encryption" in unknown:
            return
        try:
            KeySource(self.encryption.keys_text, self.encryption.keys_file)
        except KeyRingError as error:
            yield f"{self.encryption.keys_variable}: {error}"

    @property
    def consumer(self) -> str:
        """The name in the consumer group and in the leases."""
        return self.name or f"{socket.gethostname()}-{os.getpid()}"
