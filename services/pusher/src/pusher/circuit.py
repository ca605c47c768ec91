"""The circuit of one store: whether conversations may ask it at all. Pure: values and `now_ms` in, decisions out.

Owns the rule of when a store counts as away, who may try it meanwhile, and that it is back. One conversation's trouble (a name that is
taken, a key that is missing, an entry that does not parse) is never told here; and where others' objects are stored, one conversation's
failures say nothing of the store. Nothing here gives up: however long it takes, somebody tries again within seconds.

    closed ──4 failures in a row, nothing stored between──▶ open ◀──┐ whatever failed last
      ▲    ──2 of them an operator's to mend──────────────▶ paused ◀┘ says which of the two
      │      (of two conversations, or of the store itself)
      └───────────────the first object that is stored───────────┘
"""

import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

OPENS_AFTER: Final = 4
"""Failures in a row, over all conversations."""
PAUSES_AFTER: Final = 2
"""Of failures that only an operator can mend."""
QUIET_MS: Final = 120_000
"""Nothing was stored for so long: then what fails for one conversation alone counts too, as there may be no other."""
MOST_SUSPECTS: Final = 10_000
PATIENT_MS: Final = 3_000
"""Whose last try failed lets others try first, for so long: where a single object is at fault, theirs are stored."""
ROW_MS: Final = 600_000
"""Failures that lie farther apart are no row: a bucket that is asked seldom may fail now and then."""
PROBE_EVERY_MS: Final = 1_500
PAUSED_PROBE_EVERY_MS: Final = 10_000
PROBE_ALONE_MS: Final = 5_000
"""A try that has had no answer so long hangs, perhaps on a connection that is dead: another may begin."""
PROBES_AT_ONCE: Final = 4
BOOKED_EVERY_MS: Final = 250
"""Those that are sent away come back one after another: there is always one there for the next try, and never all of them."""
LONGEST_WAIT_MS: Final = 30_000
"""Who finds no place in that row comes back after this at the latest."""


class Phase(StrEnum):
    """How a store is; also the label of a metric."""

    CLOSED = "closed"
    """It works: everybody may ask."""
    OPEN = "open"
    """It is away, slow or full: one try after another, and it is back by itself."""
    PAUSED = "paused"
    """Address, bucket or rights are wrong: an operator has to act. Seldom tries."""


@dataclass(eq=False, slots=True)
class Probe:
    """The right of one conversation to try a store that counts as away. Give it back with `Circuit.end`."""

    begun_ms: int


