"""The pusher as a process: what is started, in which order, and how it ends.

Redis and the buckets may be away at the start, each by itself: it keeps trying. At SIGTERM it stops reading hints, finishes the conversations that
it works on within the drain time, gives the leases back, and only then closes its connections.
"""

import asyncio
import logging
from contextlib import suppress

from audiobus.bus import Bus
from audiobus.connection import open_client
from audiobus.errors import BusError
from audiobus.hints import Hints
from audiobus.redis_settings import complaints
from audiostore import OpenedLater
from audiostore.attempts import Patience
from audiostore.errors import KeyRingError, StoreError
from audiostore.key_ring import KeySource
from pusher import __version__, comeback
from pusher.batch_span import BatchSpans
from pusher.census import Census
from pusher.circuit_report import AGAIN_S, CHECKS, report
from pusher.cutter import Limits
from pusher.dispatch import Dispatch
from pusher.kept_back import KeptBack
from pusher.maker import Maker
from pusher.metrics import PusherMetrics
from pusher.mover import Mover
from pusher.pressure import Pressure
from pusher.prober import Prober
from pusher.reader import BLOCK_MS, Reader
from pusher.relief import Relief
from pusher.roles import Roles
from pusher.scheduler import Scheduler
from pusher.settings import PusherSettings
from pusher.worker import Worker, unix_ms
from servicekit.admin import serve_admin
from servicekit.bind import bind_socket, bound_to
from servicekit.collector import settle
from servicekit.ending import end
from servicekit.errors import KeySourceError
from servicekit.groups import EncryptionSettings, StoreSettings
from servicekit.health import Health
from servicekit.stop import Stop
from servicekit.tracing import open_tracing

log = logging.getLogger(__name__)

OPEN_EVERY_S = 1.0
"""Who looks whether a bucket is open yet; how often that is tried is the store's own rule."""
PATIENCE = Patience(begin_for_s=5.0)
"""Of one operation on a bucket: what fails longer is the circuit's and the schedule's to try again, and holds no slot meanwhile."""
KEYS_EVERY_S = 2.0
"""How often what is wrong about keys is brought to `/readyz`."""
LAST_WORDS_S = 1.0
"""Of the drain time: kept for closing what the work has used."""


async def start(settings: PusherSettings, stop: Stop) -> None:
    """Runs until `stop`, and then to an orderly end."""
    keys = _keys(settings.encryption)
    stores = _stores(settings.store)
    metrics = PusherMetrics()
    health = Health("redis", "store")
    bound = bind_socket(settings.admin.bind)
    tracing = open_tracing("pusher", __version__, settings.traces.endpoint)
    async with serve_admin(bound, health, metrics.process):
        log.info("started", extra={"admin": bound_to(bound).url(), "consumer": settings.consumer})
        bus = Bus(
            settings.redis.url,
            prefix=settings.redis.prefix,
            partitions=settings.redis.partitions,
            wait_replicas=settings.redis.wait_replicas,
        )
        maker = Maker(keys)
        try:
            async with bus:
                await _serve(settings, stop, bus, stores, maker, metrics, health, BatchSpans(tracing))
        finally:
            await maker.close()
            for store in stores.values():
                await store.close()
            await tracing.close(stop.remaining_s())


