"""What a device knows of its recording: what is acked, what it still has, where the next byte to send lies.

The client's half of the protocol page's rules on resuming, without a socket. What the server may never say is noted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Keep = Literal["acked", "stored"]


@dataclass(slots=True)
class Progress:
    """One recording's state. Offsets without `session` in their name count from the start of the recording."""

    total: int
    keep: Keep
    """Up to where a copy is dropped. Who keeps what is not stored survives a Redis that loses writes."""
    session: str | None = None
    base: int = 0
    """Where the session began."""
    acked: int = 0
    stored: int = 0
    cursor: int = 0
    """The next byte to send."""
    furthest: int = 0
    """Up to where bytes were ever sent."""
    sessions: list[tuple[int, int]] = field(default_factory=list)
    """Each one's epoch, and where it began."""
    fell_back: int = 0
    """How often the server had less than it had acked: its Redis has lost writes."""
    resumed: int = 0
    superseded: int = 0
    violations: list[str] = field(default_factory=list)

    def ready(self, message: Mapping[str, Any]) -> bool:
        """The session is open; False if nothing can be sent in it (the device no longer has what is missing)."""
        session, offset = str(message["session"]), int(message["resume_offset"])
        if session == self.session:
            at = self.base + offset
            if at > self.furthest:
                self.violations.append(f"ready at {at}, and only {self.furthest} was ever sent")
            if at < self.acked:
                self.fell_back += 1
                if at < (self.stored if self.keep == "stored" else self.acked):
                    self.session = None
                    return False
            self.resumed += 1
            self.acked = max(self.acked, at) if self.keep == "acked" else at
            self.cursor = at
            return True
        if offset != 0:
            self.violations.append(f"a fresh session begins at {offset}")
        at = self.acked
        if self.session is not None:
            self.superseded += 1
            if "previous_offset" in message:
                at = self.base + int(message["previous_offset"])
                if at < self.acked:
                    self.fell_back += 1
                if not self.acked <= at <= self.furthest and self.keep == "acked":
                    self.violations.append(f"previous_offset is {at}, acked were {self.acked}")
        self.session, self.base, self.acked, self.cursor = session, at, at, at
        self.sessions.append((int(session), at))
        return True

    def ack(self, message: Mapping[str, Any]) -> None:
        """So much is safe, and so much stored."""
        offset, stored = self.base + int(message["offset"]), int(message["stored"])
        if offset < self.acked:
            self.violations.append(f"ack of {offset} after {self.acked}")
        if offset > self.furthest:
            self.violations.append(f"ack of {offset}, and only {self.furthest} was ever sent")
        if stored > int(message["offset"]):
            self.violations.append(f"stored {stored} of an ack of {message['offset']}")
        self.acked = max(self.acked, offset)
        self.stored = max(self.stored, self.base + stored)

    def sent(self, offset: int) -> None:
        """Everything before `offset` has gone out."""
        self.cursor = offset
        self.furthest = max(self.furthest, offset)

    def finalized(self, message: Mapping[str, Any]) -> None:
        """The answer to `finalize`."""
        if message["stored"]:
            self.stored = max(self.stored, self.base + int(message["offset"]))

    @property
    def all_acked(self) -> bool:
        """Whether nothing is left to send."""
        return self.acked >= self.total

    @property
    def all_kept(self) -> bool:
        """Whether the device may forget all of it."""
        return self.all_acked and (self.keep == "acked" or self.stored >= self.total)
