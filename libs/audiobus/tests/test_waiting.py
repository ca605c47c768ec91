"""What waits in Redis."""

from audiobus import Conversation, failures
from audiobus.deletions import set_tombstone
from audiobus.masters import Masters
from audiobus.waiting import buffers, waiting


async def looked(bus):
    masters = Masters(bus)
    looks = sorted(await waiting(masters), key=lambda look: look.conversation)
    return masters, await buffers(masters, looks)


async def test_every_buffer_with_something_in_it(bus, recorder_for):
    talks = [Conversation("u", f"c{number}") for number in range(4)]
    for number, talk in enumerate(talks[:3]):
        recorder = recorder_for(talk)
        await recorder.open()
        for end in range(1, number + 2):
            await recorder.append(end * 1000)
    await recorder_for(talks[3]).open()
    await bus.command("XTRIM", bus.keys.audio(talks[3]), "MAXLEN", 0)
    await set_tombstone(bus, talks[1], 1)
    await failures.note(bus, talks[2], "the bucket is away", 5)
    masters, found = await looked(bus)
    assert [one.conversation for one in found] == talks[:3]
    assert [one.seconds for one in found] == [1, 2, 3]
    assert [(one.state, one.why, one.fails) for one in found] == [
        ("waits", "", 0),
        ("deleted", "", 0),
        ("failing", "the bucket is away", 1),
    ]
    assert all(one.bytes and one.bytes > 0 for one in found)
    assert masters.away == masters.strange == ()


async def test_what_is_no_conversations_is_named_and_hides_nothing(bus, recorder, conversation):
    await recorder.open()
    await recorder.append(1000)
    await bus.command("XADD", bus.keys.audio(Conversation("-", "c")), "1-1", "c", "x")
    await bus.command("XADD", bus.keys.audio(Conversation("u", "spoilt")), "1-1", "c", "x")
    await bus.command("SET", bus.keys.conv(Conversation("u", "spoilt")), "what?")
    masters, found = await looked(bus)
    assert [one.conversation for one in found] == [conversation]
    assert [one.key for one in masters.strange] == [bus.keys.conv(Conversation("u", "spoilt"))]


async def test_nothing_waits(bus):
    assert await waiting(Masters(bus)) == []
    assert await buffers(Masters(bus), []) == []
