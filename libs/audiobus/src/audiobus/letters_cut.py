"""The letters' cut: which dead letters enter the next object, written down before it is put, as `cut` is for the buffer.

Owns its format (the field `again_cut` of `td:conv`), and reading dead letters by the session. It changes nothing in Redis.
"""

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.cut import Stored
from audiobus.entry_id import EntryId
from audiobus.errors import BadEntryError
from audiobus.letter import Letter, read_letter
from audiobus.script import Argument

VERSION: Final = 1
PAGE: Final = 64
"""Dead letters in one read: a quarter of a megabyte."""


class LettersCut(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Everything about the object that does not follow from the letters. In every version the name has this place (`name_in`)."""

    version: int
    ids: tuple[str, ...]
    """Of the letters, in order. All of them enter the object, or are settled without one."""
    name: str
    """The whole name with its suffix; empty where there is nothing to put."""
    protection: str
    exclude: tuple[Stored, ...] = ()
    """What of them lies in the bucket already and stays out of the object."""

    def reaches(self, epoch: int, first_offset: int, end_offset: int) -> bool:
        """Whether any of these bytes of a session, `[first_offset, end_offset)`, may be in its letters: whether one of them ends there."""
        return any(
            one.epoch == epoch and first_offset < one.offset <= end_offset
            for one in map(EntryId.parse, self.ids)
        )

    def encode(self) -> bytes:
        """The bytes that stand in `td:conv`; equal cuts have equal bytes."""
        return _ENCODER.encode(self)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(LettersCut)


def decode_letters_cut(data: bytes) -> LettersCut:
    """The cut that stands.

    Raises:
        BadEntryError: it is none, or of a version that this build does not know.
    """
    try:
        cut = _DECODER.decode(data)
        for one in cut.ids:
            EntryId.parse(one)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadEntryError(f"cut of dead letters: {error}") from error
    if cut.version != VERSION:
        raise BadEntryError(f"cut of dead letters: version {cut.version} is unknown to this build")
    return cut


def name_in(data: bytes) -> str:
    """The name in a cut that this build cannot read, so that it can be given up; empty where it is none of any version."""
    try:
        fields = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    match fields:
        case [_, _, str(name), *_]:
            return name
        case _:
            return ""


async def standing(bus: Bus, conversation: Conversation) -> bytes | None:
    """The cut of dead letters that stands, as it lies there; None where there is none."""
    raw: bytes | None = await bus.command("HGET", bus.keys.conv(conversation), "again_cut")
    return raw or None


async def ids(bus: Bus, conversation: Conversation) -> list[EntryId]:
    """The ids of all dead letters of a conversation, in order. A field that is no entry's id belongs to no session, and is passed over."""
    found: list[EntryId] = []
    for one in await bus.command("HKEYS", bus.keys.dead(conversation)):
        try:
            found.append(EntryId.parse(one))
        except ValueError:
            continue  # not ours: `dead_letters.look` tells of it
    return sorted(found)


async def letters_of(bus: Bus, conversation: Conversation, epochs: Collection[int]) -> dict[EntryId, Letter]:
    """The dead letters of these sessions, by id, in order.

    Raises:
        BadEntryError: one of them is none of ours.
    """
    wanted = [one for one in await ids(bus, conversation) if one.epoch in epochs]
    found: dict[EntryId, Letter] = {}
    for start in range(0, len(wanted), PAGE):
        page = wanted[start : start + PAGE]
        values = await bus.command("HMGET", bus.keys.dead(conversation), *(str(one) for one in page))
        found |= {one: read_letter(str(one), data) for one, data in zip(page, values, strict=True) if data}
    return found


def first_offsets(letters: Mapping[EntryId, Letter]) -> list[Argument]:
    """Entry id and first offset of each, for scripts that move the first dead byte."""
    pairs: list[Argument] = []
    for one, letter in letters.items():
        pairs += [str(one), letter.first_offset]
    return pairs
