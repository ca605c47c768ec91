"""Moving home and what was derived: a kept waveform stays with the name of its audio, and goes with it."""

import pytest

from audiobus.deletions import set_tombstone, unstore
from audiostore.waveform_names import waveform_name, waveform_names
from pusher.homecoming import DELETED, FOUND, MOVED, Homecoming
from tapedeck_testing.draining.moving_home import AfterPut, infos, later, put


async def names(store) -> list[str]:
    return [info.name async for info in store.list("")]


async def derive(path: str, *stores) -> None:
    for store in stores:
        for name in waveform_names(path):
            await store.put(name, b"x", content_type="application/octet-stream", metadata={})


async def move(home: Homecoming, store) -> str:
    [info] = [one for one in await infos(store) if one.name.startswith("chunks/")]
    return await home.move(info)


async def test_under_the_same_name_it_stays(bus, first, second, keys, batch):
    path, data, metadata = batch
    await put(second, path, data, metadata)
    await derive(path, first)
    assert await move(Homecoming(bus, first, second, keys), second) == MOVED
    assert await names(first) == sorted([path, *waveform_names(path)])
    await put(second, path, data, metadata)
    assert await move(Homecoming(bus, first, second, keys), second) == FOUND
    assert await names(first) == sorted([path, *waveform_names(path)])


async def test_under_another_name_it_is_drawn_anew(bus, first, second, keys, batch):
    path, data, metadata = batch
    await put(first, path, b"other audio", {})
    await put(second, path, data, metadata)
    await derive(path, first, second)
    assert await move(Homecoming(bus, first, second, keys), second) == MOVED
    assert await names(second) == []
    assert await names(first) == sorted([path, later(path)])


async def test_of_what_lies_at_home_under_another_name_nobody_asks_for_it(bus, first, second, keys, batch):
    path, data, metadata = batch
    await put(first, later(path), data, metadata)
    await put(second, path, data, metadata)
    await derive(path, first, second)
    assert await move(Homecoming(bus, first, second, keys), second) == FOUND
    assert (await names(first), await names(second)) == ([later(path)], [])


@pytest.mark.parametrize("what", ["conversation", "object"])
async def test_of_what_was_deleted_nothing_stays(bus, first, second, keys, batch, conversation, clock, what):
    path, data, metadata = batch
    await put(second, path, data, metadata)
    await derive(path, first, second)
    beside = waveform_name(later(path), sealed=False)
    await put(first, beside, b"x", {})
    if what == "conversation":
        await set_tombstone(bus, conversation, clock())
    else:
        await unstore(bus, conversation, {path: 1}, clock())
    assert await move(Homecoming(bus, first, second, keys), second) == DELETED
    assert (await names(first), await names(second)) == ([beside], [])


@pytest.mark.parametrize("what", ["conversation", "object"])
async def test_of_what_is_deleted_while_it_is_brought_nothing_stays(
    bus, first, second, keys, batch, conversation, clock, what
):
    path, data, metadata = batch
    await put(second, path, data, metadata)

    async def deleted():
        await derive(path, first, second)
        if what == "conversation":
            await set_tombstone(bus, conversation, clock())
        else:
            await unstore(bus, conversation, {path: 1}, clock())

    home = Homecoming(bus, AfterPut(first, deleted), second, keys)
    assert await move(home, second) == DELETED
    assert await names(first) == await names(second) == []


@pytest.mark.parametrize("what", ["conversation", "object"])
async def test_nor_under_the_name_that_it_got(bus, first, second, keys, batch, conversation, clock, what):
    path, data, metadata = batch
    await put(first, path, b"other audio", {})
    await put(second, path, data, metadata)

    async def deleted():
        await derive(later(path), first)
        if what == "conversation":
            await set_tombstone(bus, conversation, clock())
        else:
            await unstore(bus, conversation, {path: 1}, clock())

    home = Homecoming(bus, AfterPut(first, deleted), second, keys)
    assert await move(home, second) == DELETED
    assert (await names(first), await names(second)) == ([path], [])
