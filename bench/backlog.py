"""Buffers full of audio in Redis, written as `listen` writes them, without `listen`: what a pusher finds after an outage.

Owns how many are written at once. Their chunks are `recording`'s.
"""

import asyncio
import time
from contextlib import suppress

from audiobus import Bus, Conversation, Hints, Writer
from audiobus.answers import Appended
from audiobus.errors import BusUnavailableError
from bench.process import BenchError
from bench.recording import CHUNKS, FORMAT, OWNER, Recording

AT_ONCE = 200
TRIES = 5


async def fill(url: str, conversations: list[Conversation]) -> None:
    """Gives each conversation a session of one full batch that is over, and hints at all of them."""
    async with Bus(url) as bus, asyncio.TaskGroup() as tasks:
        writer, hints = Writer(bus), Hints(bus)
        writing = tasks.create_task(writer.run())
        for at in range(0, len(conversations), AT_ONCE):
            async with asyncio.TaskGroup() as recording:
                for conversation in conversations[at : at + AT_ONCE]:
                    recording.create_task(_record(bus, writer, conversation))
        writer.close()
        await writing
        for conversation in conversations:
            await bus.ask(conversation, "end", owner=OWNER, ends=True)
            await hints.due(conversation, _now_ms() + 60_000)
            await hints.ready(conversation, "end")


async def left(url: str) -> int:
    """Hints that nobody has acknowledged yet."""
    async with Bus(url) as bus:
        return int(await bus.command("XLEN", bus.keys.ready(0)))


async def _record(bus: Bus, writer: Writer, conversation: Conversation) -> None:
    start_ms = _now_ms() - 60_000
    opened = await bus.open(conversation, owner=OWNER, format=FORMAT, now_ms=start_ms)
    recording = Recording(conversation, opened.epoch, start_ms)
    for _ in range(CHUNKS):
        request = recording.chunk()
        for _ in range(TRIES):
            with suppress(BusUnavailableError):
                if not isinstance(answer := await writer.append(request), Appended):
                    raise BenchError(f"a chunk of {conversation.tag} was not appended: {answer}")
                break
        else:
            raise BenchError("Redis is too slow")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
