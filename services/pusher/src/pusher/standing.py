"""A cut that stands already: its object made anew, exactly as whoever wrote it down would have made it; and giving it up where that cannot be.

Owns when a cut is given up: after several tries of this process to make it, because of its entries, never because of a bucket or a key. Then
each entry is looked at anew, the one at fault goes to the dead letters, and the rest goes on. At once where what it comes to is larger than any
store takes: nobody can have put it, and cut anew it comes to several objects.
"""

import logging
from collections import OrderedDict
from typing import Final

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.cut import Cut, decode_cut
from audiobus.deletions import drop_cut
from audiobus.errors import BadEntryError
from audiobus.state import ConversationState
from pusher.arrived import Arrived
from pusher.batch_builder import Built
from pusher.buffer import Buffer
from pusher.cutter import context_after
from pusher.errors import BuildError, ObjectTooLargeError
from pusher.maker import Maker
from pusher.protection import sealed_by
from pusher.stored_ranges import covers

log = logging.getLogger(__name__)

GIVEN_UP_AFTER: Final = 3
"""Builds of it that failed, each after a longer pause: another build of ours may have written it down and be about to finish it."""
REMEMBERED: Final = 10_000
"""Conversations whose cuts could not be made; one that is forgotten is tried so often again."""


class StandingCuts:
    """Makes them anew, and knows how often each could not be made."""

    def __init__(self, bus: Bus, maker: Maker) -> None:
        self._bus = bus
        self._maker = maker
        self._failed: OrderedDict[Conversation, tuple[bytes, int]] = OrderedDict()
        """The cut that could not be made, and how often."""

    async def remake(
        self, conversation: Conversation, state: ConversationState, raw: bytes, now_ms: int
    ) -> Built | None:
        """What the cut `raw` comes to; None where it was given up just now: begin with the state again.

        Raises:
            BadEntryError, BuildError: an entry of it is at fault. It stands.
            NoKeyError: it must be sealed, and there is no key.
            BusUnavailableError: Redis does not answer.
        """
        cut = decode_cut(raw)
        try:
            built = await self._make(conversation, state, cut, now_ms)
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
        return built

    async def _make(
        self, conversation: Conversation, state: ConversationState, cut: Cut, now_ms: int
    ) -> Built:
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
            return await self._maker.make(
                conversation,
                buffer.arrived,
                state.preroll,
                cut.exclude,
                sealed=sealed,
                context_samples=context_after(cut.reason),
            )
        # Its entries are gone although it stands: Redis was changed by hand. There is nothing left to store.
        log.error("a cut has no entries", extra={"first": cut.first, "last": cut.last})
        return Built(None, b"", "", {}, state.preroll, 0, {cut.last_id.epoch: cut.last_id.offset})

    async def _give_up(self, conversation: Conversation, raw: bytes, cut: Cut, now_ms: int) -> None:
        await drop_cut(self._bus, conversation, raw, cut.name, now_ms)
        self._failed.pop(conversation, None)

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
