"""`audiobus.EntryId.parse` and `audiobus.Conversation.from_tag`: the two names that Redis holds for us."""

from random import Random

from audiobus import Conversation, EntryId
from tapedeck_fuzz import edits
from tapedeck_fuzz.target import Raw, Target, demand


def check(data: bytes) -> int | None:
    """Taken: it is written as it was read."""
    taken = 0
    try:
        demand(bytes(EntryId.parse(data)) == data, "an id that is written in another way than it was read")
        taken += 1
    except ValueError:
        pass
    try:
        demand(Conversation.from_tag(data).tag.encode() == data, "a tag that is written in another way")
        taken += 1
    except ValueError:
        pass
    return len(data) if taken else None


def mutate(data: bytes, random: Random, _: Raw) -> bytes:
    """A number in it changed, or a few characters."""
    return edits.numbers_in(data.decode("utf-8", "replace"), random).encode("utf-8", "replace")


TARGET = Target(
    check,
    mutate,
    max_bytes=300,
    words=(b"1732147200123-32000", b"user/conversation", b"-", b"/", b"18446744073709551615"),
)
