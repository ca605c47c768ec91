"""Where only an object's first bytes tell what it holds, and those come wrong once: the audio is not stored twice for that."""

import pytest

from audiobus import Bus
from audiobus.errors import BusUnavailableError
from audiostore import open_store


class MisreadOnce:
    """A store of which the first range that is read has a bit that is wrong, as from a bad cable."""

    def __init__(self, real) -> None:
        self._real = real
        self.misread = 0

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def get_range(self, name, start, end):
        data = await self._real.get_range(name, start, end)
        self.misread += 1
        return data if self.misread > 1 else data[:100] + bytes([data[100] ^ 1]) + data[101:]


@pytest.fixture
async def folder(tmp_path):
    """It keeps no metadata."""
    store = open_store(f"file://{tmp_path}/folder")
    yield store
    await store.close()


async def names(store):
    return [info.name async for info in store.list("chunks/")]


async def test_a_cut_that_is_carried_out_again(
    *, bus, redis_url, prefix, device, new_worker, packets_of, folder
):
    async def dies(*_args, **_fields):
        raise BusUnavailableError("killed")

    await device.open()
    await device.say(61)
    await bus.ask(device.conversation, "flush")
    async with Bus(redis_url, prefix=prefix) as dying:
        dying.finish = dies
        with pytest.raises(BusUnavailableError):
            await new_worker(folder, bus=dying, holder="dying").drain(device.conversation)
    await bus.client.delete(bus.keys.lease(device.conversation))
    store = MisreadOnce(folder)
    await new_worker(store).drain(device.conversation)
    assert store.misread
    assert await packets_of(folder) == device.sent


async def test_what_redis_forgot(bus, device, new_worker, packets_of, folder):
    """Cut and `finish` are lost with a failover: the bucket is asked once what lies there."""
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "flush")
    keys = [bus.keys.conv(device.conversation), bus.keys.audio(device.conversation)]
    before = [await bus.client.dump(key) for key in keys]
    await new_worker(folder).drain(device.conversation)
    for key, value in zip(keys, before, strict=True):
        await bus.client.restore(key, 0, value, replace=True)
    await device.say(3)
    await bus.ask(device.conversation, "flush")
    store = MisreadOnce(folder)
    await new_worker(store).drain(device.conversation)
    assert store.misread
    assert await packets_of(folder) == device.sent
