"""What times of deletions meant: noted before anything goes, by whoever has the turn, each for 30 days of its own."""

import pytest

from audiobus.deletions import KEPT_MS, unstore
from audiobus.errors import BadEntryError
from audiobus.meant import (
    MOST,
    VERSION,
    Audio,
    Meant,
    Notes,
    Times,
    decode_meant,
    meant_at,
    note,
    notes,
    times,
)
from audiobus.replacing import Replacing
from audiobus.script import script

NAME = "chunks/user-1/conv-1/1.000-2.000.batch.bin"
RUN = Audio("conv-1", 5, 1_700_000_000_000, 0, 48_000)


def meant(at_ms: int, *names: str) -> Meant:
    return Meant(VERSION, at_ms, names, ("5-9",), (RUN,))


@pytest.fixture
async def replacing(bus, conversation) -> Replacing:
    holder = Replacing(bus, conversation)
    assert await holder.hold()
    return holder


async def test_notes_of_both_kinds_are_read_in_one_go(replacing, bus, conversation, now_ms):
    assert await notes(bus, conversation) == Notes({}, frozenset(), {})
    await unstore(bus, conversation, {NAME: 0}, now_ms)
    # As builds before this noted it.
    await bus.command("HSET", bus.keys.gone(conversation), "time/7000", "0")
    assert await note(replacing, {8_000: meant(3, NAME)})
    found = await notes(bus, conversation)
    assert (list(found.names), found.times_ms) == ([NAME], {7_000})
    assert {at_ms: decode_meant(one) for at_ms, one in found.meant.items()} == {8_000: meant(3, NAME)}
    assert 0 < await bus.command("PTTL", bus.keys.meant(conversation)) <= KEPT_MS


async def test_only_whoever_has_the_turn_notes(replacing, bus, conversation):
    other = Replacing(bus, conversation)
    assert not await note(other, {8_000: meant(3)})
    assert (await notes(bus, conversation)).meant == {}
    await replacing.release()
    assert not await note(replacing, {8_000: meant(3)})
    assert await note(replacing, {})  # nothing is asked for


async def test_what_is_noted_is_replaced_kept_or_taken_away(replacing, bus, conversation):
    assert await note(replacing, {1: meant(1, "a"), 2: meant(1, "b")})
    assert await note(replacing, {1: meant(2, "c"), 3: meant(2)}, keep=True)
    assert await note(replacing, {2: meant(3, "d")}, leaving=[3])
    found = (await notes(bus, conversation)).meant
    assert {at_ms: decode_meant(one).names for at_ms, one in found.items()} == {1: ("a",), 2: ("d",)}


async def test_each_leaves_when_it_is_old_and_the_oldest_where_there_are_too_many():
    now_ms = 10 * KEPT_MS
    young, old, strange = meant(now_ms - KEPT_MS + 1), meant(now_ms - KEPT_MS), b"\x93"
    some = Notes(meant={1: young.encode(), 2: old.encode(), 3: strange})
    assert some.leaving(now_ms, [4]) == [3, 2]
    many = Notes(meant={number: meant(now_ms - number).encode() for number in range(1, MOST + 1)})
    assert many.leaving(now_ms, []) == []
    assert many.leaving(now_ms, [MOST + 1, MOST + 2]) == [MOST, MOST - 1]
    # What is noted anew takes no more room than it has.
    assert many.leaving(now_ms, [MOST + 1, MOST]) == [MOST - 1]
    assert many.leaving(now_ms, range(MOST, 3 * MOST)) == [*range(MOST, 0, -1)]


async def test_so_many_are_noted_in_steps_and_no_more_than_are_kept(
    replacing, bus, conversation, monkeypatch
):
    """A stretch may be of a day of dead letters."""
    monkeypatch.setattr("audiobus.meant.AT_ONCE", 3)
    monkeypatch.setattr("audiobus.meant.MOST", 10)
    ran = []
    real = script("note_meant").run

    class Watched:
        def __init__(self, _name) -> None:
            pass

        async def run(self, client, keys, args, **rest):
            ran.append((int(args[3]), (len(args) - 4 - int(args[3])) // 2))
            return await real(client, keys, args, **rest)

    monkeypatch.setattr("audiobus.meant.script", Watched)
    assert await note(replacing, {at_ms: meant(1) for at_ms in range(4)})
    new = {at_ms: meant(2) for at_ms in (1, *range(100, 120))}
    known = await notes(bus, conversation)
    assert await note(replacing, new, known.leaving(3, new), keep=True)
    assert set((await notes(bus, conversation)).meant) == set(range(110, 120))
    assert all(over + some <= 3 for over, some in ran)
    await replacing.release()
    ran.clear()
    assert not await note(replacing, new, keep=True)
    assert len(ran) == 1


async def test_times_are_told_without_what_they_meant_and_that_of_some(
    replacing, bus, conversation, now_ms, monkeypatch
):
    assert await times(bus, conversation) == Times({}, frozenset(), frozenset())
    await unstore(bus, conversation, {NAME: 0}, now_ms)
    await bus.command("HSET", bus.keys.gone(conversation), "time/7000", "0")
    assert await note(replacing, {8_000: meant(3, NAME), 8_001: meant(4)})
    await bus.command("HSET", bus.keys.meant(conversation), "8002", b"\x93")
    found = await times(bus, conversation)
    assert (list(found.names), found.meant_ms, found.others_ms) == ([NAME], {8_000, 8_001, 8_002}, {7_000})
    monkeypatch.setattr("audiobus.meant.AT_ONCE", 2)
    some = await meant_at(bus, conversation, [8_000, 8_002, 1, 8_001])
    assert some == {8_000: meant(3, NAME), 8_001: meant(4)}
    assert await meant_at(bus, conversation, []) == {}


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x91\x01", Meant(VERSION + 1, 1, (), (), ()).encode()])
def test_what_is_no_note(data):
    with pytest.raises(BadEntryError):
        decode_meant(data)


@pytest.mark.parametrize(("kind", "name"), [("meant", "soon"), ("gone", "time/soon"), ("gone", "a name")])
async def test_fields_that_are_none_are_told(bus, conversation, kind, name):
    await bus.command("HSET", getattr(bus.keys, kind)(conversation), name, "x")
    for read in (notes, times):
        with pytest.raises(BadEntryError):
            await read(bus, conversation)
