"""What a folder holds of a conversation already."""

import pytest

from audiobus.cut import Stored
from audiostore.names import CONTENT_TYPE, BatchName
from pusher.batch_builder import build
from pusher.folder_contents import FolderContents


@pytest.fixture
async def files(new_session, clock, conversation, store):
    """Three of four seconds each, one after the other: their names and spans."""
    session = new_session()
    session.begin(clock())
    found, preroll = [], None
    for _ in range(3):
        built = build(conversation.cid, list(session.speech(4)), preroll)
        preroll = built.preroll
        [span] = built.batch.spans
        name = BatchName(*conversation, span.start_ms, span.end_ms).path
        await store.put(name, built.data, content_type=CONTENT_TYPE, metadata=built.metadata)
        found.append((name, span))
    return found


async def test_stretch_by_stretch(store, keys, conversation, files):
    there = FolderContents(store, keys, conversation)
    (first, one), (second, two), (_, three) = files
    assert not there.has(one)
    assert await there.look(one.start_ms, one.end_ms - 1)
    assert not await there.look(one.start_ms + 1, one.end_ms - 2)
    assert there.has(one)
    assert there.names == {first}
    assert await there.look(two.start_ms + 1, two.end_ms - 1)
    assert there.names == {first, second}
    there.elsewhere = (Stored(three.epoch, three.end_offset, three.end_offset + 5),)
    assert there.exclude == (Stored(one.epoch, 0, two.end_offset), *there.elsewhere)


async def test_what_was_written_just_now_was_not_there(store, keys, conversation, files):
    there = FolderContents(store, keys, conversation)
    (first, one), (second, two), _ = files
    there.written.add(first)
    await there.look(one.start_ms, two.end_ms - 1)
    assert there.names == {second}


async def test_a_damaged_file_does_not_count_also_where_it_only_begins_then(store, keys, conversation, files):
    """All of the stretch is left out, so the export goes on with what comes next."""
    (first, one), (second, two), _ = files
    info = await store.head(second)
    data = await store.get(second)
    await store.delete(second)
    await store.put(second, data[:-9] + bytes(9), content_type=CONTENT_TYPE, metadata=info.metadata or {})
    there = FolderContents(store, keys, conversation)
    await there.look(one.start_ms, one.end_ms)
    assert there.has(one)
    assert not there.has(two)
    assert there.names == {first}
