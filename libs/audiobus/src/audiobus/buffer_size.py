"""How much memory a buffer takes, and since when: what has to be known to make room."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from audiobus.bus import Bus
from audiobus.connection import translated
from audiobus.conversation import Conversation
from audiobus.pipeline import execute
from audiobus.routed import Routed

SECOND_BYTES: Final = 4096
"""Of a buffer, where Redis does not say: a chunk of a second takes this at the usual bit rate."""
_FIELDS: Final = ("last_ms", "in", "out", "dead", "deleted")


@dataclass(frozen=True, slots=True)
class BufferSize:
    """One buffer."""

    conversation: Conversation
    size_bytes: int
    waiting_ms: int
    """Audio in it."""
    oldest_ms: int
    """When its oldest audio was recorded, unix ms, if it came without a gap; later than the truth where it did not."""


async def buffer_sizes(bus: Bus, conversations: Sequence[Conversation]) -> list[BufferSize]:
    """The sizes of these; those that a server did not answer for are left out.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    commands = [
        command
        for one in conversations
        for command in (
            Routed(bus.keys.audio(one), ("MEMORY", "USAGE", bus.keys.audio(one))),
            Routed(bus.keys.conv(one), ("HMGET", bus.keys.conv(one), *_FIELDS)),
        )
    ]
    if not commands:
        return []
    with translated("MEMORY USAGE"):
        answers = await execute(bus.client, commands)
    found = []
    for one, usage, fields in zip(conversations, answers[::2], answers[1::2], strict=True):
        if not isinstance(fields, Exception) and usage is not None:
            found.append(_size(one, usage, fields))
    return found


def _size(conversation: Conversation, usage: Any, fields: Sequence[bytes | None]) -> BufferSize:
    last_ms, received, *gone = (int(value or 0) for value in fields)
    waiting_ms = max(0, received - sum(gone)) // 48
    size = usage if isinstance(usage, int) else waiting_ms * SECOND_BYTES // 1000  # MEMORY may be forbidden
    return BufferSize(conversation, size, waiting_ms, last_ms - waiting_ms)
