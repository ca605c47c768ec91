"""The settings of listen: one struct, read from the environment once."""

from collections.abc import Iterator
from typing import Annotated

import msgspec

from audiobus.connection import wrong_address
from audiocodec.libopus import wrong_libopus
from listen.allowance import Allowance, Policy
from listen.origins import origins
from listen.proxies import TrustedProxies
from listen.session_rate import SESSIONS_MOST
from servicekit.bind import Bind
from servicekit.groups import (
    AdminSettings,
    AuthSettings,
    ProcessSettings,
    RedisSettings,
    TraceSettings,
    same_address,
)
from servicekit.parsers import number, one_of, whole
from servicekit.settings import Setting


class ListenSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What listen is told."""

    redis: RedisSettings
    auth: AuthSettings
    admin: AdminSettings
    process: ProcessSettings
    traces: TraceSettings
    bind: Annotated[
        Bind,
        Setting(
            "TAPEDECK_LISTEN_BIND",
            Bind.parse,
            "host:port where clients connect",
            default_in_dev=Bind("127.0.0.1", 8080),
        ),
    ] = Bind("0.0.0.0", 8080)  # noqa: S104 - clients come from other machines
    chunk_ms: Annotated[
        int, Setting("TAPEDECK_CHUNK_MS", whole(100, 5_000), "ms of audio in an entry of the buffer")
    ] = 1_000
    batch_seconds: Annotated[
        float,
        Setting(
            "TAPEDECK_BATCH_SECONDS",
            number(1, 60),
            "seconds in a batch: the pusher is told when so much waits",
        ),
    ] = 60.0
    idle_seconds: Annotated[
        float,
        Setting(
            "TAPEDECK_IDLE_SECONDS",
            number(1, 3600),
            "a conversation that is silent so long is stored: by then the pusher looks",
        ),
    ] = 60.0
    opus_bitrate: Annotated[
        int,
        Setting(
            "TAPEDECK_OPUS_BITRATE",
            whole(6_000, 128_000),
            "bit/s a channel, for all but Opus packets of one channel, which are kept",
        ),
    ] = 24_000
    opus_complexity: Annotated[
        int, Setting("TAPEDECK_OPUS_COMPLEXITY", whole(0, 10), "0 (fast) to 10 (best), for the same")
    ] = 10
    allowed_origins: Annotated[
        tuple[str, ...],
        Setting(
            "TAPEDECK_ALLOWED_ORIGINS",
            origins,
            "origins of web pages that may connect, as https://app.example.com, with commas",
        ),
    ] = ()
    trusted_proxies: Annotated[
        TrustedProxies,
        Setting(
            "TAPEDECK_TRUSTED_PROXIES",
            TrustedProxies.parse,
            "networks of proxies whose X-Forwarded-For is believed, as 10.0.0.0/8, with commas",
        ),
    ] = TrustedProxies()
    max_sockets: Annotated[int, Setting("TAPEDECK_MAX_SOCKETS", whole(1), "sockets of a process")] = 5_000
    max_sockets_per_user: Annotated[
        int, Setting("TAPEDECK_MAX_SOCKETS_PER_USER", whole(1), "sockets of a user, in a process")
    ] = 20
    max_sessions_per_user: Annotated[
        int,
        Setting(
            "TAPEDECK_MAX_SESSIONS_PER_USER",
            whole(1),
            "fresh sessions that a user may begin at once, and again within two minutes, in a process",
        ),
    ] = SESSIONS_MOST
    max_sockets_per_address: Annotated[
        int,
        Setting(
            "TAPEDECK_MAX_SOCKETS_PER_ADDRESS",
            whole(0),
            "sockets of an address (of IPv6, a /64 network), in a process; 0 sets no limit",
        ),
    ] = 0
    max_handshakes: Annotated[
        int, Setting("TAPEDECK_MAX_HANDSHAKES", whole(1), "handshakes under way, in a process")
    ] = 1_000
    max_waiting_mib: Annotated[
        int,
        Setting(
            "TAPEDECK_MAX_WAITING_MIB",
            whole(16),
            "MiB that may wait for Redis in all sockets of a process; beyond, those that hold most are not read",
        ),
    ] = 256
    redis_high_water: Annotated[
        float,
        Setting(
            "TAPEDECK_REDIS_HIGH_WATER",
            number(0.1, 0.9),
            "share of Redis' maxmemory from which on health warns; from 0.9 on new sockets are refused",
        ),
    ] = 0.75
    daily_limit_ms: Annotated[
        int,
        Setting(
            "TAPEDECK_DAILY_LIMIT_MS",
            whole(0),
            "ms of audio a UTC day, for users who have no limit of their own; 0 sets no limit",
        ),
    ] = 0
    limit_policy: Annotated[
        str,
        Setting(
            "TAPEDECK_LIMIT_POLICY",
            one_of("warn", "reject"),
            "what becomes of who is over the daily limit: `warn` tells them, `reject` refuses their audio",
        ),
    ] = "warn"
    usage_seconds: Annotated[
        float,
        Setting(
            "TAPEDECK_USAGE_SECONDS",
            number(0.1, 60),
            "seconds between two looks of a socket at its user's settings, which write what was used",
        ),
    ] = 55.0

    def mistakes(self, unknown: frozenset[str]) -> Iterator[str]:
        """What is wrong with the address of Redis, with the two ports together, and with libopus."""
        if "redis.url" not in unknown:
            yield from wrong_address("TAPEDECK_REDIS_URL", self.redis.url)
        if unknown.isdisjoint({"bind", "admin"}):
            yield from same_address("TAPEDECK_LISTEN_BIND", self.bind, self.admin)
        yield from wrong_libopus()

    @property
    def allowance(self) -> Allowance:
        """The rules of this process for its users."""
        policy: Policy = "reject" if self.limit_policy == "reject" else "warn"
        return Allowance(self.daily_limit_ms, policy, int(self.usage_seconds * 1_000))
