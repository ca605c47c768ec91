"""Which name a cut gets."""

import pytest

from audiobus import Cut, CutStands, EntryId
from audiobus.deletions import unstore
from audiobus.errors import BadEntryError
from audiobus.letters_cut import LettersCut
from pusher.free_name import later, write_down, write_letters_down


def cut_named(end: str) -> Cut:
    return Cut(1, "5-0", "5-100", f"chunks/u/c/1.000-{end}.batch.bin", "standard", "size")


def test_a_later_name_ends_a_millisecond_later():
    assert later(cut_named("2.999")) == cut_named("3.000")
    with pytest.raises(BadEntryError, match="no name"):
        later(cut_named("2.9"))


async def test_no_deleted_object_s_name_is_taken(bus, conversation, new_state):
    await unstore(bus, conversation, {cut_named("2.000").name: 0, cut_named("2.001").name: 0}, 1)
    state = new_state()
    answer, cut = await write_down(bus, conversation, cut_named("2.000"), state)
    assert (answer, cut) == (CutStands(), cut_named("2.002"))
    assert (await bus.state(conversation)).cut == cut.encode()
    state = new_state(settled=EntryId(9, 9))
    moved, same = await write_down(bus, conversation, cut_named("4.000"), state)
    assert (type(moved).__name__, same) == ("SettledMoved", cut_named("4.000"))


@pytest.mark.parametrize("letters", [False, True])
async def test_nor_one_that_is_announced(bus, conversation, new_state, letters):
    name = cut_named("2.000").name
    await bus.command("HSET", bus.keys.replacing(conversation), name, "7:9")
    if letters:
        cut = LettersCut(1, (), name, "standard")
        answer, written = await write_letters_down(bus, conversation, cut, now_ms=1)
    else:
        answer, written = await write_down(bus, conversation, cut_named("2.000"), new_state())
    assert (answer, written.name) == (CutStands(), cut_named("2.001").name)
