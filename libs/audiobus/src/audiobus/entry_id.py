"""The id of a stream entry: `<epoch>-<end offset>`, so an entry says by its id which bytes it ends with."""

from typing import NamedTuple


class EntryId(NamedTuple):
    """Ordered as Redis orders it: by epoch, then by offset."""

    epoch: int
    """The session: unix ms, strictly increasing within a conversation."""
    offset: int
    """Payload bytes of the session up to and with this entry; 0 for the entry that opens the session."""

    def __str__(self) -> str:
        return f"{self.epoch}-{self.offset}"

    def __bytes__(self) -> bytes:
        return str(self).encode()

    @classmethod
    def parse(cls, text: str | bytes) -> "EntryId":
        """The id written as `epoch-offset`.

        Raises:
            ValueError: not two decimal numbers with a hyphen between them.
        """
        raw = text.decode("ascii") if isinstance(text, bytes) else text
        epoch, hyphen, offset = raw.partition("-")
        if not (hyphen and epoch.isdigit() and offset.isdigit()):
            raise ValueError(f"{raw!r} is not epoch-offset")
        return cls(int(epoch), int(offset))

    @classmethod
    def parse_or_none(cls, text: str | bytes | None) -> "EntryId | None":
        """`parse`, where a field may be missing or empty."""
        return cls.parse(text) if text else None

    def next(self) -> "EntryId":
        """The smallest id above this one."""
        return EntryId(self.epoch, self.offset + 1)
