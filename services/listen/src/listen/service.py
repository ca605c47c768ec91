"""The service as a whole: what it is made of, in which order it starts and ends."""

import asyncio
from importlib.metadata import version
from typing import Final

from audiobus import Bus, Hints, Writer
from audiobus.errors import BusError
from audiobus.redis_settings import complaints
from audiocodec import libopus
from listen.admission import Admission
from listen.app import ListenApp
from listen.backend import Backend
from listen.budget import Budget
from listen.door import Doorway
from listen.encoding import encoder_pool
from listen.handover import Handover
from listen.high_water import HighWater
from listen.http_side import HttpSide
from listen.late_usage import LateUsage
from listen.loss_watch import LossWatch
from listen.merge_news import MergeNews
from listen.metrics import ListenMetrics
from listen.places import Limits
from listen.reception import Reception
from listen.server import serving
from listen.session_rate import SessionRate
from listen.session_spans import SessionSpans
from listen.settings import ListenSettings
from listen.sockets import Sockets
from listen.tickets import Tickets
from listen.traced_writer import TracedWriter
from servicekit.admin import serve_admin
from servicekit.auth import UserTokens
from servicekit.bind import bind_socket
from servicekit.ending import end
from servicekit.health import Health
from servicekit.metrics import Metrics
from servicekit.stop import Stop
from servicekit.tracing import open_tracing

LAST_S: Final = 1.0
"""Of the drain time, kept for closing what is under the sockets."""
CLIENTS_S: Final = 0.2
"""Of that, for closing the connections to Redis and the like."""


async def start(settings: ListenSettings, stop: Stop) -> None:
    """Serves until `stop`, then brings every session into Redis and ends."""
    metrics = Metrics("listen", version("tapedeck-listen"))
    families = ListenMetrics(metrics)
    health = Health("redis")
    high_water = HighWater(settings.redis_high_water)
    budget = Budget(settings.max_waiting_mib * 1024 * 1024)
    sockets = Sockets(
        Limits(
            sockets=settings.max_sockets,
            of_user=settings.max_sockets_per_user,
            of_address=settings.max_sockets_per_address,
            handshakes=settings.max_handshakes,
        ),
        high_water.gate,
    )
    families.connections.set_function(lambda: sockets.places.admitted)
    families.handshakes.set_function(lambda: sockets.places.handshakes)
    families.strangers.set_function(lambda: len(sockets.strangers))
    families.waiting_bytes.set_function(lambda: budget.held_bytes)
    families.waiting_limit_bytes.set(budget.limit_bytes)
    families.redis_memory.set_function(lambda: high_water.share)
    public = bind_socket(settings.bind, reuse_port=True)
    admin = bind_socket(settings.admin.bind)
    libopus.load()
    tracing = open_tracing("listen", version("tapedeck-listen"), settings.traces.endpoint)
    redis = settings.redis
    async with (
        serve_admin(admin, health, metrics),
        Bus(
            redis.url, prefix=redis.prefix, partitions=redis.partitions, wait_replicas=redis.wait_replicas
        ) as bus,
        UserTokens(settings.auth, metrics, health) as tokens,
    ):
        tickets = Tickets(bus)
        admission = Admission(bus, tokens, tickets, settings.allowed_origins, settings.allowance)
        spans = SessionSpans(tracing)
        writer = TracedWriter(bus, spans) if tracing.on else Writer(bus)
        late_usage = LateUsage(writer, families)
        with encoder_pool() as encoders:
            backend = Backend(
                bus=bus,
                hints=Hints(bus),
                writer=writer,
                encoders=encoders,
                metrics=families,
                budget=budget,
                high_water=high_water,
                late_usage=late_usage,
                handover=Handover(),
                merge_news=MergeNews(bus),
                session_rate=SessionRate(settings.max_sessions_per_user),
                spans=spans,
            )
            reception = Reception(settings, backend, admission, sockets)
            http = HttpSide(
                ListenApp(admission, tickets, settings.trusted_proxies, families).asgi,
                limit=settings.max_handshakes,
                metrics=families,
            )
            doorway = Doorway(
                limit=settings.max_handshakes,
                proxies=settings.trusted_proxies,
                metrics=families,
                admit=reception.receive,
                take_http=http.take,
            )
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(writer.run(), name="writer")
                totalling = tasks.create_task(late_usage.run(), name="usage")
                watching = tasks.create_task(health.watch("redis", bus.ping), name="redis watch")
                advising = tasks.create_task(
                    health.advise("redis settings", lambda: complaints(bus), away=BusError),
                    name="redis settings",
                )
                measuring = tasks.create_task(high_water.watch(bus, health), name="redis memory")
                losses = LossWatch(bus, backend.former, families)
                missing = tasks.create_task(losses.run(), name="losses")
                merging = tasks.create_task(backend.merge_news.run(), name="merges")
                pulsing = tasks.create_task(sockets.pulse(), name="pulse")
                async with serving(public, doorway, http) as shut:
                    await stop.wait()
                    health.drain()
                    await shut()
                    await sockets.leave(max(0.0, stop.remaining_s() - LAST_S))
                await end([pulsing, watching, advising, measuring, missing, merging])
                # A Redis that hangs is waited for no longer than this process may live.
                await late_usage.close(totalling, stop.remaining_s() / 2)
                writer.close()
                await asyncio.wait({writing}, timeout=max(0.0, stop.remaining_s() - CLIENTS_S))
                await end([writing])
    await tracing.close(stop.remaining_s())
