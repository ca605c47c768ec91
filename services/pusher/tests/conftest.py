"""A real Redis, real stores, and a device that records: what the pusher's tests are made of."""

import asyncio
import base64
import hashlib
import itertools
import time
import uuid
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from audiobus import Bus
from audiobus.conversation import Conversation
from audiobus.hints import Hints
from audiobus.state import STATE_FIELDS, ConversationState
from audiocodec.span import Span, join
from audiostore import open_store
from audiostore.batch import Batch, read_batch
from audiostore.errors import StoreError
from audiostore.key_ring import KeyRing, KeySource
from audiostore.names import conversation_prefix, parse_name
from audiostore.sealing import open_sealed
from pusher.buckets import Buckets
from pusher.cutter import Limits
from pusher.guarded_store import GuardedStore
from pusher.metrics import PusherMetrics
from pusher.retries import Retries
from pusher.worker import Worker
from tapedeck_testing.bloated import bloated
from tapedeck_testing.draining.recording_device import T0, Clock, Device, Session, packet

_numbers = itertools.count()


@pytest.fixture
def packets() -> Callable[[int], tuple[bytes, ...]]:
    """So many packets."""
    return lambda count: tuple(packet() for _ in range(count))


@pytest.fixture
def large_packets() -> Callable[[int, int], tuple[bytes, ...]]:
    """So many packets of so many bytes."""
    return lambda count, size: tuple(bloated(packet(), size) for _ in range(count))


@pytest.fixture
def prefix() -> str:
    """Keys that no other test has."""
    return f"t{uuid.uuid4().hex[:12]}:"


@pytest.fixture
async def bus(redis_url, prefix):
    async with Bus(redis_url, prefix=prefix) as bus:
        yield bus


@pytest.fixture
def hints(bus) -> Hints:
    return Hints(bus)


@pytest.fixture(params=["memory", "file"])
def store_url(request, tmp_path) -> str:
    return "memory:" if request.param == "memory" else f"file://{tmp_path}/store"


@pytest.fixture
async def store(store_url):
    store = open_store(store_url)
    yield store
    await store.close()


@pytest.fixture
async def memory_store():
    store = open_store("memory:")
    yield store
    await store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def conversation() -> Conversation:
    return Conversation("alice", f"c{next(_numbers)}")


@pytest.fixture
def new_session(conversation, clock) -> Callable[..., Session]:
    def make(conversation: Conversation | str = conversation, **fields) -> Session:
        if isinstance(conversation, str):
            conversation = Conversation("alice", conversation)
        return Session(conversation, clock, **fields)

    return make


@pytest.fixture
def new_device(bus, new_session) -> Callable[..., Device]:
    def make(owner: str = "socket", bus: Bus = bus, **fields) -> Device:
        return Device(bus, new_session(**fields), owner)

    return make


@pytest.fixture
def device(new_device) -> Device:
    return new_device()


@pytest.fixture
def new_state() -> Callable[..., ConversationState]:
    """The state of a conversation of which nothing is stored."""

    def make(**fields) -> ConversationState:
        state = ConversationState.from_values([None] * len(STATE_FIELDS))
        return msgspec.structs.replace(state, **{"last_ms": T0, **fields})

    return make


@pytest.fixture
def metrics() -> PusherMetrics:
    return PusherMetrics()


@pytest.fixture
def new_worker(bus, clock, metrics):
    """Makes workers as a fresh process would: nothing is remembered from one to the next."""

    def make(store, *, bus=bus, holder="pusher-1", limits: Limits | None = None, **fields) -> Worker:
        return Worker(
            bus,
            Hints(bus),
            store,
            metrics,
            holder,
            limits or Limits(),
            now_ms=clock,
            retries=Retries(),
            **fields,
        )

    return make


@pytest.fixture
def new_buckets(clock) -> Callable[..., Buckets]:
    """The buckets of a process that has just begun: a first store, perhaps a second."""

    def make(store, second=None) -> Buckets:
        return Buckets(
            GuardedStore("first", store, clock),
            None if second is None else GuardedStore("second", second, clock),
        )

    return make


def key_text(*ids: str) -> str:
    """A key for each id as in a setting, the first sealing; the same id has the same key everywhere."""
    entries = ((one, hashlib.sha256(one.encode()).digest()) for one in ids)
    return ",".join(f"{one}:{base64.b64encode(key).decode()}" for one, key in entries)


def keys_of(*ids: str) -> KeySource:
    """A source of these keys."""
    return KeySource(key_text(*ids) or None)


@pytest.fixture
def new_keys() -> Callable[..., KeySource]:
    return keys_of


@pytest.fixture
def keys() -> KeySource:
    """Two keys; the first seals."""
    return keys_of("k2", "k1")


@pytest.fixture
def keys_setting() -> str:
    """The same as a setting."""
    return key_text("k2", "k1")


@pytest.fixture
def ring() -> KeyRing:
    """All keys that tests seal with."""
    return keys_of("k3", "k2", "k1").ring()


@pytest.fixture
def batches(conversation, ring):
    """Reads everything that a store holds of a conversation, and checks each object against its name."""

    async def read(store, conversation=conversation) -> list[Batch]:
        found = []
        async for info in store.list(conversation_prefix(*conversation)):
            name = parse_name(info.name)
            assert name is not None
            data = await store.get(info.name)
            batch = read_batch(open_sealed(data, ring, name.uid) if name.sealed else data)
            assert name.start_ms == batch.spans[0].start_ms
            assert name.end_ms >= batch.spans[-1].end_ms
            found.append(batch)
        return found

    return read


@pytest.fixture
def packets_of(batches, conversation):
    """(epoch, packet) of everything stored, in the order of bytes; no byte twice, and runs that do not overlap."""

    async def read(store, conversation=conversation) -> list[tuple[int, bytes]]:
        spans: list[Span] = sorted(
            (span for batch in await batches(store, conversation) for span in batch.spans),
            key=lambda span: (span.epoch, span.first_offset),
        )
        for one, other in itertools.pairwise(spans):
            assert one.epoch < other.epoch or one.end_offset <= other.first_offset, "stored twice"
            assert one.end_48k <= other.start_48k, "the timeline overlaps"
        return [(span.epoch, one) for span in join(spans) for one in span.packets]

    return read


@pytest.fixture
async def eventually():
    """Waits for a condition of another task or process, with a deadline."""

    async def wait(condition: Callable[[], Awaitable[bool]], what: str, within_s: float = 60.0) -> None:
        deadline = time.monotonic() + within_s
        while not await condition():
            assert time.monotonic() < deadline, f"{what}: not within {within_s} s"
            await asyncio.sleep(0.02)

    return wait


@pytest.fixture
def state_of(bus, conversation):
    async def read(conversation=conversation) -> ConversationState:
        return await bus.state(conversation)

    return read


class FailingStore:
    """A store whose next puts fail with these errors."""

    def __init__(self, real, errors: list[StoreError]) -> None:
        self._real = real
        self.errors = errors

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def put(self, *args, **kwargs):
        if self.errors:
            raise self.errors.pop(0)
        return await self._real.put(*args, **kwargs)


@pytest.fixture
def failing_store() -> type[FailingStore]:
    return FailingStore
