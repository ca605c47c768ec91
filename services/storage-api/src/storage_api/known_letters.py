"""The dead letters of conversations, as far as they tell what is missing and when it was recorded. Writes nothing.

Owns what is remembered of them: a letter never holds other audio than when it was buried, so it is read once. Which there are is asked each time. What
is no letter, and lies among them, may become one: that is read each time.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from audiobus import Bus, Conversation, EntryId, decode_chunk
from audiobus.dead_letters import Found, look_at, names_of
from audiobus.errors import BadEntryError
from storage_api.unheard import LAST_48K, Unheard

PAGE_LETTERS: Final = 256
"""Letters that are handed to a thread at once: about 1 MiB, and as many seconds."""
REMEMBERED_LETTERS: Final = 20_000
"""Letters of which is remembered what they tell: five hours of audio, some 600 bytes each."""


class KnownLetters:
    """Those that were read lately."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Conversation, bytes], Unheard | None] = OrderedDict()
        """By conversation and field; None for one without audio."""

    async def of(self, bus: Bus, conversation: Conversation) -> list[Unheard]:
        """The conversation's letters that hold audio, or may, in no order. BusUnavailableError."""
        letters: list[Unheard | None] = []
        unknown: list[bytes] = []
        for name in await names_of(bus, conversation):
            key = conversation, name
            if key in self._known:
                self._known.move_to_end(key)
                letters.append(self._known[key])
            else:
                unknown.append(name)
        page: list[tuple[bytes, Found]] = []
        async for one in look_at(bus, conversation, unknown):
            page.append(one)
            if len(page) == PAGE_LETTERS:
                letters += await self._read(conversation, page)
                page = []
        letters += await self._read(conversation, page)
        return [letter for letter in letters if letter is not None]

    async def _read(
        self, conversation: Conversation, page: list[tuple[bytes, Found]]
    ) -> list[Unheard | None]:
        if not page:
            return []
        # It takes milliseconds: each packet is looked at.
        read = await asyncio.to_thread(_told, conversation.cid, [found for _, found in page])
        for (name, found), told in zip(page, read, strict=True):
            if found.letter is not None:
                self._known[conversation, name] = told
        while len(self._known) > REMEMBERED_LETTERS:
            self._known.popitem(last=False)
        return read


def _told(conversation_id: str, page: Iterable[Found]) -> list[Unheard | None]:
    return [_letter(conversation_id, found) for found in page]


def _letter(conversation_id: str, found: Found) -> Unheard | None:
    """None where there is no audio in it, or it was never an entry."""
    letter = found.letter
    if letter is None:
        try:
            return Unheard(EntryId.parse(found.id), 0, 0, "dead_letter")
        except ValueError:
            return None
    entry = letter.entry
    try:
        chunk = decode_chunk(entry.chunk or b"")
        span = replace(chunk.span(conversation_id, entry.id.epoch, entry.id.offset), packets=())
        readable = chunk.first_offset <= entry.id.offset and 0 <= span.start_48k <= LAST_48K
    except (BadEntryError, ValueError):
        return Unheard(entry.id, letter.first_offset, letter.samples, "dead_letter")
    if not chunk.packets:
        return None
    first_offset = letter.first_offset
    return Unheard(entry.id, first_offset, letter.samples, "dead_letter", span if readable else None)
