"""The buckets of a pusher, and which of them a conversation may use now.

Owns the rule of the second bucket: it takes batches when the first has been away for a minute, and only then. Also who waits for a bucket,
so that they are looked at as soon as it is back (`comeback`). What is moved home, and how, stands in `homecoming`.
"""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from audiobus.conversation import Conversation
from pusher.circuit import Probe
from pusher.guarded_store import GuardedStore

AWAY_MS: Final = 60_000
"""The first bucket has been away so long: batches go to the second."""
SPREAD_MS: Final = 5_000
"""Those that waited for that come within this, not all in one moment."""
MOST_WAITING: Final = 100_000
"""Conversations remembered to be looked at when the bucket is back; whoever is beyond that comes when it is due."""


@dataclass(frozen=True, slots=True)
class GiveBack:
    """No bucket may be asked now."""

    until_ms: int
    """When to come again, unix ms."""


@dataclass(eq=False, slots=True)
class Turn:
    """What one conversation may ask, while it is drained."""

    conversation: Conversation
    probes: dict[GuardedStore, Probe] = field(default_factory=dict)
    unlisted: bool = False
    """What lies in the first bucket could not be asked before the cut: it must be asked before anything is put there."""


class Buckets:
    """The first bucket, and the second where there is one."""

    def __init__(
        self, first: GuardedStore, second: GuardedStore | None = None, rng: random.Random | None = None
    ) -> None:
        self.first = first
        self.second = second
        self._now_ms = first.now_ms
        self.back = asyncio.Event()
        """Set when a circuit closes: those that wait shall be looked at."""
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._turns: dict[Conversation, Turn] = {}
        self._waiting: dict[Conversation, None] = {}
        self._unfailed: dict[Conversation, None] = {}
        """Those of them whose last try did not fail: they try first."""

    @property
    def all(self) -> tuple[GuardedStore, ...]:
        """Every bucket there is, the first one first."""
        return (self.first,) if self.second is None else (self.first, self.second)

    @property
    def well(self) -> bool:
        """The first bucket works: nobody has to wait for anything."""
        return self.first.circuit.closed

    @contextmanager
    def turn(self, conversation: Conversation, *, failed_last: bool = False) -> Iterator[Turn | GiveBack]:
        """What the conversation may do now; held while it is drained. No conversation has two turns at once.

        `failed_last`: its last try failed; it lets others try a bucket that counts as away before it does.
        """
        turn = Turn(conversation)
        now_ms = self._now_ms()
        self._unfailed.pop(conversation, None)
        patient = failed_last and bool(self._unfailed)
        for bucket in self._wanted():
            if bucket.circuit.closed:
                continue
            if (probe := bucket.circuit.probe(now_ms, patient=patient)) is not None:
                turn.probes[bucket] = probe
        try:
            if not self._open_to(turn):
                if not failed_last and len(self._unfailed) < MOST_WAITING:
                    self._unfailed[conversation] = None
                yield self.give_back(conversation)
                return
            self._turns[conversation] = turn
            yield turn
        finally:
            self._turns.pop(conversation, None)
            _end(turn)

    def places(self, turn: Turn) -> tuple[GuardedStore, ...]:
        """Where a batch may be put now, in this order; nothing where a circuit opened since the turn began."""
        return self._open_to(turn)

    @contextmanager
    def to_sweep(self, conversation: Conversation) -> Iterator[tuple[GuardedStore, ...]]:
        """Which buckets may be asked to delete something now: those that work, and such as it is time to try again.

        Also the second while the first works: nobody puts anything there that would show that it is back.
        """
        turn = self._turns.get(conversation)
        own = Turn(conversation)
        asked: list[GuardedStore] = []
        for bucket in self.all:
            tries = turn is not None and bucket in turn.probes
            if not bucket.circuit.closed and not tries:
                probe = bucket.circuit.probe(self._now_ms())
                if probe is None:
                    continue
                own.probes[bucket] = probe
            asked.append(bucket)
        try:
            yield tuple(asked)
        finally:
            _end(own)

    def to_ask(self, conversation: Conversation) -> tuple[GuardedStore, ...]:
        """Which buckets are asked what lies there before a cut. The second comes first: what is moved home meanwhile is seen in one.

        A second one that is away is left out: what it has of this audio is found at home when it is to be moved there.
        """
        turn = self._turns.get(conversation)
        if self.second is None:
            return (self.first,)
        if turn is not None and self.first not in self._open_to(turn):
            return (self.second,)
        return (self.second, self.first) if self.second.circuit.closed else (self.first,)

    def can_go_on_without(self, bucket: GuardedStore) -> bool:
        """Whether a cut can be made although this bucket could not be asked: because the other one takes it, and makes sure later."""
        return self.second is not None and (bucket is self.first) == self.second_serves

    @property
    def second_serves(self) -> bool:
        """Whether batches go to the second bucket now."""
        return self.second is not None and self.first.circuit.away_ms(self._now_ms()) >= AWAY_MS

    def listed(self, conversation: Conversation, *, first: bool) -> None:
        """Notes whether the next cut of the conversation knows what lies in the first bucket."""
        turn = self._turns.get(conversation)
        if turn is not None and self.second is not None:
            turn.unlisted = not first

    def give_back(self, conversation: Conversation) -> GiveBack:
        """Sends a conversation away until there may be a bucket for it. Its turn, if it has one, is over."""
        if (turn := self._turns.get(conversation)) is not None:
            _end(turn)
        if len(self._waiting) < MOST_WAITING:
            self._waiting[conversation] = None
        now_ms = self._now_ms()
        until_ms = min(bucket.circuit.come_again_ms(now_ms) for bucket in self._wanted())
        if self.second is not None and not self.second_serves:
            serves_ms = now_ms + max(0, AWAY_MS - self.first.circuit.away_ms(now_ms))
            until_ms = min(until_ms, serves_ms + self._rng.randrange(SPREAD_MS))
        return GiveBack(until_ms)

    def take_waiting(self) -> list[Conversation]:
        """Those that were sent away since this was asked last."""
        waiting = list(self._waiting)
        self._waiting.clear()
        self._unfailed.clear()
        return waiting

    def _wanted(self) -> tuple[GuardedStore, ...]:
        return self.all if self.second_serves else (self.first,)

    def _open_to(self, turn: Turn) -> tuple[GuardedStore, ...]:
        return tuple(bucket for bucket in self._wanted() if bucket.circuit.closed or bucket in turn.probes)


def _end(turn: Turn) -> None:
    while turn.probes:
        bucket, probe = turn.probes.popitem()
        bucket.circuit.end(probe)
