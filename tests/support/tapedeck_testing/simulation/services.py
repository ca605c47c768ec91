"""The processes of a world: listeners, pushers and readers, made of the product's own parts as its services put them together.

Owns the wiring, as `listen.service`, `pusher.service` and `storage_api.running` have it, without sockets, signals, health and admin ports.
"""

from __future__ import annotations

import asyncio
import base64
import random
from contextlib import ExitStack
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, cast

from audiobus import Bus, Hints, Writer
from audiostore.key_ring import KeySource
from audiostore.paired_store import PairedStore
from listen.audio_format import AudioFormat
from listen.backend import Backend
from listen.budget import Budget
from listen.connection import Connection
from listen.encoding import SocketEncoder
from listen.errors import RefusedError
from listen.handover import Handover
from listen.high_water import HighWater
from listen.late_usage import LateUsage
from listen.merge_news import MergeNews
from listen.metrics import ListenMetrics
from listen.places import Limits as PlaceLimits
from listen.sockets import Sockets
from listen.terms import Terms
from pusher import comeback
from pusher.census import Census
from pusher.cutter import Limits
from pusher.dispatch import Dispatch
from pusher.maker import Maker
from pusher.metrics import PusherMetrics
from pusher.mover import Mover
from pusher.pressure import Pressure
from pusher.prober import Prober
from pusher.reader import Reader
from pusher.relief import Relief
from pusher.retries import Retries
from pusher.scheduler import Scheduler
from pusher.worker import Worker, unix_ms
from servicekit.health import Health
from servicekit.metrics import Metrics
from servicekit.stop import Stop
from storage_api.bucket import Bucket as ApiBucket
from storage_api.keys import Keys
from storage_api.metrics import StorageMetrics
from storage_api.recording import Recordings
from storage_api.workers import Workers
from tapedeck_testing.simulation.bucket import Bucket, WorldStore
from tapedeck_testing.simulation.client import Client
from tapedeck_testing.simulation.tape import LEAD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from audiostore.store import Store
    from listen.recording import Dialect
    from tapedeck_testing.simulation.chance import Chance
    from tapedeck_testing.simulation.counting import Counting
    from tapedeck_testing.simulation.line import Line
    from tapedeck_testing.simulation.server import Server
    from tapedeck_testing.simulation.tape import Tape
    from tapedeck_testing.simulation.virtual_loop import Process, VirtualLoop

OPUS: Final = AudioFormat("opus", 16_000, 1, LEAD)
PCM: Final = AudioFormat("pcm16", 16_000, 1, LEAD)
DRAIN_S: Final = 3.0
KEYS: Final = f"k1:{base64.b64encode(bytes(range(32))).decode()}"
"""A ring of one key, for users whose audio is sealed."""


@cache
def listen_metrics() -> ListenMetrics:
    """One for all worlds: nothing here is judged by them, and they cost a thousand times what a message costs."""
    return ListenMetrics(Metrics("listen", version("tapedeck-listen")))


@cache
def pusher_metrics() -> PusherMetrics:
    """The same."""
    return PusherMetrics()


@cache
def storage_metrics() -> StorageMetrics:
    """The same."""
    return StorageMetrics(Metrics("storage-api", version("tapedeck-storage-api")))


class Ordered(dict[Any, None]):
    """A set in the order in which its members came: objects have another place in memory in each run."""

    def add(self, member: object) -> None:
        self[member] = None

    def discard(self, member: object) -> None:
        self.pop(member, None)

    def __iter__(self) -> Iterator[Any]:
        return iter([*self.keys()])


class Batches:
    """How a world cuts: all times are a small part of the real ones, so that much happens in little of it."""

    def __init__(self, dice: random.Random) -> None:
        self.chunk_ms = dice.choice((240, 500, 1000))
        self.batch_ms = dice.choice((1500, 3000, 6000))
        self.idle_ms = dice.choice((2500, 6000))
        self.lease_ms = dice.choice((3000, 8000))
        self.due_ms = dice.choice((2000, 6000))


def make_bus(server: Server, wait_replicas: int) -> Bus:
    """A bus over the world's Redis."""
    bus = Bus("redis://world", wait_replicas=wait_replicas)
    bus.client = cast("Any", Client(server))
    return bus


