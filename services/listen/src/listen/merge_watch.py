"""Whether the conversation of an open session is being merged into another one: the socket ends then, and brings what it has as long as it is taken.

Every append's answer tells; only where no append comes is asked whether the process has heard of a merge (`merge_news`). Must not know phases.
"""

from typing import Final
from zlib import crc32

LOOK_MS: Final = 5_000
"""So long nothing was heard of it before that is asked."""


class MergeWatch:
    """One socket's, over one conversation after another."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self.target: str | None = None
        """Tag of what the conversation goes into; None while it stays."""
        self._cid: str | None = None
        """Of the session that is open; None before the first."""
        self._heard_ms = 0
        """When it was last told, or asked after, unix ms."""

    def begun(self, cid: str, now_ms: int) -> None:
        """A session is open in this conversation."""
        # Sockets that came together do not look together.
        self._cid, self.target, self._heard_ms = cid, None, now_ms - crc32(self._owner.encode()) % LOOK_MS

    def told(self, target: str | None, now_ms: int) -> None:
        """An append's answer brought it."""
        self.target, self._heard_ms = target or self.target, now_ms

    def looked(self, cid: str, target: str | None) -> None:
        """The answer about this conversation, which may be one from before."""
        if cid == self._cid:
            self.target = target or self.target

    def look(self, now_ms: int) -> str | None:
        """The conversation to ask about now; it counts as asked."""
        if (
            self._cid is None
            or self.target is not None
            or self._heard_ms <= now_ms < self._heard_ms + LOOK_MS
        ):
            return None  # a clock that was set back puts nothing off
        self._heard_ms = now_ms
        return self._cid
