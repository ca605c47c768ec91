"""The life of the service: connections opened, ports served, everything closed in order."""

import asyncio
import logging
from importlib.metadata import version
from typing import Final

from audiobus import Bus
from audiobus.errors import BusError
from audiobus.redis_settings import complaints
from audiostore import open_stores
from servicekit.admin import serve_admin
from servicekit.auth import UserTokens
from servicekit.bind import bind_socket, bound_to
from servicekit.collector import settle
from servicekit.ending import end
from servicekit.errors import KeySourceError
from servicekit.health import Health
from servicekit.http import serve
from servicekit.metrics import Metrics
from servicekit.service_tokens import ServiceTokens
from servicekit.stop import Stop
from servicekit.tracing import open_tracing
from storage_api.access import Access
from storage_api.app import build_app
from storage_api.bucket import Bucket
from storage_api.downloads import Downloads
from storage_api.keys import Keys
from storage_api.kinds import kinds_of
from storage_api.metrics import StorageMetrics
from storage_api.older_stream import Encoding
from storage_api.operations.runner import Runner
from storage_api.operations.tally import Tally
from storage_api.patience import PATIENCE
from storage_api.routes import TABLE
from storage_api.services import Services
from storage_api.settings import StorageSettings
from storage_api.workers import Workers

log = logging.getLogger(__name__)

KEYS_EVERY_S: Final = 2.0
"""How often what is wrong about keys is brought to `/readyz`."""


async def run(settings: StorageSettings, stop: Stop) -> None:
    """Serves until `stop`."""
    public = bind_socket(settings.bind, reuse_port=True)
    admin = bind_socket(settings.admin.bind)
    where = {
        "bind": str(bound_to(public)),
        "admin": str(bound_to(admin)),
    }  # the servers take the sockets over
    metrics = Metrics("storage-api", version("tapedeck-storage-api"))
    tracing = open_tracing("storage-api", version("tapedeck-storage-api"), settings.traces.endpoint)
    families = StorageMetrics(metrics, TABLE)
    # Redis or the bucket away is a warning here, not unready: what is stored is served without the one; without the other
    # clients get 503 with `Retry-After`, settings and the console, where Kubernetes would refuse their connections to all pods.
    health = Health("store")
    users = UserTokens(settings.auth, metrics, health)
    tokens = ServiceTokens(settings.auth.service_tokens_file)
    store = open_stores(settings.store.url, settings.store.fallback_url, PATIENCE)
    workers = Workers()
    bus = Bus(
        settings.redis.url,
        prefix=settings.redis.prefix,
        partitions=settings.redis.partitions,
        wait_replicas=settings.redis.wait_replicas,
    )
    keys = Keys.of(settings.encryption)
    bucket = Bucket(store, families, workers, keys)
    encoding = Encoding(settings.opus_bitrate, settings.opus_complexity)
    services = Services(
        bus,
        bucket,
        Access(users, tokens),
        families,
        workers,
        Downloads(families),
        encoding,
        settings.daily_limit_ms,
        settings.store.url,
    )
    try:
        async with serve_admin(admin, health, metrics), users, asyncio.TaskGroup() as tasks:
            watching = [
                tasks.create_task(health.watch("store", bucket.ping, needed="to begin"), name="store watch"),
                tasks.create_task(watch_redis(health, bus), name="redis watch"),
                tasks.create_task(
                    health.advise("redis settings", lambda: complaints(bus), away=BusError),
                    name="redis settings",
                ),
                tasks.create_task(
                    health.advise("keys", keys.complaints, away=KeySourceError, every_s=KEYS_EVERY_S),
                    name="keys watch",
                ),
                tasks.create_task(Tally(bus, families).run(), name="operations tally"),
            ]
            runner = Runner(bus, kinds_of(services), begun=services.operation_begun)
            operating = tasks.create_task(runner.run(), name="operations")
            watching.append(tasks.create_task(_drain(health, stop, operating), name="drain"))
            settle()
            log.info("serving", extra=where)
            await serve(build_app(services, tracing), public, stop)
            await end([operating, *watching])
    finally:
        workers.close()
        await bus.close()
        await store.close()
        await tracing.close(stop.remaining_s())


async def watch_redis(health: Health, bus: Bus, every_s: float = 5.0) -> None:
    """Reports how Redis is: a warning where it is away, because the stored part is served all the same."""
    while True:
        try:
            await bus.ping()
        except BusError as error:
            health.warn("redis", f"the live tail is not in the answers: {error}")
        else:
            health.ok("redis")
        await asyncio.sleep(every_s)


async def _drain(health: Health, stop: Stop, operating: asyncio.Task[None]) -> None:
    """Operations are another process' from the first moment on: requests under way may take all of the time that is left."""
    await stop.wait()
    health.drain()
    await end([operating])
