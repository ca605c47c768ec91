"""What the bucket has, asked as seldom as possible."""

import pytest

from audiobus.cut import Stored
from audiostore.key_ring import KeySource
from audiostore.names import CONTENT_TYPE, BatchName
from pusher.already_stored import AlreadyStored
from pusher.batch_builder import build


@pytest.fixture
def put(store, new_session, clock, conversation):
    """Puts batches of ten seconds each, one after the other; gives their times."""
    session = new_session()
    session.begin(clock())
    preroll = None

    async def one():
        nonlocal preroll
        built = build(conversation.cid, list(session.speech(10)), preroll)
        preroll = built.preroll
        start, end = built.batch.spans[0].start_ms, built.batch.spans[-1].end_ms
        name = BatchName(*conversation, start, end).path
        await store.put(name, built.data, content_type=CONTENT_TYPE, metadata=built.metadata)
        return start, end

    return one


async def test_it_finds_what_lies_in_that_time(store, put, conversation, clock):
    epoch = clock()
    times = [await put() for _ in range(4)]
    already = AlreadyStored(store, KeySource())
    # Objects that only touch that time are looked at, too.
    assert await already.between(conversation, "r", times[1][0] + 5, times[2][1] - 5) == (
        Stored(epoch, 5_000 * 10, 15_000 * 10),
    )
    assert await already.between(conversation, "r", 0, 10**13) == (Stored(epoch, 0, 200_000),)
    assert await already.between(conversation, "r", times[3][1] + 1, 10**13) == ()


async def test_it_is_known_once_everything_there_is_passed(store, put, conversation):
    already = AlreadyStored(store, KeySource())
    start, end = await put()
    assert not already.known(conversation, "r", start)
    await already.between(conversation, "r", start, end)
    assert not already.known(conversation, "r", end)
    assert already.known(conversation, "r", end + 1)
    # Another history of Redis: nothing is known any more.
    assert not already.known(conversation, "another", end + 1)
    # What this process puts itself does not count.
    later, _ = await put()
    await already.between(conversation, "r", end, end)
    assert already.known(conversation, "r", later + 5)


async def test_a_new_conversation_is_listed_once(store, conversation):
    already = AlreadyStored(store, KeySource())
    assert await already.between(conversation, "r", 5, 10) == ()
    assert already.known(conversation, "r", 5)


async def test_other_objects_are_passed_over(store, put, conversation):
    start, end = await put()
    for name in (f"{start / 1000:.3f}.opus", f"{start / 1000:.3f}-{end / 1000 + 1:.3f}.batch.bin", "readme"):
        path = f"chunks/{conversation.uid}/{conversation.cid}/{name}"
        await store.put(path, b"older", content_type="audio/ogg", metadata={})
    assert len(await AlreadyStored(store, KeySource()).between(conversation, "r", start, end)) == 1


async def test_what_was_merged_in_from_elsewhere_is_not_this_conversations(store, put, conversation):
    start, end = await put()
    target = conversation._replace(cid="target")
    await store.copy(BatchName(*conversation, start, end).path, BatchName(*target, start, end).path)
    assert await AlreadyStored(store, KeySource()).between(target, "r", start, end) == ()


async def test_only_so_many_are_remembered(store, conversation, monkeypatch):
    monkeypatch.setattr("pusher.already_stored.REMEMBERED", 2)
    already = AlreadyStored(store, KeySource())
    others = [conversation._replace(cid=f"c{number}") for number in range(3)]
    for one in others:
        await already.between(one, "r", 5, 10)
    assert [already.known(one, "r", 5) for one in others] == [False, True, True]
