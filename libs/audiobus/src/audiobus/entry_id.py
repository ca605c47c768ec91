"""The id of a stream entry: `<epoch>-<end offset>`, so an entry says by its id which bytes it ends with."""

import re
from typing import Final, NamedTuple

# As Redis writes them: two numbers of 64 bits, without leading zeros.
_ID: Final = re.compile(r"(0|[1-9][0-9]{0,19})-(0|[1-9][0-9]{0,19})", re.ASCII)


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
            ValueError: not two decimal numbers, as Redis writes them, with a hyphen between them.
        """
        raw = text.decode("ascii") if isinstance(text, bytes) else text
        match = _ID.fullmatch(raw)
        if match is None:
            raise ValueError(f"{raw[:60]!r} is not epoch-offset")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def parse_or_none(cls, text: str | bytes | None) -> "EntryId | None":
        """`parse`, where a field may be missing or empty."""
        return cls.parse(text) if text else None

    def next(self) -> "EntryId":
        """The smallest id above this one."""
        return EntryId(self.epoch, self.offset + 1)
