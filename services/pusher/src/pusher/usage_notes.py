"""What a conversation's sessions used, written once more when everything of it is stored.

`listen` writes it each minute and at a session's end. Where its process was killed and the client never came back, nobody else
would write the rest. A total never shrinks (`audiobus.usage`), so that doing it twice, or late, changes nothing.
"""

import logging
from typing import Final

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.entry_id import EntryId
from audiobus.errors import BadEntryError, BusContractError
from audiobus.usage import UserRequest

log = logging.getLogger(__name__)

MOST: Final = 10_000
"""Conversations that are remembered; one that is forgotten costs two commands."""


class UsageNotes:
    """Up to where this process has written what conversations used."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._noted: dict[Conversation, EntryId] = {}

    async def note(self, bus: Bus, conversation: Conversation, newest: EntryId | None) -> None:
        """Writes it, if anything came since the last time. `newest`: of the conversation, as it was read.

        Raises:
            BusUnavailableError: it may be written or not.
        """
        if newest is None or self._noted.get(conversation) == newest:
            return
        try:
            totals = tuple(total for total in await bus.used(conversation) if total.ms)
            if totals:
                user = await bus.look_up_user(UserRequest(conversation.uid, totals[0].day, 0, totals))
                if not user.written:
                    return  # Redis takes no writes just now: with the next look
        except (BadEntryError, BusContractError) as error:
            # Changed by hand. The audio is stored; a sum is no reason to come back for ever.
            log.warning("what a conversation used cannot be written", extra={"error": str(error)})
        self._noted.pop(conversation, None)
        self._noted[conversation] = newest
        if len(self._noted) > self._most:
            del self._noted[next(iter(self._noted))]
