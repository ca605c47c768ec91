"""What lies among the dead letters and is none, on each kind of Redis."""

import pytest

from audiobus import EntryId
from audiobus.census import exact
from audiobus.dead_fields import discard_field, named, shown
from audiobus.dead_letters import look
from audiobus.errors import BadEntryError, BusContractError


@pytest.fixture
async def letters(bus, recorder, conversation):
    """Chunks of 100 ms that end at 100 to 400; the second and the fourth are dead letters. Their ids."""
    await recorder.open()
    for end in (100, 200, 300, 400):
        await recorder.append(end)
    found = []
    for entry in await bus.read(conversation, count=9):
        if entry.id.offset in (200, 400):
            samples = entry.counted_samples
            first = entry.id.offset - 100
            assert await bus.bury(
                conversation, entry, reason="x", first_offset=first, samples=samples, now_ms=7
            )
            found.append(entry.id)
    return found


async def spoil(bus, conversation, *fields):
    for field in fields:
        await bus.command("HSET", bus.keys.dead(conversation), str(field), b"\xc1")


async def test_a_damaged_letter_leaves_the_books_closed(letters, bus, conversation):
    first, second = letters
    await spoil(bus, conversation, first)
    assert await discard_field(bus, conversation, str(first), 9) == 4_800
    assert await discard_field(bus, conversation, str(first), 9) is None  # a lost reply
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.dead, balance.deleted) == (0, 4_800, 4_800)
    assert (await bus.stored(conversation, first.epoch)).dead_offset == 300
    with pytest.raises(BusContractError, match="can be read"):
        await discard_field(bus, conversation, str(second), 9)


async def test_of_several_the_last_one_takes_what_was_counted(letters, bus, conversation):
    first, second = letters
    await spoil(bus, conversation, first, second, "rubbish")
    assert await discard_field(bus, conversation, str(second), 9) == 0
    # Where `stored` stops is not moved by guesses.
    assert (await bus.stored(conversation, first.epoch)).dead_offset == 100
    assert await discard_field(bus, conversation, "rubbish", 9) == 0
    assert await discard_field(bus, conversation, str(first), 9) == 9_600
    assert (await bus.stored(conversation, first.epoch)).dead_offset is None
    assert (await exact(bus, conversation)).difference == 0


async def test_what_somebody_put_there_was_never_counted(letters, bus, conversation):
    await spoil(bus, conversation, EntryId(9, 9))
    assert await discard_field(bus, conversation, "9-9", 9) == 0
    assert (await exact(bus, conversation)).difference == 0
    assert (await bus.stored(conversation, letters[0].epoch)).dead_offset == 100


@pytest.mark.parametrize(
    "name", [b"\xff\xfe", b"\\xff\\xfe", b"\\", b"\\\xff", "ä-1".encode(), b"", b"1-1", b"x\\x5c"]
)
def test_what_a_field_is_called_names_it_and_no_other(name):
    assert named(shown(name)) == name
    shown(name).encode()  # it can be printed


async def test_a_name_that_is_no_text_is_seen_and_can_be_dropped(letters, bus, conversation):
    key = bus.keys.dead(conversation)
    await bus.command("HSET", key, b"\xff\xfe", b"x")
    await bus.command("HSET", key, "\\xff\\xfe", b"y")
    found = [one.id async for one in look(bus, conversation)]
    assert found == [*map(str, letters), *sorted(["\\xff\\xfe", "\\\\xff\\\\xfe"], key=found.index)]
    with pytest.raises(BadEntryError):
        await exact(bus, conversation)
    assert await discard_field(bus, conversation, "\\xff\\xfe", 9) == 0
    assert await bus.command("HGET", key, "\\xff\\xfe") == b"y"
    assert await discard_field(bus, conversation, "\\\\xff\\\\xfe", 9) == 0
    assert (await exact(bus, conversation)).difference == 0
