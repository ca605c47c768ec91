"""The census: one pusher at a time adds up what all conversations have received, and where it is.

Owns the lease for that, and how often it is done. What waits, and since when, is looked up for the conversations with a buffer, every few
seconds; the books of everything that Redis knows are added up more seldom. Both leave most of the time to draining, however much there is.
It changes nothing but `due`, for what was deleted and is not swept: a census that fails costs a gauge that is behind. What nobody could ever
tell is shown as NaN, never as nothing: a Redis that does not answer must not look like one in which all is stored.
"""

import asyncio
import heapq
import logging
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from audiobus.bus import Bus
from audiobus.census import Balance, exact, pages_of_known
from audiobus.conversation import Conversation
from audiobus.errors import BadEntryError, BusError, BusUnavailableError, MovingError
from audiobus.hints import Hints
from audiobus.look import Look, look, look_each, on_due
from audiobus.script import script
from pusher.books import Books
from pusher.unstored import Unstored
from pusher.worker import unix_ms
from servicekit.stop import Stop

log = logging.getLogger(__name__)

TICK_S: Final = 2.0
LEASE_MS: Final = 10_000
"""So long after its end another pusher counts."""
SHARE: Final = 0.01
"""Of a core's time: so much may a census take, here and in Redis, as long as the periods below allow it."""
EACH_S: Final = 50e-6
"""What a look at one conversation costs of either, measured. Not measured anew: on a busy machine that would be others' time."""
WAITING_S: Final = (5.0, 60.0)
"""What waits is counted as often as the first, as seldom as the second."""
BOOKS_S: Final = (10.0, 3_600.0)
"""The same for the books."""
LAST_WORD_S: Final = 1.0
"""For giving the lease back at the end."""
OLDEST: Final = 64
"""Conversations with the oldest audio, which are looked at again between two counts."""
PROBES: Final = 8
"""Conversations whose entries and letters are added up one by one in each count of the books, by chance."""


@dataclass(slots=True)
class Period:
    """When something comes again that takes a share of the time. Pure."""

    least_s: float
    most_s: float
    at_s: float = 0.0
    counted: bool = False
    """Whether it was, since this process counts."""

    def begin(self) -> None:
        """This process does not count it: it begins at once when it does."""
        self.at_s, self.counted = 0.0, False

    def is_due(self, now_s: float) -> bool:
        """Whether its time has come."""
        return now_s >= self.at_s

    def ended(self, looks: int, now_s: float) -> None:
        """It ended now, after so many looks."""
        self.counted = True
        pause = looks * EACH_S / SHARE
        self.at_s = now_s + min(self.most_s, max(self.least_s, pause))


