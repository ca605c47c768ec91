"""Dead letters that are tried again, and a bucket that is not what it says: each is stored once, whole, and none waits for the second bucket."""

import pytest

from audiobus import dead_letters as dead
from audiobus.census import exact
from audiobus.deletions import gone, unstore
from audiobus.letter import read_letter
from audiostore import open_store
from audiostore.errors import AlreadyExistsError, NotFoundError, TransientStoreError
from audiostore.names import BatchName, conversation_prefix
from pusher.arrived import read_entry


@pytest.fixture
async def letter(device):
    """Three seconds, of which the second lies in the dead letters."""
    await device.open()
    await device.say(3)
    return await device.bury(2)


@pytest.fixture
def drain(clock, device):
    """Lets the worker look at the conversation whenever it may be due."""

    async def drain(worker, times=5):
        for _ in range(times):
            clock.pass_s(70)
            await worker.drain(device.conversation)

    return drain


async def whole_once(bus, device, store, packets_of):
    assert await packets_of(store) == device.sent
    balance = await exact(bus, device.conversation)
    assert (balance.difference, balance.dead, balance.waiting) == (0, 0, 0)


async def names(store, device):
    return [info.name async for info in store.list(conversation_prefix(*device.conversation))]


class Of:
    """A bucket with the store `real` behind it; `odd` is what happens to the next put."""

    def __init__(self, real) -> None:
        self._real = real
        self.odd = ""
        self._hidden = 0

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def put(self, name, data, **given):
        odd, self.odd = self.odd, ""
        if odd == "garbled":
            await self._real.put(name, data[:-100] + bytes(100), **given)
            raise TransientStoreError("what lies there differs, and could not be taken away")
        info = await self._real.put(name, data, **given)
        if odd == "hidden":
            self._hidden = 1
            raise AlreadyExistsError("taken: a lost reply, repeated by a proxy")
        return info

    async def head(self, name):
        if self._hidden:
            self._hidden -= 1
            raise NotFoundError("not to be seen for now")
        return await self._real.head(name)


@pytest.mark.parametrize("odd", ["garbled", "hidden"])
async def test_it_is_stored_once_and_whole(
    *, bus, device, store, letter, new_worker, clock, packets_of, drain, odd
):
    bucket = Of(store)
    worker = new_worker(bucket)
    await drain(worker, 2)
    bucket.odd = odd
    await dead.mark(bus, device.conversation, letter, clock())
    await drain(worker)
    assert not bucket.odd
    assert len(await names(store, device)) == 2
    await whole_once(bus, device, store, packets_of)


async def test_it_need_not_wait_for_a_second_bucket_that_is_away(
    bus, device, memory_store, letter, new_worker, clock, packets_of, drain
):
    class Away:
        asked = 0

        def __init__(self) -> None:
            self._real = open_store("memory:")

        def __getattr__(self, name):
            return getattr(self._real, name)

        async def list(self, *_args):
            Away.asked += 1
            raise TransientStoreError("away")
            yield

    worker = new_worker(memory_store, second=Away())
    await drain(worker, 2)
    await dead.mark(bus, device.conversation, letter, clock())
    await drain(worker, 2)
    await whole_once(bus, device, memory_store, packets_of)
    second = worker.buckets.second
    for _ in range(4):
        second.circuit.failed(clock(), clock(), "away", operators=False)
    asked = Away.asked
    await worker._second_try._stored(device.conversation, 0, clock(), {})
    assert Away.asked == asked


async def test_it_takes_no_name_that_must_not_stay(
    bus, device, store, letter, new_worker, clock, packets_of, drain
):
    """Other audio has its name, and what had the next one is being deleted: who looks there would delete it again, and it is settled."""
    conversation = device.conversation
    worker = new_worker(store)
    await drain(worker, 2)
    data = await bus.command("HGET", bus.keys.dead(conversation), str(letter))
    span = read_entry(conversation.cid, read_letter(str(letter), data).entry).span
    taken, forbidden, free = (
        BatchName(*conversation, span.start_ms, span.end_ms + late).path for late in range(3)
    )
    await store.put(taken, b"other audio of this instant", content_type="audio/ogg", metadata={})
    await unstore(bus, conversation, {forbidden: 0}, clock())
    await dead.mark(bus, conversation, letter, clock())
    await drain(worker)
    assert set(await gone(bus, conversation)) == {forbidden}
    assert {taken, free} < set(await names(store, device))
    await store.delete(taken)
    await whole_once(bus, device, store, packets_of)
