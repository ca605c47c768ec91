"""However much there is to list, the event loop is there for others: long work is done in short turns, or in threads."""

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest

from audiobus import Conversation
from audiostore.legacy import parse_audio_name
from audiostore.store import ObjectInfo
from storage_api.fetching import LOOKS_AT_ONCE
from storage_api.turns import RUNNERS, TURN, in_turns, side_by_side

MANY = 10 * TURN


@asynccontextmanager
async def turns_of_others():
    """How often others had their turn inside; a list of one number."""
    counted = [0]

    async def other():
        while True:
            counted[0] += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await asyncio.sleep(0)
    yield counted
    task.cancel()


@pytest.mark.parametrize("count", [0, 1, TURN - 1, TURN, TURN + 1, MANY])
async def test_all_come_in_order_and_others_in_between(count):
    async with turns_of_others() as turns:
        assert [one async for one in in_turns(range(count))] == list(range(count))
    assert turns[0] >= count // (TURN + 1)


@pytest.mark.parametrize("count", [0, 1, RUNNERS, RUNNERS + 1, MANY])
async def test_each_is_done_once_and_others_come_in_between(count):
    done = []

    async def work(one):
        done.append(one)

    async with turns_of_others() as turns:
        await side_by_side(range(count), work)
    assert sorted(done) == list(range(count))
    assert turns[0] >= count // RUNNERS


async def test_so_many_wait_at_the_same_time_and_an_error_ends_all():
    waiting, gate = 0, asyncio.Event()

    async def work(one):
        nonlocal waiting
        waiting += 1
        try:
            await gate.wait()
            raise KeyError(one)
        finally:
            waiting -= 1

    working = asyncio.create_task(side_by_side(range(MANY), work))
    while waiting < RUNNERS:
        await asyncio.sleep(0)
    assert waiting > LOOKS_AT_ONCE  # the bucket bounds itself
    gate.set()
    with pytest.raises(KeyError):
        await working
    assert not waiting


@pytest.mark.parametrize("told", [False, True])
async def test_a_long_listing_is_judged_in_turns(api, store, told):
    """At first, where each object is looked at, and once all is known."""
    info = await store.put("chunks/u/c/1.000.bin", bytes(32), content_type="audio/x", metadata={})
    infos = [
        ObjectInfo(f"chunks/u/c/{number}.000.bin", info.size, number, {"other": "x"} if told else None)
        for number in range(1, MANY + 1)
    ]
    listed = [(parse_audio_name(one.name), one) for one in infos]
    for _ in range(2):
        async with turns_of_others() as turns:
            judged = await api.services.bucket.with_facts(listed)
        assert [one.info for one in judged.objects] == infos
        assert turns[0] >= 2 * MANY // TURN


@pytest.fixture
def elsewhere(monkeypatch):
    """Notes where these are called; a set of their names is what was."""
    loop, seen = threading.get_ident(), set()

    def watched(module: str, name: str) -> None:
        real = getattr(__import__(module, fromlist=[name]), name)

        def noted(*args, **kwargs):
            assert threading.get_ident() != loop, name
            seen.add(f"{module.rpartition('.')[2]}.{name}")
            return real(*args, **kwargs)

        monkeypatch.setattr(f"{module}.{name}", noted)

    watched("storage_api.recording", "timeline")
    watched("storage_api.live_tail", "parse_entries")
    watched("storage_api.live_tail", "absorbed")
    watched("storage_api.chunk_page", "chunk_rows")
    watched("storage_api.chunk_list", "page_of_all")
    watched("storage_api.recordings", "chunk_rows")
    watched("storage_api.recordings", "stretches")
    watched("storage_api.conversations", "summary")
    watched("storage_api.usage", "by_day")
    return seen


async def test_what_takes_long_for_a_list_is_done_in_a_thread(api, tape, conversation, pcm_tone, elsewhere):
    await tape.record(pcm_tone(6))
    await tape.drain(0, 3)
    common = {"recording.timeline", "live_tail.parse_entries", "live_tail.absorbed"}
    lists = f"/v1/users/{conversation.uid}"
    for path, called in (
        (api.path(conversation, "/chunks"), {"chunk_page.chunk_rows", "chunk_list.page_of_all"} | common),
        (api.path(conversation, "/recordings"), {"recordings.chunk_rows", "recordings.stretches"} | common),
        (api.path(conversation), {"conversations.summary"} | common),
        (lists + "/conversations", {"conversations.summary"} | common),
        (lists + "/usage?from=2023-11-14&to=2023-11-15", {"usage.by_day"}),
    ):
        elsewhere.clear()
        answer = await api.http.get(path, headers={"Authorization": "Bearer all-token"})
        assert answer.status_code == 200, answer.text
        assert elsewhere == called
    assert await api.pcm(Conversation(*conversation))
