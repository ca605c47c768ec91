"""One session as `listen` would append it, chunk by chunk, without `listen`. Owns where its next chunk lies; it sends nothing."""

from functools import cache
from itertools import accumulate
from typing import Final

from audiobus import AppendRequest, Conversation, EntryId, Position
from audiobus.chunk import VERSION, Chunk
from bench import speech

FORMAT: Final = f"opus:{speech.SAMPLE_RATE}:1:{speech.LOOKAHEAD}"
CHUNK_PACKETS: Final = 50
CHUNKS: Final = speech.BATCH_PACKETS // CHUNK_PACKETS
"""In a minute."""
OWNER: Final = "bench"


@cache
def _minute() -> tuple[tuple[bytes, ...], ...]:
    """The packets of a minute, by chunks: the same objects for all sessions, for a fleet of them shall not cost memory."""
    packets = speech.packets(speech.BATCH_PACKETS)
    return tuple(tuple(packets[at : at + CHUNK_PACKETS]) for at in range(0, len(packets), CHUNK_PACKETS))


@cache
def _ends() -> tuple[int, ...]:
    """Payload bytes up to the end of each chunk of the minute."""
    return tuple(accumulate(sum(map(len, packets)) for packets in _minute()))


def prepare() -> None:
    """Encodes the minute: it takes seconds, which no live conversation shall wait for."""
    _ends()


class Recording:
    """A session that was opened just now: the same minute of speech, over and over."""

    def __init__(self, conversation: Conversation, epoch: int, start_ms: int) -> None:
        """`start_ms`: unix ms of its first sample."""
        self.conversation = conversation
        self.newest = EntryId(epoch, 0)
        """Of the chunk that was made last."""
        self._start_ms = start_ms
        self._count = 0

    @property
    def seconds(self) -> int:
        """Audio made so far."""
        return self._count

    def chunk(self, at_ms: int | None = None) -> AppendRequest:
        """The next second. `at_ms`: when it was made, unix ms; where not given, as if it had been recorded without delay."""
        rounds, index = divmod(self._count, CHUNKS)
        lead = 0 if self._count else speech.LOOKAHEAD
        samples = CHUNK_PACKETS * speech.FRAME_SAMPLES - lead
        # The lead is dropped once, so all that follows lies that much earlier.
        first_sample = self._count * CHUNK_PACKETS * speech.FRAME_SAMPLES - (
            speech.LOOKAHEAD if self._count else 0
        )
        self._count += 1
        chunk = Chunk(
            version=VERSION,
            at_ms=self._start_ms + self._count * 1000 if at_ms is None else at_ms,
            source="opus",
            sample_rate=speech.SAMPLE_RATE,
            channels=1,
            run_start_ms=self._start_ms,
            first_sample=first_sample,
            samples=samples,
            lead=lead,
            trim=0,
            starts=not first_sample,
            first_offset=self.newest.offset,
            packets=_minute()[index],
        )
        before, self.newest = self.newest, EntryId(self.newest.epoch, rounds * _ends()[-1] + _ends()[index])
        return AppendRequest(
            conversation=self.conversation,
            owner=OWNER,
            before=before,
            id=self.newest,
            chunk=chunk.encode(),
            samples=samples,
            position=Position(self._start_ms, first_sample + samples),
            now_ms=chunk.at_ms,
        )