class Listener:
    """One process of listen."""

    def __init__(
        self, loop: VirtualLoop, process: Process, server: Server, batches: Batches, wait_replicas: int
    ) -> None:
        self.loop = loop
        self.process = process
        self._server = server
        self._batches = batches
        self._wait_replicas = wait_replicas
        self._sockets: Sockets | None = None
        self._backend: Backend | None = None
        self.stop: Stop | None = None
        self.lines: list[Line] = []

    @property
    def takes(self) -> bool:
        """Whether its port is open."""
        return self._sockets is not None and not self._sockets.leaving and not self.process.dead

    async def run(self) -> None:
        """As `listen.service.start`."""
        metrics = listen_metrics()
        bus = make_bus(self._server, self._wait_replicas)
        writer = Writer(bus)
        late_usage = LateUsage(writer, metrics)
        high_water = HighWater(0.75)
        sockets = Sockets(PlaceLimits())
        cast("Any", sockets)._connections = Ordered()
        self.stop = Stop(DRAIN_S)
        merge_news = MergeNews(bus)
        self._backend = Backend(
            bus=bus,
            hints=Hints(bus),
            writer=writer,
            encoders=cast("Any", None),
            metrics=metrics,
            budget=Budget(64 * 1024 * 1024),
            high_water=high_water,
            late_usage=late_usage,
            handover=Handover(),
            merge_news=merge_news,
        )
        self._sockets = sockets
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(writer.run())
            totalling = tasks.create_task(late_usage.run())
            merging = tasks.create_task(merge_news.run())
            pulsing = tasks.create_task(sockets.pulse())
            await self.stop.wait()
            await sockets.leave(max(0.0, self.stop.remaining_s() - 1.0))
            pulsing.cancel()
            merging.cancel()
            await late_usage.close(totalling, self.stop.remaining_s() / 2)
            writer.close()
            await asyncio.wait({writing}, timeout=max(0.0, self.stop.remaining_s() - 0.2))
            writing.cancel()
        await bus.close()

    def accept(
        self,
        line: Line,
        arrived_ms: int,
        tape: Tape,
        cid: str,
        resume: int | None,
        owner: str,
        dialect: Dialect,
    ) -> None:
        """A socket whose handshake is over; runs in the process."""
        assert self._sockets is not None
        assert self._backend is not None
        places = ExitStack()
        try:
            places.enter_context(self._sockets.place())
            places.enter_context(self._sockets.place_of(tape.uid))
        except RefusedError:
            line.close(1013)
            return
        batches = self._batches
        audio_format = PCM if tape.pcm else OPUS
        terms = Terms(
            arrived_ms=arrived_ms,
            uid=tape.uid,
            owner=owner,
            conversation_id=cid,
            resume=resume,
            dialect=dialect,
            audio_format=audio_format,
            chunk_ms=batches.chunk_ms,
            batch_ms=batches.batch_ms,
            due_ms=batches.due_ms,
        )
        encoder = SocketEncoder(audio_format, bitrate=24_000, complexity=0)
        connection = Connection(terms, encoder, self._backend, request_id=owner)
        self.lines.append(line)
        self._sockets.begin(connection, cast("Any", line), places)


class Pusher:
    """One process of pusher."""

    def __init__(
        self,
        loop: VirtualLoop,
        process: Process,
        server: Server,
        buckets: tuple[Bucket, Bucket | None],
        batches: Batches,
        wait_replicas: int,
        chance: Chance,
        counting: Counting | None = None,
    ) -> None:
        self.loop = loop
        self._counting = counting
        self.process = process
        self._server = server
        self._buckets = buckets
        self._batches = batches
        self._wait_replicas = wait_replicas
        self._dice = random.Random(chance.dice.random())
        self.stop: Stop | None = None

    async def run(self) -> None:
        """As `pusher.service._serve`."""
        metrics, batches, stop = pusher_metrics(), self._batches, Stop(DRAIN_S)
        self.stop = stop
        bus = make_bus(self._server, self._wait_replicas)
        hints = Hints(bus)
        limits = Limits(batch_ms=batches.batch_ms, age_ms=batches.batch_ms, idle_ms=batches.idle_ms)
        consumer = self.process.name
        first, second = self._buckets
        relief = Relief(bus, hints, metrics, Health(), Pressure(0.75), consumer, limits.early_ms, unix_ms)
        worker = Worker(
            bus,
            hints,
            WorldStore(first),
            metrics,
            consumer,
            limits,
            second=None if second is None else WorldStore(second),
            stopping=stop.is_set,
            early=relief.early,
            lease_ms=batches.lease_ms,
            maker=Maker(KeySource(KEYS)),
            retries=Retries(self._dice),
        )
        # They draw for themselves where nobody gives them dice, and a seed would not replay.
        worker.buckets._rng = worker.buckets.first.circuit.rng = self._dice
        cast("Any", worker.buckets)._rng = self._dice
        for guarded in worker.buckets.all:
            guarded.circuit.rng = self._dice
        relief.serving = lambda: worker.buckets.well or worker.buckets.second_serves
        scheduler = Scheduler(
            bus,
            hints,
            metrics,
            worker.unstored,
            batches.lease_ms,
            batches.batch_ms,
            unix_ms,
            rng=self._dice,
            early=relief.early,
        )
        mover = Mover(bus, worker.buckets, worker.maker.keys, metrics, consumer)
        async with asyncio.TaskGroup() as work:
            dispatch = Dispatch(work, worker.drain, hints.done, at_once=4, put_off=worker.put_off)
            worker.lending = dispatch.lending
            work.create_task(scheduler.run(stop))
            work.create_task(relief.run(stop))
            work.create_task(comeback.run(worker.buckets, worker.retries, hints, unix_ms, stop))
            work.create_task(Prober(worker.buckets, self._dice).run(stop))
            work.create_task(mover.run(stop))
            if self._counting is not None:
                books = cast("Any", self._counting)
                census = Census(bus, books, worker.unstored, consumer, self.loop.time, self._dice)
                work.create_task(census.run(stop))
            reader = Reader(
                hints,
                cast("Any", Client(self._server)),
                dispatch,
                metrics,
                0,
                consumer,
                batches.lease_ms,
                lost=scheduler.lost,
            )
            work.create_task(reader.run(stop))
            await stop.wait()
            await dispatch.close(max(0.0, stop.remaining_s() - 1.0))
        await bus.close()


class InlineWorkers(Workers):
    """Storage-api's threads, without threads."""

    def __init__(self) -> None:
        """No pool."""

    async def run(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    def close(self) -> None:
        """Nothing to close."""


def make_api_bucket(loop: VirtualLoop, buckets: tuple[Bucket, Bucket | None]) -> ApiBucket:
    """Storage-api's way to the buckets."""
    first, second = buckets
    store: Store = WorldStore(first)
    if second is not None:
        store = PairedStore(store, WorldStore(second))
    return ApiBucket(store, storage_metrics(), InlineWorkers(), Keys(KeySource(KEYS)), clock=loop.time)


def make_recordings(loop: VirtualLoop, server: Server, buckets: tuple[Bucket, Bucket | None]) -> Recordings:
    """Storage-api's way to look at conversations."""
    return Recordings(make_bus(server, 0), make_api_bucket(loop, buckets))
