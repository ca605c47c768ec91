"""Objects that come to lie in the bucket other than they should: late, or not what was sent."""

from dataclasses import replace

import pytest

from audiobus.replacing import Replacing
from audiostore.errors import ChecksumError
from audiostore.memory_store import MemoryStore
from audiostore.names import BatchName
from storage_api.cutting.new_object import NewObject, is_marked
from storage_api.cutting.place import Place


async def test_an_object_that_was_deleted_and_lands_late_is_not_heard(
    api, tape, cutter, store, conversation, speech, names
):
    await tape.record(speech[: 6 * 32_000])
    [name] = await tape.drain(0, len(tape.chunks))
    info, data = await store.head(name), await store.get(name)
    assert (await cutter.stretch(api, 2.0, 4.0)).status_code == 200
    [left] = await names(store, "chunks/")
    await store.put(name, data, content_type="audio/ogg", metadata=info.metadata or {})
    rows = (
        await api.http.get(api.path(conversation, "/chunks"), headers={"Authorization": "Bearer all-token"})
    ).json()["chunks"]
    assert [row["path"] for row in rows] == [left]


class Garbling:
    """A bucket that stores something else than it was sent, and says so."""

    def __init__(self, store) -> None:
        self._store = store
        self.garbles = True

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def put(self, name, data, **kwargs):
        if self.garbles:
            await self._store.put(name, data[:-1] + b"?", **kwargs)
            raise ChecksumError(f"put {name}: what lies there differs")
        return await self._store.put(name, data, **kwargs)


@pytest.mark.parametrize("killed", [False, True])
async def test_what_is_not_what_was_sent_does_not_stay(conversation, one_bus, names, *, killed):
    bucket, mine = Garbling(MemoryStore()), Replacing(one_bus, conversation)
    assert await mine.hold()
    place = Place(bucket, mine)
    name = BatchName(conversation.uid, conversation.cid, 1_000, 2_000, sealed=False)
    with pytest.raises(ChecksumError):
        await place.put(NewObject(name, b"what was sent", "audio/ogg", {"of": "this one"}))
    assert await names(bucket, "chunks/") == [name.path]
    await (Place(bucket, mine).begin() if killed else place.give_up())
    assert await names(bucket, "chunks/") == []
    assert await mine.unfinished() == {}


async def test_what_somebody_else_put_under_an_announced_name_stays(conversation, one_bus, names):
    store, mine = MemoryStore(), Replacing(one_bus, conversation)
    assert await mine.hold()
    name = BatchName(conversation.uid, conversation.cid, 1_000, 2_000, sealed=False)
    new = NewObject(name, b"a rest", "audio/ogg", {"of": "this one"})
    assert await mine.announce(name.path, new.mark)
    await store.put(name.path, b"a copy", content_type="audio/ogg", metadata={"of": "another"})
    await Place(store, mine).begin()
    assert await names(store, "chunks/") == [name.path]
    info = await store.head(name.path)
    assert not is_marked(new.mark, info)
    assert not is_marked(new.mark, replace(info, metadata=None)), "a store that keeps no metadata"
    assert not is_marked("7:6", info), "a mark of an earlier version"
