"""Which objects' names cuts speak of that stand. Asks Redis at each call, and remembers nothing."""

from collections.abc import Iterable

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.cut import decode_cut
from audiobus.errors import BadEntryError
from audiobus.letters_cut import decode_letters_cut, name_in


async def named_by_cuts(bus: Bus, conversation: Conversation) -> list[str]:
    """Of the cut of the buffer and that of the dead letters: whoever carries one out is not done with what has its name.

    That of the dead letters may be of another version: its name has the same place in all of them.

    Raises:
        BadEntryError: one of them cannot be read, nor its name.
        BusUnavailableError: Redis does not answer.
    """
    cut, letters_cut = await bus.command("HMGET", bus.keys.conv(conversation), "cut", "again_cut")
    names = [decode_cut(cut).name] if cut else []
    return [*names, _letters_name(letters_cut)] if letters_cut else names


async def cuts_of(bus: Bus, conversation: Conversation) -> list[bytes]:
    """The cut of the buffer and that of the dead letters, as they stand, whatever their version. BusUnavailableError: Redis does not answer."""
    cuts = await bus.command("HMGET", bus.keys.conv(conversation), "cut", "again_cut")
    return [cut for cut in cuts if cut]


def speaks_of(cuts: Iterable[bytes], name: str) -> bool:
    """Whether one of them has that name: it stands in it byte for byte, also where this build cannot read the cut."""
    return any(name.encode() in cut for cut in cuts)


def _letters_name(raw: bytes) -> str:
    try:
        return decode_letters_cut(raw).name
    except BadEntryError:
        if name := name_in(raw):
            return name
        raise
