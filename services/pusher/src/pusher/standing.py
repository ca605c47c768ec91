"""A cut that stands already: its object made anew, exactly as whoever wrote it down would have made it; and giving it up where that cannot be.

Owns when a cut is given up: after several tries, because of its entries, never because of a bucket or a key. Then each entry is looked at
anew, the one at fault goes to the dead letters, and the rest goes on.
"""

import logging
from typing import Final

from audiobus import failures
from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.cut import decode_cut
from audiobus.deletions import drop_cut
from audiobus.errors import BadEntryError
from audiobus.state import ConversationState
from pusher.batch_builder import Built
from pusher.buffer import Buffer
from pusher.cutter import context_after
from pusher.errors import BuildError
from pusher.maker import Maker
from pusher.protection import sealed_by

log = logging.getLogger(__name__)

GIVEN_UP_AFTER: Final = 3
"""Failures in a row: another build may have written it down and be about to finish it."""


async def remake(
    bus: Bus, maker: Maker, conversation: Conversation, state: ConversationState, raw: bytes, now_ms: int
) -> Built | None:
    """What the cut `raw` comes to; None where it was given up just now: begin with the state again.

    Raises:
        BadEntryError, BuildError: an entry of it is at fault. It stands.
        NoKeyError: it must be sealed, and there is no key.
        BusUnavailableError: Redis does not answer.
    """
    cut = decode_cut(raw)
    sealed = sealed_by(cut)
    buffer = Buffer(bus, conversation, state)
    try:
        while buffer.more:
            await buffer.read_page(now_ms, last=cut.last_id)
        if buffer.arrived:
            return await maker.make(
                conversation,
                buffer.arrived,
                state.preroll,
                cut.exclude,
                sealed=sealed,
                context_samples=context_after(cut.reason),
            )
    except (BadEntryError, BuildError):
        if (await failures.read(bus, conversation)).count < GIVEN_UP_AFTER:
            raise
        log.exception("a batch that cannot be made is given up: its entries are looked at one by one")
        await drop_cut(bus, conversation, raw, cut.name, now_ms)
        return None
    # Its entries are gone although it stands: Redis was changed by hand. There is nothing left to store.
    log.error("a cut has no entries", extra={"first": cut.first, "last": cut.last})
    return Built(None, b"", "", {}, state.preroll, 0, {cut.last_id.epoch: cut.last_id.offset})