@dataclass(slots=True)
class Circuit:
    """What is known of one store in this process."""

    rng: random.Random = field(default_factory=random.Random)
    phase: Phase = Phase.CLOSED
    why: str = ""
    """The last failure, where it is not closed."""
    opened: int = 0
    """How often it opened: where that is another number, the store was away meanwhile."""
    _in_a_row: int = 0
    _for_operators: int = 0
    """How many of them an operator has to mend."""
    _away_since_ms: int = 0
    """When the first of them began."""
    _whose: set[str | None] = field(default_factory=set)
    """Whose failures these are; None: the store's, as in a listing."""
    _suspects: dict[str, None] = field(default_factory=dict)
    """Whose try failed while others' objects were stored, and none of their own since."""
    _worked_ms: int | None = None
    _failed_ms: int = 0
    _next_probe_ms: int = 0
    _booked_ms: int = 0
    _probes: set[Probe] = field(default_factory=set)
    _newest: Probe | None = None

    @property
    def closed(self) -> bool:
        """Whether everybody may ask it."""
        return self.phase is Phase.CLOSED

    def away_ms(self, now_ms: int) -> int:
        """Since when nothing could be stored, as a duration; 0 while it is closed."""
        if self.closed:
            return 0
        # A clock that was put back must not make it longer than it was.
        self._away_since_ms = min(self._away_since_ms, now_ms)
        return now_ms - self._away_since_ms

    def worked(self, now_ms: int, whose: str | None = None) -> bool:
        """An object was stored (or the name was found taken, which is an answer too). True if that closes the circuit.

        `whose`: of which conversation.
        """
        closes = not self.closed
        self.phase, self.why = Phase.CLOSED, ""
        self._suspects |= dict.fromkeys(one for one in self._whose if one is not None)
        while len(self._suspects) > MOST_SUSPECTS:
            del self._suspects[next(iter(self._suspects))]
        if whose is not None:
            self._suspects.pop(whose, None)
        self._begin_row()
        self._worked_ms = now_ms
        return closes

    def failed(
        self, began_ms: int, now_ms: int, why: str, *, operators: bool, whose: str | None = None
    ) -> None:
        """An operation that began at `began_ms` failed. `operators`: trying again changes nothing until somebody acts.

        `whose`: of which conversation; None where it was about the store itself.
        """
        if self._worked_ms is not None and began_ms < self._worked_ms <= now_ms:
            return  # it began before the store was back: old news
        if self.closed and now_ms - self._failed_ms > ROW_MS:
            self._begin_row()
        self._whose.add(whose)
        quiet = self._worked_ms is None or not 0 <= now_ms - self._worked_ms < QUIET_MS
        if self.closed and whose in self._suspects and not quiet:
            return
        if not self._in_a_row:
            self._away_since_ms = began_ms
        self._in_a_row += 1
        self._for_operators += operators
        self._failed_ms = now_ms
        was_closed = self.closed
        if was_closed and self._in_a_row < OPENS_AFTER and self._for_operators < PAUSES_AFTER:
            return
        if was_closed and len(self._whose) == 1 and None not in self._whose and not quiet:
            return  # of one conversation: rights may hang on names, or its object alone hang
        self.phase, self.why = Phase.PAUSED if operators else Phase.OPEN, why
        if was_closed:
            self.opened += 1
            self._next_probe_ms = self._later(now_ms)
            self._booked_ms = 0

    def probe(self, now_ms: int, *, patient: bool = False) -> Probe | None:
        """The right to try now, if it is time. `patient`: only where others, for whom nothing failed yet, left theirs unused."""
        if self._too_early(now_ms) or len(self._probes) >= PROBES_AT_ONCE:
            return None
        if patient and 0 <= now_ms - self._next_probe_ms < PATIENT_MS:
            return None
        probe = Probe(now_ms)
        self._probes.add(probe)
        self._newest = probe
        self._next_probe_ms = now_ms + PROBE_ALONE_MS
        return probe

    def end(self, probe: Probe) -> None:
        """The conversation that had it is done, whatever came of it: what came of it was told with `worked` and `failed`."""
        self._probes.discard(probe)
        if probe is not self._newest:
            return  # one that hung: another began long ago, and says when the next one may
        if self._failed_ms >= probe.begun_ms:
            self._next_probe_ms = self._later(self._failed_ms)
        else:
            # It never came to the store: the next one may try at once.
            self._next_probe_ms = probe.begun_ms

    def come_again_ms(self, now_ms: int) -> int:
        """When a conversation that may not ask shall come again, unix ms: one after another from the next try on."""
        next_ms = self._next_probe_ms if self._too_early(now_ms) else now_ms
        booked_ms = max(self._booked_ms + BOOKED_EVERY_MS, next_ms)
        if booked_ms - now_ms > LONGEST_WAIT_MS:
            return now_ms + int(LONGEST_WAIT_MS * self.rng.uniform(0.5, 1.0))
        self._booked_ms = booked_ms
        return booked_ms

    def _begin_row(self) -> None:
        self._in_a_row = self._for_operators = 0
        self._whose.clear()

    def _later(self, now_ms: int) -> int:
        every_ms = PAUSED_PROBE_EVERY_MS if self.phase is Phase.PAUSED else PROBE_EVERY_MS
        return now_ms + int(every_ms * self.rng.uniform(0.7, 1.0))

    def _too_early(self, now_ms: int) -> bool:
        # Farther ahead than it can be: the clock was put back.
        return 0 < self._next_probe_ms - now_ms <= PAUSED_PROBE_EVERY_MS
