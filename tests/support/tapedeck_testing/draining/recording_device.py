"""A device that records: a session's chunks as `listen` writes them down, under a clock that a test turns."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from audiobus import AppendRequest, Bus, Position
from audiobus.answers import Appended
from audiobus.chunk import VERSION, Chunk
from audiobus.conversation import Conversation
from audiobus.entry_id import EntryId
from pusher.arrived import Arrived

T0 = 1_700_000_000_000
FRAME = 960
_numbers = itertools.count()


def packet() -> bytes:
    """A valid Opus packet of 20 ms (CELT wide-band, one mono frame of silence) unlike any other."""
    return b"\xb8\xff\xfe" + next(_numbers).to_bytes(8, "big")


@dataclass
class Clock:
    """The clock of a test."""

    ms: int = T0

    def __call__(self) -> int:
        return self.ms

    def pass_s(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


@dataclass
class Session:
    """One session as `listen` writes it down: 100 bytes of payload for each packet of 20 ms. Pure: it only makes entries."""

    conversation: Conversation
    clock: Clock
    source: str = "opus"
    channels: int = 1
    lead: int = 312
    run_start_ms: int = 0
    newest: EntryId = field(default_factory=lambda: EntryId(0, 0))
    next_sample: int = 0
    starts: bool = True
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    """(epoch, packet) of everything, in order."""

    def begin(self, epoch: int) -> Arrived:
        """The entry that opens the session."""
        self.newest = EntryId(epoch, 0)
        self.begin_run()
        return Arrived(self.newest, None, None)

    def begin_run(self) -> None:
        """The encoder starts anew now, after a gap."""
        self.run_start_ms, self.next_sample, self.starts = self.clock(), 0, True

    def chunk(self, packets: tuple[bytes, ...], *, trim: int = 0, size: int | None = None) -> Arrived:
        """The next chunk; one without packets only moves the offset."""
        lead = self.lead if self.starts and packets else 0
        samples = len(packets) * FRAME - lead - trim if packets else 0
        before = self.newest
        self.newest = EntryId(before.epoch, before.offset + (len(packets) * 100 if size is None else size))
        chunk = Chunk(
            version=VERSION,
            at_ms=self.clock(),
            source=self.source,
            sample_rate=16000,
            channels=self.channels,
            run_start_ms=self.run_start_ms,
            first_sample=self.next_sample,
            samples=samples,
            lead=lead,
            trim=trim,
            starts=self.starts and bool(packets),
            first_offset=before.offset,
            packets=packets,
        )
        self.next_sample += samples
        if packets:
            self.starts = trim > 0
        self.sent += [(before.epoch, one) for one in packets]
        return Arrived(
            self.newest, chunk, chunk.span(self.conversation.cid, before.epoch, self.newest.offset)
        )

    def speech(self, seconds: float, *, chunk_s: float = 1.0, end: bool = False) -> Iterator[Arrived]:
        """Chunks in real time; with `end` the encoder is flushed after them."""
        left = round(seconds * 50)
        while left > 0:
            count = min(left, round(chunk_s * 50))
            left -= count
            self.clock.pass_s(count / 50)
            yield self.chunk(tuple(packet() for _ in range(count)), trim=240 if end and left == 0 else 0)


@dataclass
class Device:
    """A session that is recorded into Redis."""

    bus: Bus
    session: Session
    owner: str = "socket"

    @property
    def conversation(self) -> Conversation:
        return self.session.conversation

    @property
    def sent(self) -> list[tuple[int, bytes]]:
        return self.session.sent

    async def open(self) -> None:
        fmt = f"{self.session.source}:16000:{self.session.channels}:{self.session.lead}"
        now_ms = self.session.clock()
        opened = await self.bus.open(self.conversation, owner=self.owner, format=fmt, now_ms=now_ms)
        self.session.begin(opened.epoch)

    async def say(self, seconds: float, *, chunk_s: float = 1.0, end: bool = False) -> None:
        for one in self.session.speech(seconds, chunk_s=chunk_s, end=end):
            await self.append(one)

    async def append(self, one: Arrived, data: bytes | None = None) -> None:
        """Appends a chunk, or other bytes in its place."""
        answer = await self.bus.append(self.request(one, data))
        assert isinstance(answer, Appended), answer

    async def bury(self, number: int) -> EntryId:
        """The chunk of that number in the buffer, from 1 on, becomes a dead letter."""
        entries = await self.bus.read(self.conversation, count=99)
        before, entry = entries[number - 1], entries[number]
        assert await self.bus.bury(
            self.conversation,
            entry,
            reason="unknown to this build",
            first_offset=before.id.offset,
            samples=entry.counted_samples,
            now_ms=self.session.clock(),
        )
        return entry.id

    def request(self, one: Arrived, data: bytes | None = None) -> AppendRequest:
        """What is sent for a chunk: it may be sent again."""
        assert one.chunk is not None
        return AppendRequest(
            conversation=self.conversation,
            owner=self.owner,
            before=EntryId(one.id.epoch, one.chunk.first_offset),
            id=one.id,
            chunk=data or one.chunk.encode(),
            samples=one.chunk.samples,
            position=Position(one.chunk.run_start_ms, one.chunk.first_sample + one.chunk.samples),
            now_ms=one.chunk.at_ms,
        )
