"""`traceparent`: by which one span names another (W3C Trace Context, level 1 and 2, §3.2).

Pure. Owns what is one and what is none: it comes from clients and from Redis, and may be anything.
"""

import re
from dataclasses import dataclass
from typing import Final

LENGTH: Final = 55
"""Of version 00, which is what we write."""
MAX_BYTES: Final = 512
"""Of a later version that is still looked at: the standard asks for the first 55, and sets no limit."""

SAMPLED: Final = 0x01
RANDOM: Final = 0x02
_KNOWN_FLAGS: Final = SAMPLED | RANDOM
"""Others must not be passed on (level 2, §3.2.2.5.3)."""
_FORM: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Traceparent:
    """A span of somebody's."""

    trace_id: int
    span_id: int
    flags: int

    @property
    def sampled(self) -> bool:
        """Whether whoever began it keeps it."""
        return bool(self.flags & SAMPLED)

    def __str__(self) -> str:
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags:02x}"


def read_traceparent(text: str | None) -> Traceparent | None:
    """What the value of a header (its lines joined with commas) or of a chunk's field names; None where it names nothing.

    None: malformed, in capitals, all zero, version ff, two of them, too long. A later version counts as far as this one goes (§4.2).
    """
    if text is None or len(text) > MAX_BYTES:
        return None
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "00" and more is not None:
        return None
    return Traceparent(int(trace_id, 16), int(span_id, 16), int(flags, 16) & _KNOWN_FLAGS)
