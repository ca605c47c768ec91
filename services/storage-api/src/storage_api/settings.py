"""The settings of storage-api, read from the environment once."""

from collections.abc import Iterator
from typing import Annotated

import msgspec

from audiobus.connection import wrong_address
from audiocodec.libopus import wrong_libopus
from audiostore.errors import KeyRingError
from audiostore.key_ring import KeySource
from audiostore.opening import wrong_addresses
from servicekit.bind import Bind
from servicekit.groups import (
    AdminSettings,
    ApiAuthSettings,
    EncryptionSettings,
    ProcessSettings,
    RedisSettings,
    StoreSettings,
    TraceSettings,
    same_address,
)
from servicekit.parsers import whole
from servicekit.settings import Setting


class StorageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What storage-api needs to know."""

    redis: RedisSettings
    store: StoreSettings
    encryption: EncryptionSettings
    auth: ApiAuthSettings
    admin: AdminSettings
    process: ProcessSettings
    traces: TraceSettings
    bind: Annotated[
        Bind,
        Setting(
            "TAPEDECK_STORAGE_BIND",
            Bind.parse,
            "host:port of the storage API and the console",
            default_in_dev=Bind("127.0.0.1", 8081),
        ),
    ] = Bind("0.0.0.0", 8081)  # noqa: S104 - clients come from other machines
    opus_bitrate: Annotated[
        int,
        Setting(
            "TAPEDECK_OPUS_BITRATE", whole(6_000, 128_000), "bit/s for older audio that is asked for as ogg"
        ),
    ] = 24_000
    opus_complexity: Annotated[
        int, Setting("TAPEDECK_OPUS_COMPLEXITY", whole(0, 10), "0 (fast) to 10 (best), for the same")
    ] = 10
    daily_limit_ms: Annotated[
        int,
        Setting(
            "TAPEDECK_DAILY_LIMIT_MS",
            whole(0),
            "ms of audio a UTC day, for users who have no limit of their own; 0 sets no limit",
        ),
    ] = 0

    def mistakes(self, unknown: frozenset[str]) -> Iterator[str]:
        """What is wrong with the key ring itself, with addresses of Redis and stores, with the two ports together, and with libopus."""
        if "redis.url" not in unknown:
            yield from wrong_address("TAPEDECK_REDIS_URL", self.redis.url)
        yield from wrong_addresses(self.store.addresses(unknown))
        if unknown.isdisjoint({"bind", "admin"}):
            yield from same_address("TAPEDECK_STORAGE_BIND", self.bind, self.admin)
        yield from wrong_libopus()
        if "encryption" in unknown:
            return
        try:
            KeySource(self.encryption.keys_text, self.encryption.keys_file)
        except KeyRingError as error:
            yield f"{self.encryption.keys_variable}: {error}"
