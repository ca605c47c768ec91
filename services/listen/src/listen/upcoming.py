"""What one conversation of a socket has before it is open: when it was asked for, and what a plain client has sent for it.

A plain client never reads, so it does not wait for `ready`: it may name a third conversation while the first is still being made safe.
Must not know the session's phases.
"""

from dataclasses import dataclass, field
from typing import Final

from listen.recording import Recording

MAX_UPCOMING: Final = 16
"""Conversations that wait for the one before them: with so many the socket is not read. A device that waits for nothing, on a Redis that answers, has one or two."""
UPCOMING_BYTES: Final = 4_000
"""What each takes in memory, about, however little was sent for it."""


@dataclass(slots=True)
class Upcoming:
    """A conversation that is not open yet."""

    conversation_id: str
    arrived_ms: int
    """When it was asked for, unix ms: the socket came for it then."""
    recording: Recording | None
    """None in v1, whose clients wait for `ready`."""
    finals: list[int] = field(default_factory=list)
    """Offsets up to which the client has asked for everything to be stored (`finalize`)."""

    @property
    def has_audio(self) -> bool:
        """Whether something was sent for it."""
        return self.recording is not None and self.recording.taken > 0
