"""What of a conversation lies in the folder of an export already: files of an earlier one, which had less to write.

Owns that no byte is exported into a folder twice, for its files may be copied into a bucket together. It writes nothing.
"""

from dataclasses import dataclass, field

from audiobus.conversation import Conversation
from audiobus.cut import Stored
from audiocodec.span import Span
from audiostore.key_ring import KeySource
from audiostore.store import Store
from pusher.bucket_search import stored_between
from pusher.stored_ranges import covers, merged


@dataclass(slots=True)
class FolderContents:
    """Of one conversation, looked at stretch by stretch."""

    folder: Store
    keys: KeySource
    conversation: Conversation
    elsewhere: tuple[Stored, ...] = ()
    """Bytes that are not to be exported although the folder does not have them: by a cut that stands they are in a bucket."""
    names: set[str] = field(default_factory=set)
    """The files of earlier that hold audio of the stretches that were looked at."""
    written: set[str] = field(default_factory=set)
    """The files of now: whoever writes one adds it."""
    _ranges: tuple[Stored, ...] = ()
    _looked: list[tuple[int, int]] = field(default_factory=list)

    @property
    def exclude(self) -> tuple[Stored, ...]:
        """What is not to be written."""
        return merged([*self.elsewhere, *self._ranges])

    def has(self, span: Span) -> bool:
        """Whether the folder has all of this, as far as was looked."""
        return covers(self._ranges, span)

    async def look(self, start_ms: int, end_ms: int) -> bool:
        """Looks at a stretch of time, unix ms; False where it had been looked at before.

        Raises:
            StoreError: the folder cannot be read.
            CannotTellError: nor a sealed file of that time without its key.
        """
        if any(begin <= start_ms and end_ms <= end for begin, end in self._looked):
            return False
        found = await stored_between(self.folder, self.keys.ring(), self.conversation, start_ms, end_ms)
        self._looked.append((start_ms, end_ms))
        self._ranges = merged([*self._ranges, *found.ranges])
        self.names.update(name for name in found.names if name not in self.written)
        return True
