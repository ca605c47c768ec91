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
    assert found.last_ms == batches[2][1][0].end_ms
    nothing = await stored_between(store, ring, conversation, 10**13, 10**13)
    assert (nothing.ranges, nothing.last_ms) == ((), -1)


async def test_runs_may_lie_in_several_objects(store, ring, conversation, batches):
    spans = tuple(span for _, spans in batches for span in spans)
    assert await holds(store, ring, conversation, spans)
    assert not await holds(store, ring, conversation, spans, without={batches[1][0]})
    await store.delete(batches[0][0])
    assert not await holds(store, ring, conversation, spans)
    assert await holds(store, ring, conversation, spans[1:])
