"""Writing a cut down under a name that is free: not that of other runs, nor that of an object that was deleted."""

from dataclasses import replace

import msgspec

from audiobus.answers import ConversationGone, CutStands, NameGone, OtherCutStands, SettledMoved
from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.cut import Cut
from audiobus.entry_id import EntryId
from audiobus.errors import BadEntryError
from audiostore.names import parse_name


def later(cut: Cut) -> Cut:
    """The same cut, under a name that ends a millisecond later.

    Raises:
        BadEntryError: its name is none of a batch.
    """
    name = parse_name(cut.name)
    if name is None:
        raise BadEntryError(f"cut: {cut.name!r} is no name of a batch")
    return msgspec.structs.replace(cut, name=replace(name, end_ms=name.end_ms + 1).path)


async def write_down(
    bus: Bus,
    conversation: Conversation,
    cut: Cut,
    *,
    settled: EntryId | None,
    replaces: bytes | None = None,
    history: str = "",
) -> tuple[CutStands | OtherCutStands | SettledMoved | ConversationGone, Cut]:
    """`Bus.cut`, under the first name from that of the cut on that no deleted object had; and the cut with that name."""
    while True:
        answer = await bus.cut(conversation, cut, settled=settled, replaces=replaces, history=history)
        if not isinstance(answer, NameGone):
            return answer, cut
        cut = later(cut)