@dataclass(slots=True)
class Census:
    """Counts until it is asked to stop."""

    bus: Bus
    books: Books
    unstored: Unstored
    holder: str
    now_s: Callable[[], float] = time.monotonic
    rng: random.Random = field(default_factory=random.Random)
    now_ms: Callable[[], int] = unix_ms
    _waiting: Period = field(default_factory=lambda: Period(*WAITING_S))
    _all: Period = field(default_factory=lambda: Period(*BOOKS_S))
    _held_s: float = 0.0
    """Until when the lease is sure to be ours, by `now_s`."""
    _told: bool = False
    """Whether Redis ever said who counts."""
    _ahead: dict[Conversation, tuple[int, int]] = field(default_factory=dict)
    """Where the oldest chunk says that it was made later than now: what it says, and when it was counted first, both unix ms."""

    async def run(self, stop: Stop) -> None:
        """A look at the clock every few seconds; goes on whatever happens to Redis. At the end another pusher may take over at once."""
        self.unstored.speaks = False
        while not stop.is_set():
            try:
                await self.tick()
            except BusError as error:
                # What was counted last stays shown: the oldest audio goes on growing older.
                log.warning("counting the audio failed", extra={"error": str(error)})
            except Exception:
                # A defect, ours or a library's: the gauges would stand still, and nobody would know.
                log.critical("counting the audio broke", exc_info=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TICK_S)
        # Else it runs out by itself.
        with suppress(BusError, TimeoutError):
            await asyncio.wait_for(self._release(), LAST_WORD_S)

    async def tick(self) -> None:
        """Counts what is to be counted now, if no other pusher does."""
        try:
            mine = await self._take_lease()
        except BusError:
            if not self._told:
                self.unstored.known = False
                self.books.waiting(math.nan, math.nan)
                self.books.unknown()
            raise
        self._told = True
        if not mine:
            self.unstored.speaks, self.unstored.known = False, True
            self.books.silent()
            self._waiting.begin()
            self._all.begin()
            self._ahead.clear()
            return
        # Also of what this process alone has seen, should nothing else answer.
        self.unstored.speaks, self.unstored.known = True, self._waiting.counted
        failed: list[BusError] = []
        for period, count in ((self._waiting, self.count_waiting), (self._all, self.count_all)):
            if period.is_due(self.now_s()):
                try:
                    period.ended(await count(), self.now_s())
                except BusError as error:
                    failed.append(error)
        self.unstored.known = self._waiting.counted
        if not self._waiting.counted:
            self.books.waiting(math.nan, math.nan)
        if not self._all.counted:
            self.books.unknown()
        if failed:
            raise failed[0]

    async def count_waiting(self) -> int:
        """Adds up what waits in all buffers that can be looked at, and what fails, and finds the oldest audio; how many looks that took.

        Raises:
            BusUnavailableError: none can.
        """
        samples = failing = count = answered = 0
        oldest: list[tuple[int, Conversation, int]] = []
        ahead: dict[Conversation, tuple[int, int]] = {}
        away: list[BusError] = []
        for partition in range(self.bus.keys.partitions):
            try:
                async for page in on_due(self.bus, partition):
                    found = await look_each(self.bus, page)
                    away += [one for one in found if isinstance(one, BusError)]
                    looks = [one for one in found if isinstance(one, Look)]
                    count += len(looks)
                    samples += sum(max(0, one.balance.waiting) for one in looks)
                    failing += sum(one.failing for one in looks)
                    oldest = heapq.nsmallest(OLDEST, [*oldest, *self._since(looks, ahead)])
                    await self._hold()
                answered += 1
            except BusUnavailableError as error:
                away.append(error)
        if away and not answered:
            raise away[0]
        if away:
            # Of a cluster, a master: what waits on the others is told.
            log.warning("what waits cannot be seen everywhere", extra={"error": str(away[0])})
        self._ahead = ahead
        for since_ms, conversation, made_ms in oldest:
            self.unstored.saw(conversation, made_ms, since_ms)
        self.books.waiting(samples, failing)
        return count

    def _since(
        self, looks: list[Look], ahead: dict[Conversation, tuple[int, int]]
    ) -> Iterator[tuple[int, Conversation, int]]:
        """Since when the oldest audio of each waits, and when it says that it was made, unix ms; notes in `ahead` what says later than now."""
        now_ms = self.now_ms()
        for one in looks:
            if one.oldest_ms is None:
                continue
            since_ms = min(one.oldest_ms, now_ms)
            made_ms, first_ms = self._ahead.get(one.conversation, (0, 0))
            if made_ms == one.oldest_ms:
                since_ms = min(since_ms, first_ms)
            if one.oldest_ms > now_ms or made_ms == one.oldest_ms:
                ahead[one.conversation] = (one.oldest_ms, since_ms)
            yield since_ms, one.conversation, one.oldest_ms

    async def count_all(self) -> int:
        """Adds up the books of everything that Redis knows; how many looks that took.

        A few conversations, and those whose numbers cannot be true, are looked into.
        """
        total, count = Balance(), 0
        doubtful: list[Conversation] = []
        unswept: list[tuple[Conversation, int]] = []
        probes: list[tuple[float, Conversation]] = []
        async for page in pages_of_known(self.bus):
            for one in await look(self.bus, page):
                total += one.balance
                if one.unswept:
                    unswept.append((one.conversation, 0))
                count += 1
                if one.suspicious:
                    doubtful.append(one.conversation)
                elif one.entries or one.letters:
                    probes.append((self.rng.random(), one.conversation))
            probes = heapq.nsmallest(PROBES, probes)
            await self._hold()
        # Redis may have lost that they are on `due`, in a failover, and nothing else would bring them there.
        await Hints(self.bus).put_on_due(unswept)
        unbalanced = 0
        for conversation in [*doubtful, *(one for _, one in probes)]:
            unbalanced += await self._is_unbalanced(conversation)
            await self._hold()
        self.books.total(total, unbalanced)
        return count

    async def _is_unbalanced(self, conversation: Conversation) -> bool:
        try:
            balance = await exact(self.bus, conversation)
        except MovingError:
            return False
        except BadEntryError as error:
            log.critical(
                "the books of a conversation cannot be read",
                extra={"conversation_id": conversation.cid, "error": str(error)},
            )
            return True
        if balance.difference:
            log.critical(
                "the books of a conversation do not add up",
                extra={"conversation_id": conversation.cid, "samples": balance.difference},
            )
        return bool(balance.difference)

    async def _take_lease(self) -> bool:
        asked_s = self.now_s()
        keys = [self.bus.keys.census_lease()]
        taken = bool(await script("lease").run(self.bus.client, keys, [self.holder, LEASE_MS]))
        self._held_s = asked_s + LEASE_MS / 1000 if taken else 0.0
        return taken

    async def _release(self) -> None:
        await script("release").run(self.bus.client, [self.bus.keys.census_lease()], [self.holder])

    async def _hold(self) -> None:
        """Renews the lease in the middle of a long count."""
        if self.now_s() > self._held_s - LEASE_MS / 2000:
            await self._take_lease()
