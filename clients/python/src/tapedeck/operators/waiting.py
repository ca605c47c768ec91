"""What waits in Redis: the buffers. The work behind `tapedeck buffers list`; its structs are those of `--json`."""

import msgspec

from audiobus import waiting
from audiobus.masters import PAGE, Masters
from audiobus.waiting import Buffer


class Waiting(msgspec.Struct, frozen=True):
    """One conversation's buffer."""

    conversation: str
    """UID/CID."""
    seconds: float
    """Audio in it."""
    bytes: int | None
    """Memory that it takes in Redis, about; None where this user may not ask for it."""
    entries: int
    age_seconds: float | None
    """Of the oldest audio in it; None where it holds none."""
    dead_letters: int
    state: str
    """`waits`, `being stored`, `failing` or `deleted`."""
    why: str
    """Of the last failure, where it fails."""
    fails: int


async def buffers(masters: Masters, now_ms: int) -> list[Waiting]:
    """Every conversation with something in its buffer, what waits longest first.

    Raises:
        BusUnavailableError: no server answers.
    """
    looks = await waiting.waiting(masters)
    rows: list[Waiting] = []
    for start in range(0, len(looks), PAGE):
        page = await waiting.buffers(masters, looks[start : start + PAGE])
        rows += [_row(one, now_ms) for one in page]
    return sorted(rows, key=lambda row: (-(row.age_seconds or 0), -row.seconds))


def _row(buffer: Buffer, now_ms: int) -> Waiting:
    oldest_ms = buffer.look.oldest_ms
    return Waiting(
        conversation=buffer.conversation.tag,
        seconds=buffer.seconds,
        bytes=buffer.bytes,
        entries=buffer.look.entries,
        age_seconds=None if oldest_ms is None else max(0, now_ms - oldest_ms) / 1000,
        dead_letters=buffer.look.letters,
        state=buffer.state,
        why=buffer.why,
        fails=buffer.fails,
    )
