"""Reading a buffer in pages, and burying what can never be stored."""

import pytest

from audiobus import Cut
from audiobus.cut import VERSION
from audiobus.errors import BadEntryError
from audiobus.turn import PAGE_BYTES, take
from pusher.buffer import FIRST_PAGE, PAGE, Buffer


async def test_it_reads_page_by_page(device, bus, new_state, clock):
    await device.open()
    await device.say(FIRST_PAGE + PAGE + 10, chunk_s=1)
    buffer = Buffer(bus, device.conversation, new_state())
    assert await buffer.read_page(clock())
    assert (len(buffer.arrived), buffer.more) == (FIRST_PAGE, True)
    assert await buffer.read_page(clock())
    assert (len(buffer.arrived), buffer.more) == (FIRST_PAGE + PAGE, True)
    assert await buffer.read_page(clock())
    assert (len(buffer.arrived), buffer.more) == (FIRST_PAGE + PAGE + 11, False)
    assert [one.id for one in buffer.arrived] == [entry.id for entry in buffer.entries]


async def test_what_was_read_with_the_state_is_the_first_page(device, bus, clock):
    await device.open()
    await device.say(PAGE + 10, chunk_s=1)
    taken = await take(bus, device.conversation, "me", 30_000, entries=PAGE)
    buffer = Buffer(bus, device.conversation, taken.state(), taken.entries)
    for count, more in ((PAGE, True), (PAGE + 11, False)):
        assert await buffer.read_page(clock())
        assert (len(buffer.arrived), buffer.more) == (count, more)


@pytest.mark.parametrize("known", [False, True])
async def test_of_large_entries_fewer_are_read_at_once(device, bus, clock, new_state, large_packets, known):
    """However many wait, no more is held than what a batch takes, and a page."""
    await device.open()
    for _ in range(40):
        await device.append(device.session.chunk(large_packets(5, 50_000)))
    page = None
    if known:
        taken = await take(bus, device.conversation, "me", 30_000, entries=PAGE)
        page = taken.entries
    buffer = Buffer(bus, device.conversation, new_state(), page)
    sizes = []
    while buffer.more:
        before = len(buffer.entries)
        assert await buffer.read_page(clock())
        sizes.append(sum(entry.size_bytes for entry in buffer.entries[before:]))
    assert [one.id for one in buffer.arrived] == [
        entry.id for entry in await bus.read(device.conversation, count=99)
    ]
    assert max(sizes if known else sizes[1:]) < PAGE_BYTES + 251_000
    assert [one.size_bytes for one in buffer.arrived] == [entry.size_bytes for entry in buffer.entries]


async def test_it_reads_up_to_a_cuts_last_entry(device, bus, new_state, clock):
    await device.open()
    entries = list(device.session.speech(5))
    for one in entries:
        await device.append(one)
    buffer = Buffer(bus, device.conversation, new_state())
    await buffer.read_page(clock(), last=entries[2].id)
    assert [one.id for one in buffer.arrived][1:] == [one.id for one in entries[:3]]
    assert not buffer.more


@pytest.mark.parametrize("settled", [False, True])
async def test_the_dead_begin_where_the_living_end(device, bus, new_state, clock, settled, packets):
    """Acks stop before the first dead byte, wherever in the buffer the entry stood."""
    await device.open()
    before = list(device.session.speech(2))
    for one in before:
        await device.append(one)
    poison = device.session.chunk(packets(50))
    await device.append(poison, b"poison")
    if settled:
        await bus.client.xtrim(bus.keys.audio(device.conversation), minid=str(poison.id), approximate=False)
    buffer = Buffer(bus, device.conversation, new_state(settled=before[-1].id if settled else None))
    buried = []
    assert await buffer.read_page(clock(), on_buried=lambda: buried.append(1))
    assert buried == [1]
    assert (await bus.stored(device.conversation, poison.id.epoch)).dead_offset == before[-1].id.offset
    assert len(await bus.read(device.conversation, count=10)) == (0 if settled else 3)


async def test_under_a_cut_nothing_is_buried(device, bus, new_state, clock, packets):
    await device.open()
    poison = device.session.chunk(packets(50))
    await device.append(poison, b"poison")
    epoch = poison.id.epoch
    cut = Cut(VERSION, f"{epoch}-0", str(poison.id), "", "standard", "end")
    await bus.cut(device.conversation, cut, settled=None)
    assert not await Buffer(bus, device.conversation, new_state()).read_page(clock())
    with pytest.raises(BadEntryError):
        await Buffer(bus, device.conversation, new_state()).read_page(clock(), last=poison.id)
    assert len(await bus.read(device.conversation, count=10)) == 2
