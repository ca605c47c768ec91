"""A recorder: the few lines by which a socket writes, over the real scripts."""

import uuid
from collections.abc import Callable

import pytest

from audiobus import AppendRequest, Bus, Conversation, EntryId, Opened, Position
from audiobus.append import AppendAnswer

FORMAT = "pcm16:16000:1:312"
NOW_MS = 1_732_147_200_000


class Recorder:
    """One socket that records into a conversation."""

    def __init__(self, bus: Bus, conversation: Conversation) -> None:
        self.bus = bus
        self.conversation = conversation
        self.owner = uuid.uuid4().hex
        self.newest = EntryId(0, 0)

    async def open(
        self,
        *,
        resume: int | None = None,
        now_ms: int = NOW_MS,
        own: bool = False,
        arrived_ms: int | None = None,
    ) -> Opened:
        opened = await self.bus.open(
            self.conversation,
            owner=self.owner,
            format=FORMAT,
            now_ms=now_ms,
            resume=resume,
            own=own,
            arrived_ms=arrived_ms,
        )
        self.newest = EntryId(opened.epoch, opened.offset)
        return opened

    def request(self, end: int, *, before: EntryId | None = None, now_ms: int = NOW_MS) -> AppendRequest:
        before = before or self.newest
        return AppendRequest(
            conversation=self.conversation,
            owner=self.owner,
            before=before,
            id=EntryId(before.epoch, end),
            chunk=f"{before.offset}..{end}".encode(),
            samples=48 * (end - before.offset),
            position=Position(NOW_MS, 48 * end),
            now_ms=now_ms,
        )

    async def append(self, end: int, *, before: EntryId | None = None, now_ms: int = NOW_MS) -> AppendAnswer:
        request = self.request(end, before=before, now_ms=now_ms)
        answer = await self.bus.append(request)
        if getattr(answer, "newest", None) == request.id:
            self.newest = request.id
        return answer


@pytest.fixture
def conversation() -> Conversation:
    return Conversation("user-1", "conv-1")


@pytest.fixture
def recorder(bus: Bus, conversation: Conversation) -> Recorder:
    return Recorder(bus, conversation)


@pytest.fixture
def another(bus: Bus, conversation: Conversation) -> Callable[[], Recorder]:
    """Makes another socket of the same conversation."""
    return lambda: Recorder(bus, conversation)


@pytest.fixture
def recorder_on(conversation: Conversation) -> Callable[[Bus], Recorder]:
    """Makes a socket on a bus of the test's own."""
    return lambda bus: Recorder(bus, conversation)


@pytest.fixture
def recorder_for(bus: Bus) -> Callable[[Conversation], Recorder]:
    """Makes a socket that records into a given conversation."""
    return lambda conversation: Recorder(bus, conversation)


@pytest.fixture
def now_ms() -> int:
    return NOW_MS
