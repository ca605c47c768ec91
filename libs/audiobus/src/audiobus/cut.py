"""The cut: the next batch, written down before it is built, so that whoever builds it makes the very same object."""

from typing import Final

import msgspec

from audiobus.entry_id import EntryId
from audiobus.errors import BadEntryError

VERSION: Final = 1


class Stored(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Bytes of a session that lie in the bucket already: `[first_offset, end_offset)`."""

    epoch: int
    first_offset: int
    end_offset: int


class Cut(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Everything about the object that does not follow from the entries and the kept pre-roll."""

    version: int
    first: str
    """Id of the first entry, `epoch-offset`."""
    last: str
    """Id of the last entry. All entries from first to last enter the object, or are settled without one."""
    name: str
    """The whole name with its suffix; empty where there is nothing to put."""
    protection: str
    """`standard` or `enhanced`."""
    reason: str
    """Why it was cut now; see the pusher's closed set."""
    exclude: tuple[Stored, ...] = ()
    """What of the entries lies in the bucket already and stays out of the object."""

    @property
    def first_id(self) -> EntryId:
        """`first`, parsed."""
        return EntryId.parse(self.first)

    @property
    def last_id(self) -> EntryId:
        """`last`, parsed."""
        return EntryId.parse(self.last)

    def reaches(self, epoch: int, first_offset: int, end_offset: int) -> bool:
        """Whether any of these bytes of a session of the conversation, `[first_offset, end_offset)`, are in its entries."""
        first, last = self.first_id, self.last_id
        return (epoch, end_offset) >= (first.epoch, first.offset) and (epoch, first_offset) < (
            last.epoch,
            last.offset,
        )

    def encode(self) -> bytes:
        """The bytes that stand in `td:conv`; equal cuts have equal bytes."""
        return _ENCODER.encode(self)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Cut)


def decode_cut(data: bytes) -> Cut:
    """The cut that stands.

    Raises:
        BadEntryError: not a cut, or of a version that this build does not know.
    """
    try:
        cut = _DECODER.decode(data)
        cut.first_id, cut.last_id  # noqa: B018 - parsed for the check
    except (msgspec.DecodeError, ValueError) as error:
        raise BadEntryError(f"cut: {error}") from error
    if cut.version != VERSION:
        raise BadEntryError(f"cut: version {cut.version} is unknown to this build")
    return cut
