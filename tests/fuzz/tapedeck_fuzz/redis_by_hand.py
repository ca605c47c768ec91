"""What the scripts in Redis answer a session, as far as one socket sees: appends only onto the newest id, in order, once."""

from dataclasses import dataclass, field

from audiobus import Appended, EntryId, Misplaced, Opened, Position
from audiobus.append import AppendRequest
from listen.actions import Open


@dataclass
class Buffer:
    """One conversation."""

    newest: EntryId = field(default_factory=lambda: EntryId(0, 0))
    position: Position | None = None
    settled: EntryId | None = None
    entries: int = 1
    appended: list[AppendRequest] = field(default_factory=list)


class RedisByHand:
    """Conversations by id."""

    def __init__(self) -> None:
        self.buffers: dict[str, Buffer] = {}
        self._epoch = 1_732_147_200_000

    def buffer(self, cid: str) -> Buffer:
        """A conversation's; a new one where there is none."""
        return self.buffers.setdefault(cid, Buffer())

    def open(self, action: Open) -> Opened:
        """A fresh session, or the newest one again."""
        buffer = self.buffer(action.conversation_id)
        if action.resume is not None and action.resume == buffer.newest.epoch:
            return Opened(action.resume, True, buffer.newest.offset, buffer.position, None, buffer.settled)
        self._epoch += 1
        buffer.newest, buffer.position = EntryId(self._epoch, 0), None
        return Opened(self._epoch, False, 0, None, None, None)

    def append(self, request: AppendRequest) -> Appended | Misplaced:
        """Takes the chunk, or finds that it is there already, or that something else is."""
        buffer = self.buffer(request.conversation.cid)
        if request.id != buffer.newest:
            if request.before != buffer.newest:
                return Misplaced(buffer.newest)
            buffer.newest = request.id
            buffer.position = request.position or buffer.position
            buffer.entries += 1
            buffer.appended.append(request)
        return Appended(request.id, buffer.settled, None, request.samples, buffer.entries)
