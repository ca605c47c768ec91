"""What a bucket holds of a conversation, by what its objects say."""

import pytest

from audiobus.cut import Stored
from audiostore.names import CONTENT_TYPE, BatchName
from pusher.batch_builder import build
from pusher.bucket_search import holds, stored_between


@pytest.fixture
async def batches(new_session, clock, conversation, store):
    """Three batches of four seconds each, one after the other: their names and spans."""
    session = new_session()
    session.begin(clock())
    found, preroll = [], None
    for _ in range(3):
        built = build(conversation.cid, list(session.speech(4)), preroll)
        preroll = built.preroll
        spans = built.batch.spans
        name = BatchName(*conversation, spans[0].start_ms, spans[-1].end_ms).path
        await store.put(name, built.data, content_type=CONTENT_TYPE, metadata=built.metadata)
        found.append((name, spans))
    return found


async def test_bytes_of_a_stretch_of_time(store, ring, conversation, batches):
    (_, first), (_, second), _ = batches
    found = await stored_between(store, ring, conversation, first[0].start_ms, second[0].start_ms + 1)
    assert found.ranges == (Stored(first[0].epoch, 0, second[0].end_offset),)
    assert (found.passed_ms, found.next_ms) == (second[0].end_ms, batches[2][1][0].start_ms)
    nothing = await stored_between(store, ring, conversation, 9 * 10**12, 9 * 10**12)
    assert (nothing.ranges, nothing.passed_ms, nothing.next_ms) == ((), 9 * 10**12 - 1, 10**13)


async def test_runs_may_lie_in_several_objects(store, ring, conversation, batches):
    spans = tuple(span for _, spans in batches for span in spans)
    names = tuple(name for name, _ in batches)
    assert await holds(store, ring, conversation, spans) == names
    assert await holds(store, ring, conversation, spans, without={names[1]}) is None
    await store.delete(names[0])
    assert await holds(store, ring, conversation, spans) is None
    assert await holds(store, ring, conversation, spans[1:]) == names[1:]


async def test_only_objects_that_hold_bytes_of_the_runs_are_named(store, ring, conversation, batches):
    """The next one begins where this one ends, and is read, too."""
    for name, spans in batches:
        assert await holds(store, ring, conversation, spans) == (name,)


async def put(store, conversation, *times):
    for start_ms, end_ms in times:
        name = BatchName(*conversation, start_ms, end_ms).path
        await store.put(name, b"audio", content_type=CONTENT_TYPE, metadata={})


async def test_it_lists_no_farther_than_the_next_object(store, ring, conversation):
    await put(
        store, conversation, *((minute * 60_000, minute * 60_000 + 50_000) for minute in range(20, 160))
    )
    listed = []

    class Counts:
        def __getattr__(self, name):
            return getattr(store, name)

        async def list(self, prefix, after=""):
            async for info in store.list(prefix, after):
                listed.append(info.name)
                yield info

    found = await stored_between(Counts(), ring, conversation, 6_010_000, 6_020_000)
    assert (found.passed_ms, found.next_ms) == (6_050_000, 6_060_000)
    found = await stored_between(Counts(), ring, conversation, 6_051_000, 6_059_000)
    assert (found.passed_ms, found.next_ms) == (6_050_999, 6_060_000)
    assert len(listed) < 10


async def test_a_name_that_does_not_count_ends_the_stretch_all_the_same(store, ring, conversation):
    await put(store, conversation, (5_000, 6_000), (7_000, 8_000))
    without = {BatchName(*conversation, 5_000, 6_000).path}
    found = await stored_between(store, ring, conversation, 1_000, 2_000, without=without)
    assert found.next_ms == 5_000


@pytest.mark.parametrize("unix_s", [10, 100_000, 1_000_000_000])
async def test_times_of_other_lengths_are_in_another_order(
    store, ring, new_session, clock, conversation, unix_s
):
    """Clocks that were never set begin in 1970; and there may be objects of a far future."""
    clock.ms = unix_s * 1000 - 6_000
    session = new_session()
    session.begin(clock.ms)
    preroll = None
    for _ in range(3):
        built = build(conversation.cid, list(session.speech(4)), preroll)
        preroll = built.preroll
        name = BatchName(*conversation, built.batch.spans[0].start_ms, built.batch.spans[0].end_ms).path
        await store.put(name, built.data, content_type=CONTENT_TYPE, metadata=built.metadata)
    await put(store, conversation, (unix_s * 10_000, unix_s * 10_000 + 1), (99 * 10**12, 99 * 10**12 + 1))
    end_ms = built.batch.spans[0].end_ms
    found = await stored_between(store, ring, conversation, unix_s * 1000 - 6_000, end_ms)
    assert found.ranges == (Stored(session.newest.epoch, 0, 12 * 5_000),)
    assert (found.passed_ms, found.next_ms) == (end_ms, unix_s * 10_000)
    before = await stored_between(store, ring, conversation, unix_s * 1000 - 9_000, unix_s * 1000 - 8_000)
    assert before.ranges == ()
    assert before.next_ms <= unix_s * 1000 - 6_000
