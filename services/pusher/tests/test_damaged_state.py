"""What Redis says of a conversation is damaged: its audio is stored all the same, once, and the books close."""

import pytest

from audiobus import failures
from audiobus.census import exact
from audiobus.errors import BusUnavailableError


@pytest.mark.parametrize("damage", [b"\xc1damaged", b"\x95\x01", b"\x01", b"\x91\xc4\xff", b"\xff" * 40])
@pytest.mark.parametrize("before", ["the first batch", "a later batch"])
async def test_a_preroll_that_is_none_costs_a_seam_and_no_audio(
    device, bus, memory_store, new_worker, clock, conversation, packets_of, batches, damage, before
):
    await device.open()
    worker = new_worker(memory_store)
    if before == "a later batch":
        await device.say(61)
        await worker.drain(conversation)
    await device.say(30)
    await bus.command("HSET", bus.keys.conv(conversation), "preroll", damage)
    await bus.ask(conversation, "flush")
    await worker.drain(conversation)
    assert await packets_of(memory_store) == device.sent
    assert (await failures.read(bus, conversation)).count == 0
    assert (await exact(bus, conversation)).difference == 0
    # The next batch begins with a pre-roll again.
    await device.say(30)
    await bus.ask(conversation, "flush")
    await worker.drain(conversation)
    assert await packets_of(memory_store) == device.sent
    assert (await batches(memory_store))[-1].preroll


async def test_a_cut_over_a_preroll_that_is_none_is_carried_out(
    device, bus, memory_store, new_worker, clock, conversation, packets_of, monkeypatch
):
    """Its object lies in the bucket already, with the pre-roll that was there: it holds the same audio."""
    await device.open()
    worker = new_worker(memory_store)
    await device.say(125)
    await worker.drain(conversation)
    await device.say(30)
    await bus.ask(conversation, "flush")

    async def away(*_, **__):
        raise BusUnavailableError("between put and finish")

    with monkeypatch.context() as patched:
        patched.setattr(bus, "finish", away)
        with pytest.raises(BusUnavailableError):
            await worker.drain(conversation)
    await bus.command("HSET", bus.keys.conv(conversation), "preroll", b"\xc1damaged")
    await new_worker(memory_store).drain(conversation)
    assert await packets_of(memory_store) == device.sent
    assert (await bus.state(conversation)).cut is None
    assert (await exact(bus, conversation)).difference == 0


@pytest.mark.parametrize(
    "damage", [b"x", b"", b"48e3", b"0x10", b"-48000", b" 48000", b"nan", b"9" * 17, "\u0664".encode()]
)
async def test_a_count_beside_a_chunk_that_is_none_stops_nothing_and_keeps_the_books(
    device, bus, memory_store, new_worker, conversation, packets_of, damage
):
    await device.open()
    await device.say(3)
    keys = bus.keys
    for one in device.session.speech(2):
        fields = ("c", one.chunk.encode(), "s", damage)
        await bus.command("XADD", keys.audio(conversation), str(one.id), *fields)
        await bus.command("HSET", keys.conv(conversation), "newest", str(one.id))
        await bus.command("HINCRBY", keys.conv(conversation), "in", one.chunk.samples)
    await device.say(1)
    await bus.ask(conversation, "flush")
    await new_worker(memory_store).drain(conversation)
    assert await packets_of(memory_store) == device.sent
    assert (await failures.read(bus, conversation)).count == 0
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.waiting, balance.stored) == (0, 0, balance.received)
