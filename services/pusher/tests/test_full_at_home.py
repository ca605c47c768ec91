"""A first bucket that takes nothing new, and says at once which names are taken (409, 412): it does not work, whatever the mover finds there."""

import pytest

from audiostore import open_store
from audiostore.errors import AlreadyExistsError, NotFoundError, TransientStoreError
from pusher.batch_builder import build
from pusher.circuit import OPENS_AFTER
from pusher.homecoming import FOUND, Homecoming
from pusher.mover import Mover
from tapedeck_testing.draining.moving_home import Of, damaged, path_of, put


class Full(Of):
    """Without room for an object more."""

    async def put(self, name, data, **_kwargs):
        try:
            await self.real.head(name)
        except NotFoundError:
            raise TransientStoreError("507 insufficient storage") from None
        raise AlreadyExistsError(name)


class NoUpload(Of):
    async def put(self, name, data, **_kwargs):
        raise AssertionError("it was sent although the name is taken")


@pytest.fixture
def batch(new_session, conversation, clock):
    session = new_session()
    session.begin(clock())
    built = build(conversation.cid, list(session.speech(10)), None)
    return path_of(conversation, built), built.data, built.metadata


async def test_a_damaged_object_there_does_not_make_it_look_well(
    *, bus, new_buckets, keys, metrics, clock, batch
):
    first, second = open_store("memory:"), open_store("memory:")
    path, data, metadata = batch
    await put(second, path, data, metadata)
    await put(first, path, damaged(data), metadata)
    buckets = new_buckets(Full(first), second)
    mover = Mover(bus, buckets, keys, metrics, "pusher-1")
    for _ in range(8):
        for number in range(OPENS_AFTER):  # conversations go on trying
            with pytest.raises(TransientStoreError):
                await buckets.first.put(
                    f"chunks/bob/c{number}/1.000-2.000.batch.bin", b"x", content_type="x", metadata={}
                )
        clock.pass_s(15)
        await mover._turn(buckets.second)
        assert not buckets.well
    assert buckets.second_serves


async def test_what_lies_there_is_not_sent_again(bus, keys, batch):
    first, second = open_store("memory:"), open_store("memory:")
    path, _, _ = batch
    for bucket in (first, second):
        await put(bucket, path, b"says nothing of runs", {})
    info = await second.head(path)
    assert await Homecoming(bus, NoUpload(first), second, keys).move(info) == FOUND
