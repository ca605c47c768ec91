"""Durable before acknowledged."""

import asyncio
import uuid

import pytest

from audiobus import Appended, AppendRequest, Bus, Conversation, EntryId, Position, Replaced, Writer
from audiobus.errors import BusUnavailableError
from listen.commit import append_then_acknowledge


def request(before: EntryId, owner: str = "me") -> AppendRequest:
    return AppendRequest(
        conversation=Conversation("alice", "c"),
        owner=owner,
        before=before,
        id=EntryId(before.epoch, before.offset + 10),
        chunk=b"x",
        samples=960,
        position=Position(1, 960),
        now_ms=1,
    )


async def test_the_answer_is_handed_on_when_the_chunk_lies_in_redis(one_bus):
    conversation = Conversation("alice", "c")
    opened = await one_bus.open(conversation, owner="me", format="f", now_ms=1)
    answers = []
    writer = Writer(one_bus)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run())
        await append_then_acknowledge(writer, request(EntryId(opened.epoch, 0)), answers.append)
        assert [entry.chunk for entry in await one_bus.read(conversation, count=9)] == [None, b"x"]
        await append_then_acknowledge(writer, request(EntryId(opened.epoch, 10), "you"), answers.append)
        writer.close()
    assert isinstance(answers[0], Appended)
    assert isinstance(answers[1], Replaced)


async def test_nothing_is_acknowledged_while_redis_is_away(redis_process):
    async with Bus(redis_process.url, prefix=f"t{uuid.uuid4().hex[:8]}:") as bus:
        opened = await bus.open(Conversation("alice", "c"), owner="me", format="f", now_ms=1)
        answers = []
        writer = Writer(bus)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(writer.run())
            redis_process.kill()
            with pytest.raises(BusUnavailableError):
                await append_then_acknowledge(writer, request(EntryId(opened.epoch, 0)), answers.append)
            writer.close()
        assert answers == []
