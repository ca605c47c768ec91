"""Writing a cut down under a name that is free: not that of other runs, nor that of an object that was deleted."""

from dataclasses import replace
from typing import TypeVar

import msgspec

from audiobus import dead_letters
from audiobus.answers import ConversationGone, CutStands, NameGone, OtherCutStands, SettledMoved
from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.cut import Cut
from audiobus.errors import BadEntryError
from audiobus.letters_cut import LettersCut
from audiobus.state import ConversationState
from audiostore.names import parse_name

_C = TypeVar("_C", Cut, LettersCut)


def later(cut: _C) -> _C:
    """The same cut, under a name that ends a millisecond later.

    Raises:
        BadEntryError: its name is none of a batch.
    """
    name = parse_name(cut.name)
    if name is None:
        raise BadEntryError(f"cut: {cut.name[-60:]!r} is no name of a batch")
    return msgspec.structs.replace(cut, name=replace(name, end_ms=name.end_ms + 1).path)


async def write_down(
    bus: Bus,
    conversation: Conversation,
    cut: Cut,
    state: ConversationState,
    *,
    replaces: bytes | None = None,
    history: str = "",
) -> tuple[CutStands | OtherCutStands | SettledMoved | ConversationGone, Cut]:
    """`Bus.cut`, under the first name from that of the cut on that no deleted object had; and the cut with that name.

    `state`: as it was read before the cut was planned.
    """
    while True:
        answer = await bus.cut(
            conversation, cut, settled=state.settled, replaces=replaces, history=history, fence=state.fence
        )
        if not isinstance(answer, NameGone):
            return answer, cut
        cut = later(cut)


async def write_letters_down(
    bus: Bus,
    conversation: Conversation,
    cut: LettersCut,
    *,
    now_ms: int,
    replaces: bytes | None = None,
    since: dead_letters.Moment | None = None,
) -> tuple[CutStands | dead_letters.OtherCut | ConversationGone, LettersCut]:
    """`dead_letters.cut`, likewise."""
    while True:
        answer = await dead_letters.cut(bus, conversation, cut, replaces=replaces, since=since, now_ms=now_ms)
        if not isinstance(answer, NameGone):
            return answer, cut
        cut = later(cut)
