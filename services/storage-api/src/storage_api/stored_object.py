"""One object of the bucket as far as it is known: its name, what it holds, and whether it can be read.

Pure. Owns what follows from these for the timeline: where the object begins and ends, and its pieces.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from audiocodec.span import Span
from audiostore.batch import BatchFacts
from audiostore.legacy import SAMPLE_RATE, AudioName
from audiostore.store import ObjectInfo
from storage_api.timeline import ObjectKey, Piece, Stored, older_piece

MAX_NAMED_MS: Final = 3_600_000
"""An object that cannot be read is believed to last so long at most, whatever its name or size says: one of them must not make a whole
conversation longer than what can be asked for."""
_SAMPLE_48K: Final = 48_000 // SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class OlderFacts:
    """What an object in an older format holds."""

    sample_rate: ClassVar[int] = SAMPLE_RATE
    channels: ClassVar[int] = 1
    codec: str
    """`pcm` or `opus`."""
    samples: int
    """At 48 kHz. Of one that cannot be read what it still tells; 0 where that is nothing."""

    @classmethod
    def of(cls, name: AudioName, samples_16k: int) -> "OlderFacts":
        """Those of an object that holds so many samples at 16 kHz."""
        return cls(name.codec, samples_16k * _SAMPLE_48K)


Facts: TypeAlias = BatchFacts | OlderFacts


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of an object: what it holds, and whether it can be read."""

    facts: Facts | None = None
    """None where not even its head can be read."""
    reason: str | None = None
    """Why it cannot be read: one of `errors.REASONS`; None where nothing speaks against it."""
    passing: bool = False
    """It may be the line that damaged it: to be doubted after a while, whatever checksum it has."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a conversation whose name says that it is audio."""

    info: ObjectInfo
    """As it was listed."""
    name: AudioName
    verdict: Verdict
    second: bool = False
    """What is meant lies `beside` the one of this name in the first bucket, in the second: that one cannot be read, or holds something else."""

    @property
    def key(self) -> ObjectKey:
        """What tells it from all others of its conversation."""
        return self.info.name, self.second

    @property
    def size(self) -> int:
        """Bytes."""
        return self.info.beside.size if self.second and self.info.beside else self.info.size

    @property
    def reason(self) -> str | None:
        """Why it cannot be read; None where it can."""
        return self.verdict.reason

    @property
    def start_48k(self) -> int:
        """Its first sample: exact where its facts are known, else as its name says."""
        facts = self.verdict.facts
        return facts.spans[0].start_48k if isinstance(facts, BatchFacts) else self.name.start_ms * 48

    @property
    def end_48k(self) -> int:
        """The moment after its last sample, likewise; the start where nothing tells."""
        facts = self.verdict.facts
        if isinstance(facts, BatchFacts):
            return facts.spans[-1].end_48k
        start_ms = self.name.start_ms
        if facts is not None:
            most = facts.samples if self.reason is None else min(facts.samples, MAX_NAMED_MS * 48)
            return start_ms * 48 + most
        return min(max(start_ms, self.name.last_ms or 0), start_ms + MAX_NAMED_MS) * 48

    @property
    def pieces(self) -> list[Piece]:
        """For the timeline; none where it cannot be read."""
        facts = self.verdict.facts
        if facts is None or self.reason is not None:
            return []
        if isinstance(facts, OlderFacts):
            start_ms, rank = self.name.start_ms, self.name.rank
            return [older_piece(self.info.name, start_ms, facts.samples, rank, second=self.second)]
        name, second = self.info.name, self.second
        return [Piece(span, Stored(name, index, second)) for index, span in enumerate(facts.spans)]

    @property
    def spans(self) -> Sequence[Span]:
        """Those of the pieces, in order of time, which are not made for it."""
        facts = self.verdict.facts
        if isinstance(facts, BatchFacts):
            return facts.spans if self.reason is None else ()
        return [piece.span for piece in self.pieces]
