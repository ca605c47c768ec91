"""Packets in, chunks out: about `chunk_ms` of packets that follow one another, with their place in run and session.

Owns lead, trim, first_sample and the offsets of a chunk. A chunk is closed when its lane says so, when it has waited
`chunk_ms` since its first packet, and where a run or an encoder begins; never before its offset has moved, as an
entry's id is made of it. Must not encode, and must not know epochs: the outbox does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from audiobus import Chunk, Lag, Position
from audiobus.chunk import VERSION
from listen.audio_format import AudioFormat

CHUNK_BYTES_LIMIT: Final = 256 * 1024
CHUNK_PACKETS_LIMIT: Final = 2_048


@dataclass(frozen=True, slots=True)
class PackedChunk:
    """A chunk as its entry holds it, and what the outbox asks of it: half the memory of one with fifty packets."""

    at_ms: int
    samples: int
    first_offset: int
    size: int
    """Bytes of its packets."""
    entry: bytes

    def encode(self) -> bytes:
        """The value of the field `c`."""
        return self.entry


@dataclass(frozen=True, slots=True)
class ReadyChunk:
    """A closed chunk."""

    chunk: Chunk | PackedChunk
    end_offset: int
    """Payload bytes of the session up to its end: with the epoch, its entry id."""
    position: Position | None = None
    """Where the session stands after it; None before its first audio, when no time can be given to it."""

    @property
    def size(self) -> int:
        """Bytes of its packets."""
        chunk = self.chunk
        return chunk.size if isinstance(chunk, PackedChunk) else sum(map(len, chunk.packets))

    def packed(self) -> "ReadyChunk":
        """The same, for keeping."""
        chunk = self.chunk
        if isinstance(chunk, PackedChunk):
            return self
        # Copied: what msgspec answers is as large as its buffer had grown, a third more.
        entry = bytes(memoryview(chunk.encode()))
        packed = PackedChunk(chunk.at_ms, chunk.samples, chunk.first_offset, self.size, entry)
        return ReadyChunk(packed, self.end_offset, self.position)


class Chunker:
    """One session's chunks, in order."""

    def __init__(
        self, audio_format: AudioFormat, chunk_ms: int, offset: int = 0, position: Position | None = None
    ) -> None:
        """Chunks of a fresh session, or of one that goes on at byte `offset`, after `position`."""
        self._format = audio_format
        self._chunk_ms = chunk_ms
        self._run_start_ms: int | None = None if position is None else position.run_start_ms
        self._first_sample = 0 if position is None else position.next_sample
        """Of the open chunk."""
        self.lags: tuple[Lag, ...] = () if position is None else position.lags
        """What lies between the end of the newest packet and the session's byte after it; the lane says so."""
        self._lead_left = 0
        """Samples of the encoder's lead-in that are still to come."""
        self._starts = False
        self._packets: list[bytes] = []
        self._samples = 0
        """What the open chunk's packets decode to."""
        self._bytes = 0
        self._first_at_ms: int | None = None
        """When the open chunk got its first packet, or byte that was left out."""
        self._closed_offset = offset
        self._offset = offset
        self._ready: list[ReadyChunk] = []

    @property
    def due_at_ms(self) -> int | None:
        """When the open chunk must be closed, whatever it holds; None where there is none."""
        if self._first_at_ms is None or self._run_start_ms is None:
            return None
        return self._first_at_ms + self._chunk_ms

    @property
    def offset(self) -> int:
        """The session's byte up to which chunks were closed."""
        return self._closed_offset

    @property
    def holds(self) -> bool:
        """Whether something is in the open chunk."""
        return self._first_at_ms is not None

    @property
    def has_ready(self) -> bool:
        """Whether `take` has something to give."""
        return bool(self._ready)

    def begin(self, run_start_ms: int, first_sample: int, *, lead: int, starts: bool, now_ms: int) -> None:
        """What follows lies here: a new run, or a new encoder. Closes the open chunk.

        Args:
            run_start_ms: unix ms of the run's sample 0.
            first_sample: position in the run of the first played sample.
            lead: samples that a decoder gives before that one.
            starts: the encoder begins with the next packet.
            now_ms: unix ms.
        """
        self.close(now_ms)
        self._run_start_ms = run_start_ms
        self._first_sample = first_sample
        self._lead_left = lead
        self._starts = starts

    def add(self, packet: bytes, samples: int, end_offset: int, now_ms: int) -> bool:
        """One packet that lasts `samples` and ends with the session's byte `end_offset`. Whether the chunk is full."""
        if self._first_at_ms is None:
            self._first_at_ms = now_ms
        self._packets.append(packet)
        self._samples += samples
        self._bytes += len(packet)
        self._offset = end_offset
        return (
            self._samples >= self._chunk_ms * 48
            or self._bytes >= CHUNK_BYTES_LIMIT
            or len(self._packets) >= CHUNK_PACKETS_LIMIT
        )

    def fits(self, samples: int, size_bytes: int, packets: int) -> bool:
        """Whether the open chunk takes so much without being more than full, so that it ends where it would one by one."""
        return (
            self._samples + samples <= self._chunk_ms * 48
            and self._bytes + size_bytes < CHUNK_BYTES_LIMIT
            and len(self._packets) + packets < CHUNK_PACKETS_LIMIT
        )

    def add_all(
        self, packets: Sequence[bytes], samples: int, size_bytes: int, end_offset: int, now_ms: int
    ) -> bool:
        """As `add` one after another, of packets that fit and came at `now_ms` or a little later."""
        if self._first_at_ms is None:
            self._first_at_ms = now_ms
        self._packets += packets
        self._samples += samples
        self._bytes += size_bytes
        self._offset = end_offset
        return self._samples >= self._chunk_ms * 48

    def leave_out(self, end_offset: int, now_ms: int) -> None:
        """Bytes up to `end_offset` that were no audio: they only move the offset.

        Many of them are a chunk of their own: before the first audio none has its time, and they would count as waiting for ever.
        """
        if end_offset == self._offset:
            return  # a message without a byte
        if self._first_at_ms is None:
            self._first_at_ms = now_ms
        self._offset = end_offset
        if end_offset - self._closed_offset - self._bytes >= CHUNK_BYTES_LIMIT:
            self.close(now_ms)

    def tick(self, now_ms: int) -> None:
        """Closes the open chunk if it has waited long enough. Before the first audio there is no time to give it."""
        due = self.due_at_ms
        if (
            due is not None and not due - self._chunk_ms <= now_ms < due
        ):  # a clock that was set back puts nothing off
            self.close(now_ms)

    def close(self, now_ms: int, *, trim: int = 0) -> None:
        """Closes the open chunk, if it moves the offset: `trim` samples at its end are padding, as the encoder was flushed.

        Packets of which no byte counts yet wait for one that does. An entry with the id before it would be taken for that
        one's repeat.
        """
        if self._offset == self._closed_offset:
            if not self._packets:
                self._first_at_ms = None  # a message without a byte
            return
        # Bytes that were no audio, before any: the entry needs a time, the session has none yet.
        timed = self._run_start_ms is not None
        run_start_ms = now_ms if self._run_start_ms is None else self._run_start_ms
        lead = min(self._lead_left, self._samples)
        played = self._samples - lead - trim
        chunk = Chunk(
            version=VERSION,
            at_ms=now_ms,
            source=self._format.codec,
            sample_rate=self._format.sample_rate,
            channels=self._format.channels,
            run_start_ms=run_start_ms,
            first_sample=self._first_sample,
            samples=played,
            lead=lead,
            trim=trim,
            starts=self._starts and bool(self._packets),
            first_offset=self._closed_offset,
            packets=tuple(self._packets),
        )
        self._first_sample += played
        position = Position(run_start_ms, self._first_sample, self.lags) if timed else None
        self._ready.append(ReadyChunk(chunk, self._offset, position))
        self._lead_left -= lead
        self._starts = self._starts and not self._packets
        self._packets = []
        self._samples = self._bytes = 0
        self._first_at_ms = None
        self._closed_offset = self._offset

    def give_up(self) -> None:
        """Packets of which no byte counts are forgotten: the client sends it all again when it comes back."""
        if self._packets:
            self._packets = []
            self._samples = self._bytes = 0
            self._first_at_ms = None

    def take(self) -> list[ReadyChunk]:
        """The chunks that have been closed since the last call."""
        if not self._ready:
            return []
        ready, self._ready = self._ready, []
        return ready
