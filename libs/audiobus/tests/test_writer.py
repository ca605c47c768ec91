"""One grouped writer a process."""

import asyncio
from dataclasses import replace

import pytest

from audiobus import Appended, Bus, Conversation, Misplaced, Writer
from audiobus import writer as writer_module
from audiobus.cluster import Cluster
from audiobus.errors import BusUnavailableError, ConversationDeletedError
from audiobus.writer import GROUP_LIMIT


async def test_two_chunks_of_one_conversation_go_in_one_group(recorder, bus):
    await recorder.open()
    writer = Writer(bus)
    first = recorder.request(100)
    second = recorder.request(200, before=first.id)
    async with asyncio.TaskGroup() as group:
        answers = asyncio.gather(writer.append(first), writer.append(second))
        await asyncio.sleep(0)  # both are queued before the writer looks
        group.create_task(writer.run())
        assert all(isinstance(answer, Appended) for answer in await answers)
        writer.close()
    assert [entry.id.offset for entry in await bus.read(recorder.conversation, count=10)] == [0, 100, 200]


async def test_many_conversations_over_many_slots(bus, recorder_for):
    recorders = [recorder_for(Conversation("user-1", f"conv-{n}")) for n in range(120)]
    for recorder in recorders:
        await recorder.open()
    writer = Writer(bus)
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        answers = await asyncio.gather(*(writer.append(recorder.request(100)) for recorder in recorders))
        writer.close()
    assert all(isinstance(answer, Appended) for answer in answers)
    for recorder in recorders:
        assert len(await bus.read(recorder.conversation, count=10)) == 2


async def test_a_request_waits_for_company(bus, recorder_for):
    recorders = [recorder_for(Conversation("user-1", f"conv-{n}")) for n in range(3)]
    for recorder in recorders:
        await recorder.open()
    writer = Writer(bus)
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        waiting = []
        for recorder in recorders:
            waiting.append(group.create_task(writer.append(recorder.request(100))))
            await asyncio.sleep(0)  # each comes a little after the one before
        await asyncio.gather(*waiting)
        writer.close()
    assert (writer.commands, writer.groups) == (3, nodes_of(bus, recorders))


async def test_whoever_was_just_served_does_not_wait_and_takes_the_others_along(
    bus, recorder_for, monkeypatch
):
    monkeypatch.setattr(writer_module, "LINGER_S", 3600)
    recorders = [recorder_for(Conversation("user-1", f"conv-{n}")) for n in range(GROUP_LIMIT + 1)]
    for recorder in recorders:
        await recorder.open()
    *company, stranger = recorders
    writer = Writer(bus)
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        first = [recorder.request(100) for recorder in company]
        await asyncio.gather(*(writer.append(request) for request in first))  # a full group does not wait
        assert isinstance(
            await writer.append(company[0].request(200, before=first[0].id)), Appended
        )  # nor does it
        lingers = group.create_task(writer.append(stranger.request(100)))
        await asyncio.sleep(0)
        await writer.append(company[0].request(300, before=first[0].id._replace(offset=200)))
        assert isinstance(await lingers, Appended)
        writer.close()


async def test_what_came_while_redis_was_slow_goes_out_together_within_bounds(bus, recorder_for, monkeypatch):
    recorders = [recorder_for(Conversation("user-1", f"conv-{n}")) for n in range(120)]
    requests = [replace(recorder.request(100), chunk=bytes(1_000)) for recorder in recorders]
    await bus.ping()  # a cluster is known from the first answer on
    writer = Writer(bus)
    for limits, groups in [
        ({}, 1),
        ({"LARGEST_GROUP": 100}, 2),
        ({"GROUP_BYTES": 50_000}, 3),
        ({"GROUP_BYTES": 10}, 120),
    ]:
        with monkeypatch.context() as patched:
            for name, value in limits.items():
                patched.setattr(writer_module, name, value)
            before = writer.groups
            waiting = [asyncio.create_task(writer.append(request)) for request in requests]
            await asyncio.sleep(0)  # all are queued before the writer looks
            running = asyncio.create_task(writer.run())
            await asyncio.gather(*waiting)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert writer.groups - before == max(groups, nodes_of(bus, recorders))


def nodes_of(bus, recorders) -> int:
    """On how many servers these conversations lie: each has groups of its own."""
    if not isinstance(bus.client, Cluster):
        return 1
    return len({bus.client.lane(bus.keys.conv(recorder.conversation)) for recorder in recorders})


async def test_one_refusal_does_not_touch_its_neighbours(bus, recorder_for):
    good, hole, deleted = (recorder_for(Conversation("user-1", name)) for name in ("good", "hole", "deleted"))
    for recorder in (good, hole, deleted):
        await recorder.open()
    await bus.command("SET", bus.keys.tomb(deleted.conversation), "1")
    writer = Writer(bus)
    requests = (
        good.request(100),
        hole.request(300, before=hole.newest._replace(offset=200)),
        deleted.request(100),
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        answers = await asyncio.gather(
            *(writer.append(request) for request in requests), return_exceptions=True
        )
        writer.close()
    assert isinstance(answers[0], Appended)
    assert isinstance(answers[1], Misplaced)
    assert isinstance(answers[2], ConversationDeletedError)


async def test_a_killed_redis_fails_the_group_and_a_repeat_is_harmless(redis_process, recorder_on):
    async with Bus(redis_process.url) as bus:
        recorder = recorder_on(bus)
        await recorder.open()
        request = recorder.request(100)
        writer = Writer(bus)
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.run())
            assert isinstance(await writer.append(request), Appended)
            redis_process.kill()
            with pytest.raises(BusUnavailableError):
                await writer.append(recorder.request(200, before=request.id))
            redis_process.start()
            # The scripts are unknown to the new server, the chunk is known: both are well.
            assert isinstance(await writer.append(request), Appended)
            assert isinstance(await writer.append(recorder.request(200, before=request.id)), Appended)
            writer.close()
        assert [entry.id.offset for entry in await bus.read(recorder.conversation, count=10)] == [0, 100, 200]


async def test_too_few_replicas_is_no_success(redis_url, recorder_on, conversation, monkeypatch):
    monkeypatch.setattr("audiobus.pipeline.WAIT_MS", 100)
    async with Bus(redis_url, prefix="t-wait:", wait_replicas=1) as bus:
        await bus.command("DEL", bus.keys.conv(conversation), bus.keys.audio(conversation))
        recorder = recorder_on(bus)
        with pytest.raises(BusUnavailableError, match="0 replicas"):
            await recorder.open()
        bus.wait_replicas = 0
        await recorder.open()
        bus.wait_replicas = 1
        writer = Writer(bus)
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.run())
            with pytest.raises(BusUnavailableError, match="0 replicas"):
                await writer.append(recorder.request(100))
            writer.close()


async def test_a_closed_writer_takes_nothing(one_bus, recorder_on):
    recorder = recorder_on(one_bus)
    await recorder.open()
    writer = Writer(one_bus)
    writer.close()
    with pytest.raises(BusUnavailableError):
        await writer.append(recorder.request(100))
