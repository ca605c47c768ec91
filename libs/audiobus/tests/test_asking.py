"""Many buffers asked for at once."""

from audiobus import Bus, Conversation, EntryId, Hints
from audiobus.asking import ask_together
from audiobus.errors import BusContractError


async def test_what_waits_is_asked_for_and_hinted_at(bus, recorder_for):
    talks = [Conversation("u", f"c{number}") for number in range(5)]
    newest = {}
    for talk in talks[:3]:
        recorder = recorder_for(talk)
        await recorder.open()
        await recorder.append(100)
        newest[talk] = recorder.newest
    await bus.command("SET", bus.keys.conv(talks[3]), "what?")
    first, second, third, spoilt, unknown = await ask_together(bus, talks, "flush", 5)
    assert (first, second, third, unknown) == (True, True, True, False)
    assert isinstance(spoilt, BusContractError)
    hinted = set()
    for partition in range(bus.keys.partitions):
        await Hints(bus).make_group(partition)
        for hint in await Hints(bus).take(bus.client, partition, "test", count=9, block_ms=None):
            assert hint.reason == "flush"
            hinted.add(hint.conversation)
    assert hinted == set(talks[:3])
    for talk in talks[:3]:
        state = await bus.state(talk)
        assert (state.flush, state.flush_reason) == (newest[talk], "flush")
        assert int(await bus.command("ZSCORE", bus.keys.due(bus.keys.partition(talk)), talk.tag)) == 5
    assert await bus.command("ZSCORE", bus.keys.due(bus.keys.partition(talks[4])), talks[4].tag) is None
    assert await ask_together(bus, [], "flush", 5) == []


async def test_an_empty_buffer_is_not_asked_for(bus: Bus, recorder, conversation):
    await recorder.open()
    await bus.command("XTRIM", bus.keys.audio(conversation), "MAXLEN", 0)
    assert await ask_together(bus, [conversation], "flush", 5) == [False]
    assert (await bus.state(conversation)).flush in (None, EntryId(0, 0))
