"""Chunks on their way into Redis: each appended onto exactly the one before, until it is known to be safe.

Owns the newest id, what is acked, and the tail: the chunks of the last eight seconds, kept for a Redis that lost what it had
confirmed. One append is under way at a time; a repeat of it is harmless (`audiobus`' append script). Must not wait.
"""

from collections import deque
from typing import Final

from audiobus import Appended, EntryId, stored_offset
from listen.chunker import ReadyChunk

TAIL_SAMPLES: Final = 8 * 48_000
TAIL_CHUNKS: Final = 64
TAIL_BYTES: Final = 256 * 1024
CHUNK_BYTES: Final = 1_000
"""What a chunk takes beside its packets: a client that sets a mark before every packet makes one of each."""


class Outbox:
    """One open session's chunks."""

    def __init__(self, newest: EntryId) -> None:
        self.newest = newest
        """The last id known to be in Redis."""
        self.stored = 0
        """The prefix of the session that is settled, in payload bytes."""
        self.appended_samples = 0
        """Played samples appended by this socket, at 48 kHz; what is written again does not count."""
        self.lost_bytes = 0
        """Bytes that Redis had confirmed and lost, and that are no longer here: they lie right before"""
        self.lost_upto = 0
        self._waiting: deque[ReadyChunk] = deque()
        self._tail: deque[ReadyChunk] = deque()
        self._tail_samples = 0
        self._tail_bytes = 0
        self._tail_limit = TAIL_BYTES
        self._again = 0
        """How many of the waiting chunks were acked before."""
        self._acked = newest.offset
        self._began = newest.offset

    @property
    def acked(self) -> int:
        """Payload bytes that the client may drop. Never less than before."""
        return self._acked

    @property
    def rewriting(self) -> bool:
        """Whether something that was acked waits to be written again."""
        return self._again > 0

    @property
    def written(self) -> int:
        """Up to there nothing waits to be written, or to be written again."""
        return self.newest.offset if self._again else self._acked

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    @property
    def waiting_overhead_bytes(self) -> int:
        """About how much memory what waits takes beside its payload."""
        return CHUNK_BYTES * len(self._waiting)

    @property
    def kept_bytes(self) -> int:
        """About how much memory the tail takes."""
        return self._tail_bytes + CHUNK_BYTES * len(self._tail)

    def keep_at_most(self, tail_bytes: int) -> None:
        """So much may be kept for writing it again; what is more is forgotten, the oldest first."""
        self._tail_limit = tail_bytes
        self._trim()

    @property
    def next(self) -> ReadyChunk | None:
        """What is to be appended, onto `newest`."""
        return self._waiting[0] if self._waiting else None

    def put(self, chunks: list[ReadyChunk]) -> None:
        """More chunks, in order."""
        self._waiting.extend(ready.packed() for ready in chunks)

    def appended(self, answer: Appended) -> ReadyChunk:
        """The next chunk is safe; answers it."""
        ready = self._waiting.popleft()
        self.newest = EntryId(self.newest.epoch, ready.end_offset)
        if self._again:
            self._again -= 1
        else:
            self.appended_samples += ready.chunk.samples
        self._acked = max(self._acked, ready.end_offset)
        self.settled(answer.settled, answer.dead_offset)
        self._keep(ready)
        return ready

    def settled(self, settled: EntryId | None, dead_offset: int | None) -> None:
        """What is in the bucket now."""
        self.stored = max(self.stored, stored_offset(self.newest.epoch, settled, dead_offset))

    def misplaced(self, newest: EntryId | None, *, gaps: bool = True) -> bool:
        """Redis stands at another id than the one before the next chunk. Whether it is known how to go on.

        Below what was acked: Redis lost writes, and the tail is written again. Anything else is a doubt. `gaps`: what was lost and is no
        longer here, or never was, is left out; else that is a doubt too, for a client that keeps what is not stored still has it.
        """
        if newest is None or newest.epoch != self.newest.epoch or newest.offset >= self.newest.offset:
            return False
        again = [ready for ready in self._tail if ready.end_offset > newest.offset]
        if again and again[0].chunk.first_offset < newest.offset:
            return False  # in the middle of a chunk of ours: not written by this socket
        resumes_at = again[0].chunk.first_offset if again else self.newest.offset
        lost_from = max(newest.offset, self.stored)
        if not gaps and lost_from < resumes_at:
            return False
        self._lose(lost_from, resumes_at)
        self.newest = newest
        self._waiting.extendleft(reversed(again))
        self._again += len(again)
        self._tail.clear()
        self._tail_samples = self._tail_bytes = 0
        return True

    def gone(self, stands: int | None) -> None:
        """The session cannot go on here. Redis has it up to `stands`, or knows nothing of it: what else was acked is lost."""
        self._lose(max(self.stored, stands or 0), self._acked)

    @property
    def appended_bytes(self) -> int:
        """Payload bytes that this socket has brought into Redis."""
        return self._acked - self._began

    def _lose(self, since: int, upto: int) -> None:
        if upto > since:
            self.lost_bytes += upto - since
            self.lost_upto = upto

    def _keep(self, ready: ReadyChunk) -> None:
        self._tail.append(ready.packed())
        self._tail_samples += ready.chunk.samples
        self._tail_bytes += ready.size
        self._trim()

    def _trim(self) -> None:
        while self._tail and (
            self._tail_samples - self._tail[0].chunk.samples > TAIL_SAMPLES
            or len(self._tail) > TAIL_CHUNKS
            or self._tail_bytes > self._tail_limit
        ):
            oldest = self._tail.popleft()
            self._tail_samples -= oldest.chunk.samples
            self._tail_bytes -= oldest.size
