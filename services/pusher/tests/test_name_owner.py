"""A cut that is given up takes nothing of others with it: a merge may have copied another conversation's object to its name."""

import pytest

from audiobus import Conversation, Cut, CutStands
from audiobus.census import exact
from audiobus.cut import VERSION
from audiobus.dead_letters import cut as cut_letters
from audiobus.dead_letters import mark
from audiobus.deletions import gone
from audiobus.letters_cut import LettersCut
from audiostore.errors import TransientStoreError
from audiostore.names import conversation_prefix
from pusher.name_owner import own_name
from pusher.standing import GIVEN_UP_AFTER


def name_below(conversation) -> str:
    return f"{conversation_prefix(*conversation)}1700000000.000-1700000060.000.batch.bin"


@pytest.fixture
async def copied(bus, new_device, memory_store, new_worker, conversation):
    """What another conversation had recorded, as a merge has copied it here; its bytes."""
    other = new_device(conversation="other")
    await other.open()
    await other.say(4, end=True)
    await bus.ask(other.conversation, "end")
    await new_worker(memory_store).drain(other.conversation)
    [info] = [info async for info in memory_store.list(conversation_prefix(*other.conversation))]
    await memory_store.copy(info.name, name_below(conversation))
    return await memory_store.get(info.name)


async def poisoned(device, packets) -> None:
    """Three seconds, of which the second does not parse in this build."""
    await device.open()
    await device.say(1)
    await device.append(device.session.chunk(packets(50)), b"\x9d\x02 of a later version")
    await device.say(1)


async def test_the_cut_of_the_buffer(copied, device, bus, packets, memory_store, new_worker, clock):
    conversation, name = device.conversation, name_below(device.conversation)
    await poisoned(device, packets)
    entries = await bus.read(conversation, count=99)
    cut = Cut(VERSION, str(entries[0].id), str(entries[-1].id), name, "standard", "size")
    assert await bus.cut(conversation, cut, settled=None) == CutStands()
    worker = new_worker(memory_store)
    for _ in range(GIVEN_UP_AFTER + 3):
        await worker.drain(conversation)
        clock.pass_s(60)
    await bus.ask(conversation, "end")
    await worker.drain(conversation)
    assert (await exact(bus, conversation)).waiting == 0
    assert await memory_store.get(name) == copied
    assert name not in await gone(bus, conversation)


async def test_the_cut_of_dead_letters(copied, device, bus, packets, memory_store, new_worker, clock):
    conversation, name = device.conversation, name_below(device.conversation)
    await poisoned(device, packets)
    await bus.ask(conversation, "end")
    worker = new_worker(memory_store)
    for _ in range(3):
        await worker.drain(conversation)
        clock.pass_s(60)
    [letter] = await bus.command("HKEYS", bus.keys.dead(conversation))
    cut = LettersCut(1, (letter.decode(),), name, "standard")
    assert await cut_letters(bus, conversation, cut, now_ms=0) == CutStands()
    assert await mark(bus, conversation, letter.decode(), clock())
    for _ in range(3):
        await worker.drain(conversation)
        clock.pass_s(60)
    assert not await bus.command("HEXISTS", bus.keys.conv(conversation), "again_cut")
    assert await memory_store.get(name) == copied
    assert name not in await gone(bus, conversation)


async def test_its_own_an_older_one_and_none(copied, device, memory_store, ring):
    conversation, name = device.conversation, name_below(device.conversation)
    cut = Cut(VERSION, "1-0", "1-100", name, "standard", "size")
    assert await own_name([memory_store], ring, conversation, cut) == ""
    [info] = [info async for info in memory_store.list(conversation_prefix(conversation.uid, "other"))]
    facts_runs = info.metadata["tapedeck-runs"]
    epoch, _, rest = facts_runs.partition(":")
    end = rest.partition("@")[0].partition("-")[2]
    own = Cut(VERSION, f"{epoch}-0", f"{epoch}-{end}", info.name, "standard", "size")
    of_other = Conversation(conversation.uid, "other")
    assert await own_name([memory_store], ring, of_other, own) == info.name
    letters = LettersCut(1, (f"{epoch}-{end}",), info.name, "standard")
    assert await own_name([memory_store], ring, of_other, letters) == info.name
    later = Cut(VERSION, f"{epoch}-{int(end) + 1}", f"{epoch}-{int(end) + 9}", info.name, "standard", "size")
    assert await own_name([memory_store], ring, of_other, later) == ""
    await memory_store.delete(name)
    assert await own_name([memory_store], ring, conversation, cut) == name
    await memory_store.put(name, b"\x01\x00" * 800, content_type="x", metadata={})
    assert await own_name([memory_store], ring, conversation, cut) == ""
    nothing = Cut(VERSION, "1-0", "1-100", "", "standard", "size")
    assert await own_name([memory_store], ring, conversation, nothing) == ""


async def test_where_it_cannot_be_asked_nothing_is_given_up(ring, conversation):
    cut = Cut(VERSION, "1-0", "1-100", name_below(conversation), "standard", "size")

    class Away:
        async def head(self, name):
            raise TransientStoreError("away")

    with pytest.raises(TransientStoreError):
        await own_name([Away()], ring, conversation, cut)