async def _serve(
    settings: PusherSettings,
    stop: Stop,
    bus: Bus,
    stores: dict[str, OpenedLater],
    maker: Maker,
    metrics: PusherMetrics,
    health: Health,
    spans: BatchSpans,
) -> None:
    hints = Hints(bus)
    lease_ms = int(settings.lease_seconds * 1000)
    batch_ms = int(settings.batch_seconds * 1000)
    limits = Limits(batch_ms=batch_ms, age_ms=batch_ms, idle_ms=int(settings.idle_seconds * 1000))
    relief = Relief(
        bus,
        hints,
        metrics,
        health,
        Pressure(settings.redis_high_water),
        settings.consumer,
        limits.early_ms,
        unix_ms,
    )
    worker = Worker(
        bus,
        hints,
        stores["first"],
        metrics,
        settings.consumer,
        limits,
        second=stores.get("second"),
        troubled_at_once=max(1, settings.at_once // 2),
        stopping=stop.is_set,
        early=relief.early,
        lease_ms=lease_ms,
        maker=maker,
        spans=spans,
    )
    relief.serving = lambda: worker.buckets.well or worker.buckets.second_serves
    scheduler = Scheduler(
        bus, hints, metrics, worker.unstored, lease_ms, batch_ms, unix_ms, early=relief.early
    )
    census = Census(bus, metrics.books, worker.unstored, settings.consumer)
    metrics.oldest_unstored.set_function(lambda: worker.unstored.age_seconds(unix_ms()))
    blocking = open_client(settings.redis.url, blocking_s=BLOCK_MS / 1000)
    try:
        async with asyncio.TaskGroup() as background:
            watching = [
                background.create_task(health.watch("redis", bus.ping), name="redis watch"),
                background.create_task(
                    health.advise("redis settings", lambda: complaints(bus), away=BusError),
                    name="redis settings",
                ),
                background.create_task(
                    health.advise(
                        "keys",
                        lambda: _about_keys(maker.keys, worker.kept_back),
                        away=KeyRingError,
                        every_s=KEYS_EVERY_S,
                    ),
                    name="keys",
                ),
            ]
            async with asyncio.TaskGroup() as work:
                dispatch = Dispatch(
                    work,
                    worker.drain,
                    hints.done,
                    at_once=settings.at_once,
                    wished=worker.retries.hurry,
                    put_off=worker.put_off,
                )
                worker.lending = dispatch.lending
                work.create_task(scheduler.run(stop), name="scheduler")
                work.create_task(relief.run(stop), name="relief")
                work.create_task(
                    metrics.redis.run(bus, lambda: worker.unstored.speaks, stop), name="redis figures"
                )
                work.create_task(census.run(stop), name="census")
                for name, store in stores.items():
                    work.create_task(_keep_opening(store, CHECKS[name], stop), name=f"opening the {name}")
                roles = _roles(bus, settings.store)
                work.create_task(
                    report(health, worker.buckets, stop, lambda name: _complaint(stores, roles, name)),
                    name="circuit report",
                )
                work.create_task(
                    comeback.run(worker.buckets, worker.retries, hints, unix_ms, stop), name="comeback"
                )
                work.create_task(Prober(worker.buckets).run(stop), name="prober")
                mover = Mover(bus, worker.buckets, maker.keys, metrics, settings.consumer, roles)
                work.create_task(mover.run(stop), name="mover")
                for partition in range(bus.keys.partitions):
                    reader = Reader(
                        hints,
                        blocking,
                        dispatch,
                        metrics,
                        partition,
                        settings.consumer,
                        lease_ms,
                        lost=scheduler.lost,
                    )
                    work.create_task(reader.run(stop), name=f"reader {partition}")
                settle()
                await stop.wait()
                health.drain()
                await dispatch.close(max(0.0, stop.remaining_s() - LAST_WORDS_S))
            await end(watching)
    finally:
        await blocking.aclose()


def _keys(settings: EncryptionSettings) -> KeySource:
    try:
        return KeySource(settings.keys_text, settings.keys_file)
    except KeyRingError as error:
        # It was a ring when the settings were read: the file has changed since.
        raise KeySourceError(f"{settings.keys_variable}: {error}") from error


async def _about_keys(keys: KeySource, kept_back: KeptBack) -> list[str]:
    """What an operator must hear about keys; nothing where all is well, or no user wants sealing."""
    await asyncio.to_thread(keys.ring)  # it may read the file
    found = kept_back.complaints(unix_ms())
    return [f"the keys stay as they were: {keys.complaint}", *found] if keys.complaint else found


def _stores(settings: StoreSettings) -> dict[str, OpenedLater]:
    """The first bucket, and the second where there is one, neither of them open yet."""
    stores = {"first": OpenedLater(settings.url, PATIENCE)}
    if settings.fallback_url is not None:
        stores["second"] = OpenedLater(settings.fallback_url, PATIENCE)
    return stores


def _roles(bus: Bus, settings: StoreSettings) -> Roles | None:
    """Of the two buckets; None where there is one."""
    return None if settings.fallback_url is None else Roles(bus, settings.url, settings.fallback_url)


def _complaint(stores: dict[str, OpenedLater], roles: Roles | None, name: str) -> str:
    """What is wrong with the bucket of this name that its circuit does not tell."""
    swapped = roles.complaint if roles is not None and name == "second" else ""
    return stores[name].complaint or swapped


async def _keep_opening(store: OpenedLater, check: str, stop: Stop) -> None:
    """Opens it as soon as that is possible, though nobody may ask it for long; the other one serves meanwhile."""
    clock = asyncio.get_running_loop()
    tell_at = clock.time()
    while not stop.is_set():
        try:
            await store.open()
        except StoreError as error:
            if clock.time() >= tell_at:
                tell_at = clock.time() + AGAIN_S
                log.critical("the %s cannot be opened: trying again", check, extra={"error": str(error)})
        else:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), OPEN_EVERY_S)
