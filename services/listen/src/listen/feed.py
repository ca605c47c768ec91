"""What one channel gives to one encoder, as long as no job has taken it: operations in order, each with its position.

Owns where a job ends: what begins before a position goes, PCM to the sample. Positions are ticks since the run's start.
"""

from collections import deque

from listen.audio_format import SOURCE_SAMPLE_TICKS
from listen.encoding_job import Operation, Place, Silence


class Feed:
    """One channel's part in one encoder's life."""

    def __init__(self, sample_bytes: int) -> None:
        """`sample_bytes` of PCM; 0 for a compressed codec, whose messages are never cut."""
        self.placed = False
        """Whether the channel's audio has a place since it was silent, or the encoder began."""
        self.pcm = bytearray()
        """PCM at the end that no job has taken. What is in `_operations` comes before it."""
        self._sample_bytes = sample_bytes
        self._pcm_start = 0
        self._operations: deque[tuple[Operation, int]] = deque()

    @property
    def empty(self) -> bool:
        """Whether a job would find nothing here."""
        return not self.pcm and not self._operations

    @property
    def pieces(self) -> int:
        """How many operations wait."""
        return len(self._operations)

    def place(self, place: Place, tick: int) -> None:
        """What follows begins here."""
        self._put(place, tick)
        self.placed = True
        self._pcm_start = tick

    def add(self, payload: bytes, tick: int) -> None:
        """Payload that begins at `tick`: whole samples of PCM, or one message."""
        if self._sample_bytes:
            self.pcm += payload
        else:
            self._operations.append((payload, tick))

    def silence(self, until: int, tick: int) -> None:
        """Nothing but silence from `tick` on, up to an index."""
        if self._operations and isinstance(self._operations[-1][0], Silence) and not self.pcm:
            _, tick = self._operations.pop()
        self._put(Silence(until), tick)
        self.placed = False

    def take(self, before: int | None) -> tuple[Operation, ...]:
        """What begins before a position; None: everything."""
        taken: list[Operation] = []
        while self._operations and (before is None or self._operations[0][1] < before):
            taken.append(self._operations.popleft()[0])
        if self.pcm and not self._operations:
            size = len(self.pcm)
            if before is not None:
                samples = -((self._pcm_start - before) // SOURCE_SAMPLE_TICKS)
                size = min(size, max(0, samples) * self._sample_bytes)
            if size:
                taken.append(bytes(self.pcm[:size]))
                del self.pcm[:size]
                self._pcm_start += size // self._sample_bytes * SOURCE_SAMPLE_TICKS
        return tuple(taken)

    def _put(self, operation: Operation, tick: int) -> None:
        if self.pcm:
            self._operations.append((bytes(self.pcm), self._pcm_start))
            self.pcm = bytearray()
        self._operations.append((operation, tick))
