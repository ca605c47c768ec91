"""What a device hears while its conversation is merged into another one, and when it comes back after that."""

import pytest

from audiobus import Conversation, merging
from audiobus.deletions import set_tombstone

SECOND = 32_000
LATER = 10**14
SOURCE, TARGET = Conversation("alice", "a"), Conversation("alice", "all")


async def recorded(service, second) -> str:
    """A second in `a` by a socket that is gone; answers its session."""
    async with service.connect("conversation_id=a") as client:
        session = (await client.hear("ready"))["session"]
        await client.send(second)
        await client.say(type="finalize")
        await client.acked(SECOND)
    return session


async def test_an_open_socket_is_closed_and_goes_on_when_it_is_thawed(service, second):
    bus = service.bus
    async with service.connect("conversation_id=a") as client:
        session = (await client.hear("ready"))["session"]
        await client.send(second)
        await client.say(type="finalize")
        await client.acked(SECOND)
        await merging.freeze(bus, SOURCE, TARGET, "op", "word", until_ms=LATER)
        await client.send(second)
        assert await client.closed() == 4409
        assert client.codes == ["merging"]
    async with service.connect("conversation_id=a") as client:
        assert await client.closed() == 4409
        assert client.codes == ["merging"]
    await merging.thaw(bus, SOURCE, "op")
    async with service.connect(f"conversation_id=a&session={session}") as client:
        ready = await client.hear("ready")
        assert (ready["session"], ready["resume_offset"]) == (session, SECOND)


async def test_a_socket_that_has_nothing_to_send_is_closed_too(service, second, monkeypatch):
    monkeypatch.setattr("listen.merge_watch.LOOK_MS", 100)
    monkeypatch.setattr("listen.merge_news.LOOK_S", 0.1)
    async with service.connect("conversation_id=a") as client:
        await client.hear("ready")
        await client.send(second)
        await client.say(type="finalize")
        await client.acked(SECOND)
        await merging.freeze(service.bus, SOURCE, TARGET, "op", "word", until_ms=LATER)
        assert await client.closed() == 4409
        assert client.codes == ["merging"]


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "v1"])
async def test_what_came_before_it_could_be_told_is_brought(service, second, plain):
    """A plain device keeps nothing: what it sent up to the moment in which its socket is closed is in Redis, whatever is frozen."""
    query = "conversation_id=a&codec=pcm16&sample_rate=16000"
    async with service.connect(query, plain=plain) as client:
        await client.hear("ready")
        await client.send(second)
        await client.send(second[: SECOND // 2])
        await client.acked(SECOND // 2)
        redis_ms = await service.bus.clock.ms(SOURCE)
        frozen = await merging.freeze(
            service.bus, SOURCE, TARGET, "op", "word", until_ms=LATER, now_ms=redis_ms, grace_ms=60_000
        )
        assert frozen.till_ms
        await client.send(second[SECOND // 2 :])
        await client.send(second[: SECOND // 4])
        assert await client.closed() == 4409
        assert client.codes == ["merging"]
    assert (await service.spans("a"))[-1].end_offset == 9 * SECOND // 4


async def test_a_device_that_resumes_is_brought_to_the_target(service, second):
    session = await recorded(service, second)
    await set_tombstone(service.bus, SOURCE, 1, merged_into=TARGET)
    async with service.connect(f"conversation_id=a&session={session}") as client:
        ready = await client.hear("ready")
        assert (ready["conversation_id"], ready["resume_offset"], ready["previous_offset"]) == (
            "all",
            0,
            SECOND,
        )
        await client.send(second)
        await client.say(type="finalize")
        assert (await client.acked(SECOND))["conversation_id"] == "all"
    spans = await service.spans("all")
    assert {span.epoch for span in spans} == {int(ready["session"])}
    assert (await service.spans("a"))[-1].end_offset == SECOND


async def test_it_follows_a_target_that_was_merged_itself(service, second):
    session = await recorded(service, second)
    further = Conversation("alice", "further")
    await set_tombstone(service.bus, SOURCE, 1, merged_into=TARGET)
    await set_tombstone(service.bus, TARGET, 1, merged_into=further)
    async with service.connect(f"conversation_id=a&session={session}") as client:
        assert (await client.hear("ready"))["conversation_id"] == "further"


async def test_a_circle_of_tombstones_ends(service, second):
    session = await recorded(service, second)
    await set_tombstone(service.bus, SOURCE, 1, merged_into=TARGET)
    await set_tombstone(service.bus, TARGET, 1, merged_into=SOURCE)
    async with service.connect(f"conversation_id=a&session={session}") as client:
        assert await client.closed() == 4404


@pytest.mark.parametrize("query", ["conversation_id=a", "conversation_id=a&session={}"])
async def test_where_the_target_is_deleted_or_nobody_resumes_it_is_over(service, second, query):
    session = await recorded(service, second)
    await set_tombstone(service.bus, SOURCE, 1, merged_into=TARGET)
    await set_tombstone(service.bus, TARGET, 1)
    async with service.connect(query.format(session)) as client:
        assert await client.closed() == 4404
        assert client.codes == ["conversation_deleted"]


async def test_a_target_that_is_frozen_itself_refuses(service, second):
    session = await recorded(service, second)
    await set_tombstone(service.bus, SOURCE, 1, merged_into=TARGET)
    await merging.freeze(service.bus, TARGET, Conversation("alice", "further"), "op", "word", until_ms=LATER)
    async with service.connect(f"conversation_id=a&session={session}") as client:
        assert await client.closed() == 4409
        assert client.codes == ["merging"]
