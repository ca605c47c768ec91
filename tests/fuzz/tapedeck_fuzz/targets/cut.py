"""`audiobus.cut.decode_cut`: the next batch as it stands in `td:conv`."""

from audiobus.cut import decode_cut
from audiobus.errors import BadEntryError
from tapedeck_fuzz import msgpack_by_hand
from tapedeck_fuzz.target import Target, demand


def check(data: bytes) -> int | None:
    """Taken: written and read again it is the same cut, and its ids are ids that Redis may hold."""
    try:
        cut = decode_cut(data)
    except BadEntryError as error:
        demand(str(error).startswith("cut"), f"the error names no structure: {error}")
        return None
    demand(decode_cut(cut.encode()) == cut, "written and read again it is another cut")
    for text, entry_id in ((cut.first, cut.first_id), (cut.last, cut.last_id)):
        demand(str(entry_id) == text, f"{text!r} is another id than {entry_id}")
    return sum(map(len, (cut.first, cut.last, cut.name, cut.protection, cut.reason))) + 3 * len(cut.exclude)


TARGET = Target(
    check, msgpack_by_hand.mutate, growth=4, words=(b"standard", b"enhanced", b"1732147200123-32000")
)
