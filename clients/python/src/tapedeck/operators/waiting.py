"""What waits in Redis: the buffers. The work behind `tapedeck buffers list`; its structs are those of `--json`."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from audiobus import Bus, Conversation
from audiobus.connection import translate_response, translated
from audiobus.look import Look, look
from audiobus.pipeline import execute
from audiobus.routed import Routed
from audiobus.servers import servers

PAGE: Final = 200


class Waiting(msgspec.Struct, frozen=True):
    """One conversation's buffer."""

    conversation: str
    """UID/CID."""
    seconds: float
    """Audio in it."""
    entries: int
    age_seconds: float | None
    """Of the oldest audio in it; None where it holds none."""
    dead_letters: int
    state: str
    """`waits`, `being stored`, `failing` or `deleted`."""
    why: str
    """Of the last failure, where it fails."""
    fails: int


async def buffers(bus: Bus, now_ms: int) -> list[Waiting]:
    """Every conversation with something in its buffer, what waits longest first."""
    rows: list[Waiting] = []
    async for page in pages(bus):
        looks = [one for one in await look(bus, page) if one.entries]
        rows += await _rows(bus, looks, now_ms)
    unique = {row.conversation: row for row in rows}
    return sorted(unique.values(), key=lambda row: (-(row.age_seconds or 0), -row.seconds))


async def pages(bus: Bus) -> AsyncIterator[list[Conversation]]:
    """Every conversation that has a buffer. One may come twice while Redis grows or moves its tables."""
    for server in await servers(bus):
        async for keys in server.streams(bus.keys.audio_pattern()):
            found = [one for key in keys if (one := bus.keys.conversation_of(key)) is not None]
            for start in range(0, len(found), PAGE):
                yield found[start : start + PAGE]


async def _rows(bus: Bus, looks: Sequence[Look], now_ms: int) -> list[Waiting]:
    keys = bus.keys
    commands = []
    for one in looks:
        conv, tomb = keys.conv(one.conversation), keys.tomb(one.conversation)
        commands.append(Routed(conv, ("HMGET", conv, "cut", "fails", "fails_why")))
        commands.append(Routed(tomb, ("EXISTS", tomb)))
    if not commands:
        return []
    with translated("look"):
        answers = await execute(bus.client, commands)
    rows = []
    for one, known, deleted in zip(looks, answers[::2], answers[1::2], strict=True):
        for answer in (known, deleted):
            if isinstance(answer, Exception):
                raise translate_response("look", answer)
        cut, fails, why = known
        count = int(fails or 0)
        state = "deleted" if deleted else "failing" if count else "being stored" if cut else "waits"
        rows.append(
            Waiting(
                conversation=one.conversation.tag,
                seconds=one.balance.waiting / 48_000,
                entries=one.entries,
                age_seconds=None if one.oldest_ms is None else max(0, now_ms - one.oldest_ms) / 1000,
                dead_letters=one.letters,
                state=state,
                why=(why or b"").decode(errors="replace") if count else "",
                fails=count,
            )
        )
    return rows
