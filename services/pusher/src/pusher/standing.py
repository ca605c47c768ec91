"""A cut that stands already: its object made anew, exactly as whoever wrote it down would have made it; and giving it up where that cannot be.

Owns when a cut is given up: after several tries of this process to make it, because of its entries, never because of a bucket or a key. Then
each entry is looked at anew, the one at fault goes to the dead letters, and the rest goes on. At once where what it comes to is larger than any
store takes: nobody can have put it, and cut anew it comes to several objects. At once, too, where some of it lies in the bucket under other names:
a Redis that has gone back brings back a cut that was given up, whose audio was cut anew since.
"""

import logging
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.cut import Cut, decode_cut
from audiobus.deletions import drop_cut, gone
from audiobus.errors import BadEntryError
from audiobus.replacing import not_counting
from audiobus.state import ConversationState
from audiocodec.span import Span
from audiostore.errors import NotFoundError
from pusher.already_stored import AlreadyStored
from pusher.arrived import Arrived
from pusher.batch_builder import Built
from pusher.buckets import Buckets
from pusher.buffer import Buffer
from pusher.cutter import context_after
from pusher.errors import BuildError, ObjectTooLargeError
from pusher.maker import Maker
from pusher.name_owner import own_name
from pusher.protection import sealed_by
from pusher.stored_ranges import covers

log = logging.getLogger(__name__)

GIVEN_UP_AFTER: Final = 3
"""Builds of it that failed, each after a longer pause: another build of ours may have written it down and be about to finish it."""
REMEMBERED: Final = 10_000
"""Conversations whose cuts could not be made; one that is forgotten is tried so often again."""


@dataclass(frozen=True, slots=True)
class Remade:
    """A cut that stands, made anew."""

    built: Built
    lies_there: bool
    """A bucket holds all of it, perhaps under other names."""


class StandingCuts:
    """Makes them anew, and knows how often each could not be made."""

    def __init__(self, bus: Bus, maker: Maker, buckets: Buckets, already_stored: AlreadyStored) -> None:
        self._bus = bus
        self._maker = maker
        self._buckets = buckets
        self._already_stored = already_stored
        self._failed: OrderedDict[Conversation, tuple[bytes, int]] = OrderedDict()
        """The cut that could not be made, and how often."""

    async def remake(
        self, conversation: Conversation, state: ConversationState, raw: bytes, history: str, now_ms: int
    ) -> Remade | None:
        """What the cut `raw` comes to; None where it was given up just now: begin with the state again.

        Raises:
            StoreError, CannotTellError: nobody in this history of Redis has looked into the bucket, or it must be given up and something may have its
                name, and it cannot be looked into. It stands.
            BadEntryError, BuildError: an entry of it is at fault. It stands.
            NoKeyError: it must be sealed, and there is no key.
            BusUnavailableError: Redis does not answer.
        """
        cut = decode_cut(raw)
        try:
            remade = await self._make(conversation, state, cut, history, now_ms)
        except ObjectTooLargeError as error:
            log.warning(
                "a batch is too large: it is given up, and cut into smaller ones",
                extra={"reason": str(error)},
            )
            await self._give_up(conversation, raw, cut, now_ms)
            return None
        except (BadEntryError, BuildError):
            if self._failed_again(conversation, raw) <= GIVEN_UP_AFTER:
                raise
            log.exception("a batch that cannot be made is given up: its entries are looked at one by one")
            await self._give_up(conversation, raw, cut, now_ms)
            return None
        self._failed.pop(conversation, None)
        if remade is None:
            log.warning("some of a batch that was to be stored lies in the bucket: the rest is cut anew")
            # What has the name is another recording's, if anything has it: that one's name is not given up.
            name = "" if await self._is_taken(conversation, cut.name) else cut.name
            await drop_cut(self._bus, conversation, raw, name, now_ms)
        return remade

    async def _make(
        self, conversation: Conversation, state: ConversationState, cut: Cut, history: str, now_ms: int
    ) -> Remade | None:
        """None where a bucket holds some of its chunks, but not all."""
        sealed = sealed_by(cut)
        buffer = Buffer(self._bus, conversation, state)
        size_bytes, measured = 0, 0
        while buffer.more:
            await buffer.read_page(now_ms, last=cut.last_id)
            fresh, measured = buffer.arrived[measured:], len(buffer.arrived)
            size_bytes += sum(_enters(one, cut) for one in fresh)
            if size_bytes > self._maker.most_bytes:  # not read to its end: all of that would have to be held
                raise ObjectTooLargeError(
                    f"entries {cut.first} to {cut.last}: more than {size_bytes} bytes of packets"
                )
        if buffer.arrived:
            spans = [one.audio for one in buffer.arrived if one.audio and not covers(cut.exclude, one.audio)]
            there = await self._there(conversation, spans, history)
            if any(there) and not all(there):
                return None
            built = await self._maker.make(
                conversation,
                buffer.arrived,
                state.preroll,
                cut.exclude,
                sealed=sealed,
                context_samples=context_after(cut.reason),
            )
            return Remade(built, any(there))
        # Its entries are gone although it stands: Redis was changed by hand. There is nothing left to store.
        log.error("a cut has no entries", extra={"first": cut.first, "last": cut.last})
        built = Built(None, b"", "", {}, state.preroll, 0, {cut.last_id.epoch: cut.last_id.offset})
        return Remade(built, lies_there=False)

    async def _there(self, conversation: Conversation, spans: list[Span], history: str) -> list[bool]:
        """Which of them a bucket holds, in whichever objects; asked once in each history of Redis, by each process."""
        if not spans:
            return []
        start_ms, end_ms = min(span.start_ms for span in spans), max(span.end_ms for span in spans)
        if self._already_stored.known(conversation, history, start_ms, end_ms):
            return []
        # What lies under these names is about to be deleted.
        without = await gone(self._bus, conversation)
        unsure = partial(not_counting, self._bus, conversation)
        ranges = await self._already_stored.between(
            conversation, history, start_ms, end_ms, without=without, unsure=unsure
        )
        return [covers(ranges, span) for span in spans]

    async def _give_up(self, conversation: Conversation, raw: bytes, cut: Cut, now_ms: int) -> None:
        ring = self._maker.keys.ring()
        name = await own_name(self._buckets.to_ask(conversation), ring, conversation, cut)
        await drop_cut(self._bus, conversation, raw, name, now_ms)
        self._failed.pop(conversation, None)

    async def _is_taken(self, conversation: Conversation, name: str) -> bool:
        for bucket in self._buckets.to_ask(conversation):
            with suppress(NotFoundError):
                await bucket.head(name)
                return True
        return False

    def _failed_again(self, conversation: Conversation, raw: bytes) -> int:
        """How often this very cut could not be made here."""
        before, count = self._failed.pop(conversation, (raw, 0))
        count = count + 1 if before == raw else 1
        self._failed[conversation] = (raw, count)
        if len(self._failed) > REMEMBERED:
            self._failed.popitem(last=False)
        return count


def _enters(one: Arrived, cut: Cut) -> int:
    """Bytes of its packets that the object would have."""
    span = one.audio
    return 0 if span is None or covers(cut.exclude, span) else sum(map(len, span.packets))
