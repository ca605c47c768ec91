"""What a killed listen has not written, whoever drains writes."""

import pytest

from audiobus import Conversation, EntryId, UsageTotal, UserRequest
from pusher.usage_notes import UsageNotes


class Counting:
    """A bus whose writes are counted."""

    def __init__(self, bus) -> None:
        self._bus = bus
        self.writes = 0

    def __getattr__(self, name):
        return getattr(self._bus, name)

    async def look_up_user(self, request: UserRequest):
        self.writes += 1
        return await self._bus.look_up_user(request)


async def totals_of(bus, device) -> dict[str, int]:
    out = {}
    for total in await bus.used(device.conversation):
        rows = await bus.command("HGETALL", bus.keys.usage(device.conversation.uid, total.day))
        pairs = rows.items() if isinstance(rows, dict) else zip(rows[::2], rows[1::2], strict=True)
        out |= {key.decode(): int(value) for key, value in pairs}
    return out


async def test_a_conversation_that_is_drained_has_its_use_written(device, bus, memory_store, new_worker):
    await device.open()
    await device.say(5)
    await new_worker(memory_store).drain(device.conversation)
    assert await totals_of(bus, device) == {}  # it waits: its listen is alive, as far as is known
    await bus.ask(device.conversation, "end")
    await new_worker(memory_store).drain(device.conversation)
    (used,) = await bus.used(device.conversation)
    assert used.ms > 4_900
    assert await totals_of(bus, device) == {used.session: used.ms}


async def test_it_is_written_once_until_there_is_more(device, bus):
    counting, notes = Counting(bus), UsageNotes()
    await device.open()
    await device.say(2)
    for _ in range(3):
        await notes.note(counting, device.conversation, device.session.newest)
    assert counting.writes == 1
    await device.say(1)
    await notes.note(counting, device.conversation, device.session.newest)
    assert counting.writes == 2


async def test_a_higher_total_stays(device, bus):
    await device.open()
    await device.say(1)
    (used,) = await bus.used(device.conversation)
    more = UsageTotal(used.day, used.session, used.ms + 9)
    await bus.look_up_user(UserRequest(device.conversation.uid, used.day, 0, (more,)))
    await UsageNotes().note(bus, device.conversation, device.session.newest)
    assert await totals_of(bus, device) == {used.session: used.ms + 9}


async def test_what_somebody_changed_by_hand_is_left(device, bus, caplog):
    await device.open()
    await device.say(1)
    await bus.command("HSET", bus.keys.conv(device.conversation), "used", "much")
    await UsageNotes().note(bus, device.conversation, device.session.newest)
    assert "cannot be written" in caplog.text


@pytest.mark.parametrize("newest", [None, EntryId(1, 0)])
async def test_a_conversation_without_audio_has_nothing_to_write(bus, newest):
    counting = Counting(bus)
    await UsageNotes().note(counting, Conversation("u", "nothing"), newest)
    assert counting.writes == 0


async def test_only_so_many_are_remembered(bus):
    notes = UsageNotes(most=3)
    for number in range(5):
        await notes.note(bus, Conversation("u", f"c{number}"), EntryId(1, 0))
    assert len(notes._noted) == 3
