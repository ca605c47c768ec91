"""Buffers full of audio in Redis, written as `listen` writes them, without `listen`: what a pusher finds after an outage.

Owns the way from a batch's packets back to the chunks of one second that it will be made of.
"""

import asyncio
import time

from audiobus import AppendRequest, Bus, Conversation, EntryId, Hints, Position, Writer
from audiobus.answers import Appended
from audiobus.chunk import VERSION, Chunk
from bench import speech
from bench.process import BenchError

FORMAT = f"opus:{speech.SAMPLE_RATE}:1:{speech.LOOKAHEAD}"
CHUNK_PACKETS = 50
OWNER = "bench"


async def fill(url: str, conversations: list[Conversation]) -> None:
    """Gives each conversation a session of one full batch that is over, and hints at all of them."""
    async with Bus(url) as bus, asyncio.TaskGroup() as tasks:
        writer, hints = Writer(bus), Hints(bus)
        writing = tasks.create_task(writer.run())
        async with asyncio.TaskGroup() as recording:
            for conversation in conversations:
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
    before = EntryId(opened.epoch, 0)
    packets = speech.packets(speech.BATCH_PACKETS)
    sample = offset = 0
    for at in range(0, len(packets), CHUNK_PACKETS):
        own = tuple(packets[at : at + CHUNK_PACKETS])
        lead = 0 if at else speech.LOOKAHEAD
        samples = len(own) * speech.FRAME_SAMPLES - lead
        chunk = Chunk(
            version=VERSION,
            at_ms=start_ms + (at + CHUNK_PACKETS) * 20,
            source="opus",
            sample_rate=speech.SAMPLE_RATE,
            channels=1,
            run_start_ms=start_ms,
            first_sample=sample,
            samples=samples,
            lead=lead,
            trim=0,
            starts=not at,
            first_offset=offset,
            packets=own,
        )
        sample += samples
        offset += sum(map(len, own))
        entry = EntryId(opened.epoch, offset)
        request = AppendRequest(
            conversation=conversation,
            owner=OWNER,
            before=before,
            id=entry,
            chunk=chunk.encode(),
            samples=samples,
            position=Position(start_ms, sample),
            now_ms=chunk.at_ms,
        )
        if not isinstance(answer := await writer.append(request), Appended):
            raise BenchError(f"a chunk of {conversation.tag} was not appended: {answer}")
        before = entry


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
