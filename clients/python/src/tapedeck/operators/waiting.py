"""What waits in Redis: the buffers. The work behind `tapedeck buffers list`; its structs are those of `--json`."""

from collections.abc import Sequence

import msgspec

from audiobus.connection import translate_response, translated
from audiobus.errors import BusError, BusUnavailableError
from audiobus.look import Look, look_each
from audiobus.pipeline import execute
from audiobus.routed import Routed
from tapedeck.operators.masters import Masters


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
    rows: list[Waiting] = []
    async for page in masters.buffers():
        looks: list[Look] = []
        for conversation, one in zip(page, await look_each(masters.bus, page), strict=True):
            if isinstance(one, BusUnavailableError):
                masters.lost(masters.bus.keys.audio(conversation), one)
            elif isinstance(one, BusError):
                raise one
            elif one.entries:
                looks.append(one)
        rows += await _rows(masters, looks, now_ms)
    unique = {row.conversation: row for row in rows}
    return sorted(unique.values(), key=lambda row: (-(row.age_seconds or 0), -row.seconds))


async def _rows(masters: Masters, looks: Sequence[Look], now_ms: int) -> list[Waiting]:
    keys = masters.bus.keys
    commands = []
    for one in looks:
        conv, tomb = keys.conv(one.conversation), keys.tomb(one.conversation)
        audio = keys.audio(one.conversation)
        commands.append(Routed(conv, ("HMGET", conv, "cut", "fails", "fails_why")))
        commands.append(Routed(tomb, ("EXISTS", tomb)))
        commands.append(Routed(audio, ("MEMORY", "USAGE", audio)))
    if not commands:
        return []
    with translated("look"):
        answers = await execute(masters.bus.client, commands)
    rows = []
    for one, known, deleted, taken in zip(looks, answers[::3], answers[1::3], answers[2::3], strict=True):
        failed = next((answer for answer in (known, deleted) if isinstance(answer, Exception)), None)
        if failed is not None:
            error = translate_response("look", failed)
            if not isinstance(error, BusUnavailableError):
                raise error
            masters.lost(keys.conv(one.conversation), error)
            continue
        cut, fails, why = known
        count = int(fails or 0)
        state = "deleted" if deleted else "failing" if count else "being stored" if cut else "waits"
        rows.append(
            Waiting(
                conversation=one.conversation.tag,
                seconds=one.balance.waiting / 48_000,
                bytes=taken if isinstance(taken, int) else None,
                entries=one.entries,
                age_seconds=None if one.oldest_ms is None else max(0, now_ms - one.oldest_ms) / 1000,
                dead_letters=one.letters,
                state=state,
                why=(why or b"").decode(errors="replace") if count else "",
                fails=count,
            )
        )
    return rows
