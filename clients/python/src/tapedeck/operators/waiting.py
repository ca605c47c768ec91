"""What waits in Redis: the buffers, and getting them stored. The work behind `tapedeck buffers`; its structs are those of `--json`."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import msgspec

from audiobus import Asked, Bus, Conversation, EntryId, Hints
from audiobus.connection import translated
from audiobus.look import Look, look
from audiobus.pipeline import execute
from audiobus.routed import Routed
from audiobus.servers import servers

REASON: Final = "flush"
PAGE: Final = 200
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0


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


class Flushed(msgspec.Struct, frozen=True):
    """What came of a flush."""

    conversations: int
    """That had something waiting."""
    stored_seconds: float
    waiting_seconds: float
    """What was there when it was asked for and is not stored yet; 0 where all is."""
    new_dead_letters: int
    done: bool


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
                raise answer
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


class Flush:
    """Buffers that shall be stored now, and how far that has come."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._upto: dict[Conversation, EntryId] = {}
        self._left: dict[Conversation, int] = {}
        """Samples that waited when it was asked for, of those that are not done."""
        self._dead_before = 0
        self.total_samples = 0
        self._dead_after = 0

    @property
    def left(self) -> list[Conversation]:
        """Those that are not done."""
        return list(self._left)

    @property
    def stored_samples(self) -> int:
        """Of what waited when it was asked for."""
        return self.total_samples - sum(self._left.values())

    async def ask(self, conversations: Sequence[Conversation]) -> None:
        """Asks for all that they have now; nothing is forgotten if this process ends."""
        hints = Hints(self._bus)
        for one in await look(self._bus, conversations):
            asked = await self._bus.ask(one.conversation, REASON)
            if not isinstance(asked, Asked) or not asked.entries or one.conversation in self._upto:
                continue
            await hints.due(one.conversation, time.time_ns() // 1_000_000)
            await hints.ready(one.conversation, REASON)
            self._upto[one.conversation] = asked.newest
            self._left[one.conversation] = max(0, one.balance.waiting)
            self.total_samples += max(0, one.balance.waiting)
            self._dead_before += one.letters

    async def wait(self, within_s: float | None, seen: Callable[["Flush"], None]) -> Flushed:
        """Returns when all of it left the buffers, or the time is over: then it goes on without us."""
        deadline = None if within_s is None else time.monotonic() + within_s
        pause = FIRST_PAUSE_S
        while self._left and (deadline is None or time.monotonic() < deadline):
            await self._look()
            seen(self)
            if self._left:
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE_S, pause * 1.5)
        dead = 0
        conversations = list(self._upto)
        for start in range(0, len(conversations), PAGE):
            dead += sum(one.letters for one in await look(self._bus, conversations[start : start + PAGE]))
        left = sum(self._left.values())
        return Flushed(
            conversations=len(self._upto),
            stored_seconds=(self.total_samples - left) / 48_000,
            waiting_seconds=left / 48_000,
            new_dead_letters=max(0, dead - self._dead_before),
            done=not self._left,
        )

    async def _look(self) -> None:
        waiting = list(self._left)
        for start in range(0, len(waiting), PAGE):
            page = waiting[start : start + PAGE]
            keys = [self._bus.keys.audio(one) for one in page]
            with translated("XRANGE"):
                answers = await execute(
                    self._bus.client,
                    [
                        Routed(key, ("XRANGE", key, "-", str(self._upto[one]), "COUNT", 1))
                        for one, key in zip(page, keys, strict=True)
                    ],
                )
            still = []
            for one, answer in zip(page, answers, strict=True):
                if isinstance(answer, Exception):
                    raise answer
                if answer:
                    still.append(one)
                else:
                    self._left.pop(one)
            for seen in await look(self._bus, still):
                # What came since it was asked for waits too, so this is no more than an upper bound.
                known = self._left[seen.conversation]
                self._left[seen.conversation] = min(known, max(0, seen.balance.waiting))
