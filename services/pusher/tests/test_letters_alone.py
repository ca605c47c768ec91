"""A conversation of nothing but dead letters, which Redis has let go of: on its user's list as long as it has them, and no longer."""

import pytest

from audiobus import dead_letters
from audiobus.dead_fields import discard_field
from audiobus.deletions import discard


@pytest.fixture
async def only_letters(bus, device, memory_store, new_worker, clock):
    """Of a conversation that Redis has let go of: every entry became one."""
    await device.open()
    await device.say(2)
    await bus.note_live(device.conversation, clock())
    letters = [entry for entry in await bus.read(device.conversation, count=9) if entry.chunk is not None]
    for entry in letters:
        assert await bus.bury(
            device.conversation,
            entry,
            reason="test",
            first_offset=0,
            samples=entry.counted_samples,
            now_ms=clock(),
        )
    clock.pass_s(25 * 3600)
    await new_worker(memory_store).drain(device.conversation)
    assert not await bus.buffered(device.conversation)
    return letters


@pytest.fixture
def follow(bus, hints, memory_store, new_worker, clock):
    """A pusher looks at what is due by now, until nothing is."""
    worker = new_worker(memory_store)

    async def all_of_it() -> None:
        await hints.make_group(0)
        while await hints.schedule(0, clock(), clock() + 30_000):
            for hint in await hints.take(bus.client, 0, "pusher-1", count=10, block_ms=None):
                await worker.drain(hint.conversation)
                await hints.done(hint)

    return all_of_it


async def test_with_dead_letters_it_stays_on_its_users_list(
    bus, device, only_letters, memory_store, new_worker, follow, clock
):
    """Nothing else knows of it. When they are stored after all it leaves, be it that the hints are lost."""
    assert await bus.live(device.conversation.uid) == [device.conversation]
    for entry in only_letters:
        assert await dead_letters.mark(bus, device.conversation, entry.id, clock())
    await bus.command("DEL", bus.keys.ready(0))
    await new_worker(memory_store).drain(device.conversation)
    await follow()
    assert await bus.live(device.conversation.uid) == []
    assert await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag) is None


@pytest.mark.parametrize("kept", [0, 1])
async def test_when_they_are_dropped_it_leaves_its_users_list(kept, bus, device, only_letters, follow, clock):
    for entry in only_letters[kept:]:
        assert await discard(bus, device.conversation, entry.id, clock())
    await follow()
    assert await bus.live(device.conversation.uid) == [device.conversation] * kept


async def test_when_what_nobody_can_read_is_dropped_it_leaves_its_users_list(
    bus, device, only_letters, follow, clock
):
    for entry in only_letters:
        await bus.command("HSET", bus.keys.dead(device.conversation), str(entry.id), b"\xc1")
    await follow()
    assert await bus.live(device.conversation.uid) == [device.conversation]
    for entry in only_letters:
        await discard_field(bus, device.conversation, str(entry.id), clock())
    await follow()
    assert await bus.live(device.conversation.uid) == []
