"""A pusher that begins while one of its two buckets cannot be opened: the other one does what is its own to do."""

import pytest

from audiostore import OpenedLater, opened_later
from pusher.buckets import AWAY_MS
from pusher.circuit import Phase
from pusher.homecoming import MOVED, Homecoming


@pytest.fixture
def in_the_way(tmp_path):
    """A file where a store's folder is to be."""
    path = tmp_path / "in the way"
    path.write_text("")
    return path


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Each who asks may try to open it: these tests have a clock of their own."""
    monkeypatch.setattr(opened_later, "AGAIN_S", 0.0)


async def recorded(device, bus):
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")


async def test_without_the_first_batches_go_to_the_second_a_minute_later_and_home_once_it_is_open(
    *, device, new_device, bus, memory_store, new_worker, packets_of, keys, in_the_way, clock
):
    other = new_device(conversation="other")
    for one in (device, other):
        await recorded(one, bus)
    first = OpenedLater(f"file://{in_the_way}")
    worker = new_worker(first, second=memory_store)
    began_ms = clock()
    while await packets_of(memory_store, device.conversation) != device.sent:
        for one in (device, other):
            await worker.drain(one.conversation)
        assert clock() - began_ms < 2 * AWAY_MS
        clock.pass_s(5)
    assert clock() - began_ms >= AWAY_MS
    assert worker.buckets.first.circuit.phase is Phase.PAUSED
    assert "open the store in" in worker.buckets.first.circuit.why
    in_the_way.unlink()
    home = Homecoming(bus, first, memory_store, keys)
    assert {await home.move(info) async for info in memory_store.list("chunks/")} == {MOVED}
    assert await packets_of(first) == device.sent
    await first.close()


async def test_without_the_second_batches_go_to_the_first(
    device, bus, memory_store, new_worker, packets_of, in_the_way
):
    await recorded(device, bus)
    second = OpenedLater(f"file://{in_the_way}")
    worker = new_worker(memory_store, second=second)
    await worker.drain(device.conversation)
    assert await packets_of(memory_store) == device.sent
    assert worker.buckets.well
    await second.close()
