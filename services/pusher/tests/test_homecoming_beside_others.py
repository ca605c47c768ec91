"""Moving home while something else has the name, or is about to: nothing but the batch that moves may go."""

import dataclasses

import pytest

from audiostore import open_store
from audiostore.errors import ChecksumError, TransientStoreError
from audiostore.names import CONTENT_TYPE, BatchName
from pusher.batch_builder import build
from pusher.homecoming import FOUND, Homecoming


class Of:
    """A store that does something of its own."""

    def __init__(self, real) -> None:
        self.real = real

    def __getattr__(self, name):
        return getattr(self.real, name)


class BadReads(Of):
    """What comes of one object has another checksum, so many times."""

    def __init__(self, real, path, times) -> None:
        super().__init__(real)
        self.path = path
        self.times = times

    async def get(self, name):
        if name == self.path and self.times:
            self.times -= 1
            raise ChecksumError("the bytes that came do not have the checksum that the bucket names")
        return await self.real.get(name)


class CannotDelete(Of):
    async def delete(self, name):
        raise TransientStoreError("503")


@pytest.fixture
async def first():
    opened = open_store("memory:")
    yield opened
    await opened.close()


@pytest.fixture
async def second():
    opened = open_store("memory:")
    yield opened
    await opened.close()


@pytest.fixture
def session(new_session, clock):
    session = new_session()
    session.begin(clock())
    return session


@pytest.fixture
def batch(session, conversation):
    """The first batch of ten seconds: its name, its bytes, its metadata."""
    return named(conversation, build(conversation.cid, list(session.speech(10)), None))


def named(conversation, built):
    start_ms, end_ms = built.batch.spans[0].start_ms, built.batch.spans[-1].end_ms
    return BatchName(*conversation, start_ms, end_ms), built.data, built.metadata


async def put(store, name, data, metadata):
    await store.put(name.path, data, content_type=CONTENT_TYPE, metadata=metadata)


async def infos(store):
    return [info async for info in store.list("chunks/")]


async def names(store):
    return [info.name for info in await infos(store)]


def later(name):
    return dataclasses.replace(name, end_ms=name.end_ms + 1)


@pytest.mark.parametrize("times", [1, 2, 100])
async def test_other_audio_that_has_the_name_stays_however_it_reads(
    bus, first, second, keys, batch, session, conversation, clock, new_session, times
):
    """Two recordings of one instant: one has the name at home, settled long ago. The other was brought beside it, and could not be deleted where it was."""
    clock.ms -= 10_000
    other = new_session()
    other.begin(clock() + 5)
    other.run_start_ms = session.run_start_ms
    theirs = named(conversation, build(conversation.cid, list(other.speech(10)), None))
    name, data, metadata = batch
    assert theirs[0] == name
    await put(first, *theirs)
    await put(second, name, data, metadata)
    [info] = await infos(second)
    with pytest.raises(TransientStoreError):
        await Homecoming(bus, first, CannotDelete(second), keys).move(info)
    assert await names(first) == [name.path, later(name).path]
    assert await Homecoming(bus, BadReads(first, name.path, times), second, keys).move(info) == FOUND
    assert await names(first) == [name.path, later(name).path]
    assert await first.get(name.path) == theirs[1]
    assert await names(second) == []


async def test_its_own_damaged_object_goes_once_its_audio_lies_beside_it(
    bus, first, second, keys, batch, packets_of, session
):
    name, data, metadata = batch
    await put(first, name, data[:2000] + bytes(len(data) - 2000), metadata)
    await put(first, later(name), data, metadata)
    await put(second, name, data, metadata)
    [info] = await infos(second)
    assert await Homecoming(bus, first, second, keys).move(info) == FOUND
    assert (await names(first), await names(second)) == ([later(name).path], [])
    assert await packets_of(first) == session.sent
