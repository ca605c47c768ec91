"""All chance of one history, from its seed; what happened, as a trace; and how often each fault hit.

Swarm testing (Groce and others, 2012): each history has only some kinds of faults, each at a rate of its own, so that rare kinds
are not drowned by frequent ones, and some histories go on for long under a single kind.
"""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RATES: Final[dict[str, tuple[float, float]]] = {
    # At each command to Redis, and each request to the bucket.
    "redis: request lost": (0.005, 0.08),
    "redis: reply lost": (0.005, 0.08),
    "redis: executed late": (0.005, 0.06),
    "redis: executed twice": (0.005, 0.06),
    "redis: slow": (0.01, 0.10),
    "redis: pipeline torn": (0.01, 0.15),
    "chunk: damaged": (0.02, 0.25),
    "bucket: 5xx": (0.02, 0.40),
    "bucket: reply lost": (0.02, 0.40),
    "bucket: lands late": (0.02, 0.30),
    "bucket: slow": (0.05, 0.40),
    "bucket: wrong checksum": (0.20, 0.60),
    "bucket: stored damaged": (0.05, 0.40),
    "process: killed before a request": (0.001, 0.02),
    "process: killed after a request": (0.001, 0.02),
    "process: killed after an answer": (0.001, 0.02),
    "process: stopped": (0.001, 0.02),
    # At each cut, burial and giving up, and before each look at what lies in the bucket.
    "process: stopped at a turn": (0.02, 0.40),
    # At each ack, and in a second.
    "line: cut": (0.02, 0.25),
    "line: half-open": (0.02, 0.25),
    "socket: taken over": (0.01, 0.12),
    "device: forgets its session": (0.05, 0.40),
    "user: protection changes": (0.02, 0.10),
    "process: killed after an ack": (0.01, 0.10),
    "process: killed": (0.01, 0.06),
    "process: stopped for long": (0.01, 0.06),
    "process: asked to end": (0.01, 0.06),
    "redis: away": (0.01, 0.06),
    "redis: full": (0.01, 0.06),
    "redis: groups gone": (0.01, 0.08),
    "redis: hints gone": (0.01, 0.08),
    "redis: last writes lost": (0.02, 0.10),
    "bucket: away": (0.01, 0.08),
    "bucket: second away": (0.01, 0.08),
    "bucket: refuses": (0.01, 0.06),
    "bucket: full": (0.01, 0.06),
    "conversation: deleted": (0.01, 0.06),
    "user: deleted": (0.02, 0.10),
    "user: deleted up to the past": (0.05, 0.20),
    # At each time that Redis loses its last writes.
    "redis: old master goes on": (0.3, 1.0),
    # At each request to storage-api.
    "request: answer lost": (0.05, 0.4),
    "request: sent twice": (0.05, 0.4),
    # Of all chunks, so many for each process.
    "chunk: unreadable to a build": (0.03, 0.40),
}
"""Each kind of fault, with the least and the greatest rate that a history may have of it."""
SELDOM: Final = {
    "chunk: damaged": 0.12,
    "chunk: unreadable to a build": 0.15,
    "user: deleted": 0.2,
    "user: deleted up to the past": 0.2,
}
"""Of the histories so many have these: where audio may be missing less is seen."""
LOSSY: Final = "redis: last writes lost"
OLD_MASTER: Final = "redis: old master goes on"
UNHINTED: Final = (
    LOSSY,
    "redis: away",
    "process: killed before a request",
    "process: killed after a request",
    "process: killed after an answer",
    "process: killed after an ack",
    "process: killed",
    "process: asked to end",
)
"""With these, what a listener was about to put on `due` may be lost with it, or not be put there in time: a walk finds the buffer."""
CUTS: Final = 0.08
"""Of the histories, in so many somebody deletes parts of what is recorded; in none whose faults are given."""
MERGES: Final = 0.08
"""In so many somebody merges conversations; likewise."""
PART: Final = 0.4
"""Of the kinds a history has so many, about."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """What histories have whatever their dice say. These are thrown all the same, so that the rest of a history is as likely as without."""

    second: bool = False
    """A second bucket."""
    faults: tuple[str, ...] = ()
    """These kinds of faults, at rates that are left to the seed."""
    cuts: bool = False
    """Somebody deletes parts of what is recorded."""
    merges: bool = False
    """Somebody merges conversations."""


NOTHING_FIXED: Final = Fixed()


class Chance:
    """The dice of one history."""

    def __init__(
        self,
        seed: int,
        faults: Sequence[str] | Mapping[str, float] | None = None,
        *,
        fixed: Fixed = NOTHING_FIXED,
        tracing: bool = False,
    ) -> None:
        """`faults`: only these kinds, or these rates; None leaves it to the seed, but for those that are `fixed`."""
        self.seed = seed
        self.fixed = fixed
        self.dice = random.Random(seed)
        self.parts = random.Random(f"parts of {seed}")
        """Whether parts are deleted and conversations merged, and how many do it: apart from the other dice, so that histories without are what they were."""
        self.cuts = self.parts.random() < (CUTS if faults is None else 0.0) or fixed.cuts
        """Whether somebody deletes parts of what is recorded."""
        self.merges = self.parts.random() < (MERGES if faults is None else 0.0) or fixed.merges
        """Whether somebody merges conversations."""
        self.hits: Counter[str] = Counter()
        self.lines: list[str] = []
        self.digest = 0
        """Of everything that happened: the same for the same seed."""
        self.now: Callable[[], float] = lambda: 0.0
        self.tracing = tracing
        self._calm = False
        self._hits_calm: Counter[str] = Counter()
        chosen = (
            [kind for kind in RATES if self.dice.random() < SELDOM.get(kind, PART) or kind in fixed.faults]
            if faults is None
            else faults
        )
        self._rates = (
            {**chosen}
            if isinstance(chosen, Mapping)
            else {kind: self.dice.uniform(*RATES[kind]) for kind in chosen}
        )

    @property
    def asks(self) -> bool:
        """Whether anybody asks a storage-api for anything."""
        return self.cuts or self.merges

    def has(self, kind: str) -> bool:
        """Whether this history has faults of the kind."""
        return kind in self._rates

    def strikes(self, kind: str, share: float = 1.0, *, calm_too: int = 0) -> bool:
        """Whether a fault of the kind happens here. `calm_too`: so many of the kind may happen when the others have ended."""
        rate = self._rates.get(kind)
        if rate is None or (self._calm and self._hits_calm[kind] >= calm_too):
            return False
        if self.dice.random() >= rate * share:
            return False
        self._hits_calm[kind] += self._calm
        self.hit(kind)
        return True

    def singles_out(self, kind: str, what: str) -> bool:
        """Whether a fault of the kind hits that one thing, each time that it is asked."""
        rate = self._rates.get(kind)
        if (
            rate is None
            or self._calm
            or zlib.crc32(what.encode(), self.seed & 0xFFFFFFFF) >= rate * (1 << 32)
        ):
            return False
        self.hit(kind)
        return True

    def pick(self, kinds: Sequence[str]) -> str | None:
        """Which of these faults happens here, if any: at most one."""
        if self._calm:
            return None
        at = self.dice.random()
        for kind in kinds:
            at -= self._rates.get(kind, 0.0)
            if at < 0:
                self.hit(kind)
                return kind
        return None

    def hit(self, kind: str) -> None:
        """A fault has happened."""
        self.hits[kind] += 1
        self.note(kind)

    def calm(self) -> None:
        """No more faults, but for a few of those that strike what is left to do."""
        self._calm = True
        self.note("all faults end")

    def between(self, least: float, most: float) -> float:
        return self.dice.uniform(least, most)

    def note(self, text: str) -> None:
        """Something happened."""
        line = f"{self.now():10.3f} {text}"
        self.digest = zlib.crc32(line.encode(), self.digest)
        if self.tracing:
            self.lines.append(line)

    def tell(self, text: str) -> None:
        """For the trace alone; costs time: ask `tracing` first."""
        self.lines.append(f"{self.now():10.3f}   {text}")
