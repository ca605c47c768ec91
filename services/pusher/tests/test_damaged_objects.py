"""A bucket that stored other bytes than it was sent, and nobody came to take them away: the audio does not lose its other copy to that."""

import dataclasses

import google_crc32c
import pytest

from audiobus.census import exact
from audiobus.deletions import unstore
from audiostore import open_store
from audiostore.batch import read_batch
from audiostore.errors import TransientStoreError
from audiostore.names import BatchName, parse_name
from audiostore.paired_store import content_type_of
from pusher.cutter import Limits
from pusher.errors import DamagedError
from pusher.homecoming import MOVED, Homecoming
from pusher.maker import Maker


class Garbles:
    """Stores other bytes, so many times, and fails before it can take them away: gs:// whose delete fails, az:// whose reading back does.

    With `claims` it answers for the checksum what its writer said, as az:// does.
    """

    def __init__(self, real, *, claims: bool = False) -> None:
        self._real = real
        self._claims = claims
        self._sent = {}
        self.times = 1

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def put(self, name, data, **given):
        if self.times:
            self.times -= 1
            info = await self._real.put(name, garbled(data), **given)
            self._sent[name] = dataclasses.replace(info, crc32c=crc32c_of(data), claimed=True)
            raise TransientStoreError("what lies there differs, and could not be taken away")
        return await self._real.put(name, data, **given)

    async def head(self, name):
        info = await self._real.head(name)
        return self._sent.get(name, info) if self._claims else info


def garbled(data: bytes) -> bytes:
    return data[:2000] + bytes(len(data) - 2000)


def crc32c_of(data: bytes) -> int:
    return int(google_crc32c.value(data))


async def names(store):
    return [info.name async for info in store.list("chunks/")]


@pytest.fixture(params=["measured", "claimed"])
def garbles(request, store):
    return Garbles(store, claims=request.param == "claimed")


@pytest.mark.parametrize("protection", ["standard", "enhanced"])
async def test_the_audio_is_stored_anew_and_the_damaged_object_goes(
    *, device, bus, store, store_url, garbles, new_worker, packets_of, clock, conversation, keys, protection
):
    await bus.command("HSET", bus.keys.user(conversation.uid), "protection", protection)
    await device.open()
    await device.say(61)
    worker = new_worker(garbles, maker=Maker(keys))
    await worker.drain(conversation)
    [damaged] = await names(store)
    for _ in range(4):
        clock.pass_s(30)
        await worker.drain(conversation)
    if damaged in await names(store):
        # A folder has no metadata, and not even the head can be opened: nobody can tell whose file that is.
        assert (store_url, protection) != ("memory:", "standard")
        await store.delete(damaged)
    assert await packets_of(store) == device.sent
    assert (await bus.state(conversation)).waiting_samples == 0
    assert (await exact(bus, conversation)).difference == 0


async def test_a_whole_object_costs_one_look_where_the_store_measures(
    device, bus, store, new_worker, packets_of, clock, conversation
):
    """The reply was lost, the object is whole: nothing is fetched."""

    class Loses:
        calls: list[str] = []  # noqa: RUF012 - of this test alone

        def __getattr__(self, name):
            if name in ("get", "get_range", "head"):
                self.calls.append(name)
            return getattr(store, name)

        async def put(self, name, data, **given):
            self.calls.append("put")
            await store.put(name, data, **given)
            if self.calls.count("put") == 1:
                raise TransientStoreError("the reply was lost")

    loses = Loses()
    await device.open()
    await device.say(5, end=True)
    await bus.ask(conversation, "finalize")
    worker = new_worker(loses)
    await worker.drain(conversation)
    loses.calls.clear()
    clock.pass_s(10)
    await worker.drain(conversation)
    assert "head" in loses.calls
    assert "get" not in loses.calls
    assert await packets_of(store) == device.sent


# Moving home.


async def put(store, name, data, metadata):
    await store.put(name, data, content_type=content_type_of(name), metadata=metadata)


@pytest.fixture
async def stored(device, bus, new_worker, conversation):
    """A batch in the second bucket, of which Redis knows nothing any more."""
    second = open_store("memory:")
    await device.open()
    await device.say(61)
    await new_worker(second).drain(conversation)
    [info] = [one async for one in second.list("chunks/")]
    return second, info, await second.get(info.name)


async def test_a_damaged_object_at_home_is_no_reason_to_delete_the_good_one(
    bus, store, stored, keys, packets_of, device
):
    second, info, data = stored
    await put(store, info.name, garbled(data), info.metadata)
    home = Homecoming(bus, store, second, keys)
    with pytest.raises(DamagedError):
        await home.move(info)
    assert await names(store) == await names(second) == [info.name]
    await store.delete(info.name)
    assert await home.move(info) == MOVED
    assert await names(second) == []
    assert await packets_of(store) == device.sent[: packets_in(data)]


async def test_under_any_name(bus, store, stored, keys, device, conversation):
    second, info, data = stored
    other = BatchName(*conversation, *_times(info.name, later_ms=3)).path
    await put(store, other, garbled(data), info.metadata)
    assert await Homecoming(bus, store, second, keys).move(info) == MOVED
    assert await names(second) == []
    assert await store.get(info.name) == data


async def test_it_gets_no_name_that_must_be_gone(bus, store, stored, keys, clock, conversation):
    second, info, _data = stored
    await put(store, info.name, b"other audio of this instant", {})
    start_ms, end_ms = _times(info.name, later_ms=1)
    doomed = BatchName(*conversation, start_ms, end_ms).path
    await unstore(bus, conversation, {doomed: 0}, clock())
    assert await Homecoming(bus, store, second, keys).move(info) == MOVED
    assert await names(store) == [info.name, BatchName(*conversation, start_ms, end_ms + 1).path]


async def test_what_is_damaged_does_not_count_as_stored_before(
    device, bus, store, new_worker, packets_of, clock, conversation
):
    """Redis lost the cut, and the audio came again, in other pieces: what lies there under the name of the lost cut holds nothing."""
    await device.open()
    await device.say(61)
    garbles = Garbles(store)
    await new_worker(garbles).drain(conversation)
    [damaged] = await names(store)
    await bus.command("HDEL", bus.keys.conv(conversation), "cut")
    clock.pass_s(10)
    await new_worker(garbles, limits=Limits(batch_ms=30_000)).drain(conversation)
    await store.delete(damaged)
    stored = await packets_of(store)
    assert stored == device.sent[: len(stored)]
    assert len(stored) > 25 * 50


def packets_in(data: bytes) -> int:
    return sum(len(span.packets) for span in read_batch(data).spans)


def _times(path, *, later_ms):
    name = parse_name(path)
    return name.start_ms, name.end_ms + later_ms
