"""`stored` goes on over a dead letter that was the last thing recorded, whatever becomes of it, and whenever: nothing that comes later moves it."""

import pytest

from audiobus import Cut, EntryId
from audiobus import dead_letters as dead
from audiobus.deletions import discard, expunge
from audiobus.letters_cut import LettersCut

CUT = "chunks/user-1/conv-1/1.000-2.000.batch.bin"


@pytest.fixture
async def letter(bus, recorder, conversation):
    """Chunks that end at 100 to 300; the last one is a dead letter."""
    await recorder.open()
    for end in (100, 200, 300):
        await recorder.append(end)
    [entry] = [one for one in await bus.read(conversation, count=9) if one.id.offset == 300]
    buried = {"reason": "defect", "first_offset": 200, "samples": entry.counted_samples, "now_ms": 7}
    assert await bus.bury(conversation, entry, **buried)
    return entry.id


@pytest.fixture
def stored(bus, recorder, conversation):
    """How far the client is told that all is stored."""

    async def look() -> int:
        standing = await bus.stored(conversation, recorder.newest.epoch)
        settled = standing.settled.offset if standing.settled else 0
        return settled if standing.dead_offset is None else min(settled, standing.dead_offset)

    return look


@pytest.fixture
def finish(bus, conversation, letter):
    """Stores what waits."""

    async def store() -> None:
        settled = (await bus.state(conversation)).settled
        last = EntryId(letter.epoch, 200)
        cut = Cut(1, f"{letter.epoch}-0", str(last), CUT, "standard", "idle")
        await bus.cut(conversation, cut, settled=settled)
        ends = {letter.epoch: 200}
        args = {"last": last, "preroll": None, "samples": 9600, "ends": ends, "now_ms": 8}
        assert await bus.finish(conversation, cut.encode(), **args)

    return store


async def test_it_is_dropped_after_all_else_was_stored(bus, conversation, letter, stored, finish):
    await finish()
    assert await stored() == 200
    await discard(bus, conversation, letter, 9)
    assert await stored() == 300


async def test_it_is_dropped_before_all_else_is_stored(bus, conversation, letter, stored, finish):
    await discard(bus, conversation, letter, 9)
    assert await stored() == 0
    await finish()
    assert await stored() == 300


async def test_it_is_stored_before_all_else_is(bus, conversation, letter, stored, finish):
    assert await dead.mark(bus, conversation, letter, 9)
    letters = await dead.marked(bus, conversation, 9)
    cut = LettersCut(1, (str(letter),), "", "standard")
    await dead.cut(bus, conversation, cut, now_ms=9)
    assert await dead.settle(bus, conversation, cut.encode(), letters) is not None
    assert await stored() == 0
    await finish()
    assert await stored() == 300


async def test_it_is_dropped_before_all_else_is_deleted(bus, conversation, letter, stored):
    await discard(bus, conversation, letter, 9)
    entries = {one.id: one.counted_samples for one in await bus.read(conversation, count=9)}
    await expunge(bus, conversation, entries, cut=None, name="", preroll=False, now_ms=9)
    assert await stored() == 300


async def test_what_is_still_dead_holds_it_back(bus, conversation, recorder, letter, stored, finish):
    await finish()
    assert await stored() == 200
    await recorder.append(400)
    [entry] = await bus.read(conversation, count=9)
    assert await bus.bury(
        conversation, entry, reason="defect", first_offset=300, samples=entry.counted_samples, now_ms=7
    )
    await discard(bus, conversation, entry.id, 9)
    assert await stored() == 200
    await discard(bus, conversation, letter, 9)
    assert await stored() == 400


async def test_a_letter_that_comes_while_others_are_settled_holds_it_back(
    bus, conversation, recorder, monkeypatch
):
    """Between the look at the other letters and the script that settles."""
    await recorder.open()
    for end in (100, 200, 300):
        await recorder.append(end)
    entries = {one.id.offset: one for one in await bus.read(conversation, count=9)}

    async def bury(end: int) -> EntryId:
        one = entries[end]
        buried = {"reason": "defect", "first_offset": end - 100, "samples": one.counted_samples, "now_ms": 7}
        assert await bus.bury(conversation, one, **buried)
        return one.id

    first = await bury(100)
    assert await dead.mark(bus, conversation, first, 9)
    letters = await dead.marked(bus, conversation, 9)
    cut = LettersCut(1, (str(first),), "", "standard")
    await dead.cut(bus, conversation, cut, now_ms=9)
    look, looks = dead.letters_of, 0

    async def then_another(*args):
        nonlocal looks
        found = await look(*args)
        looks += 1
        if looks == 1:
            await bury(300)
        return found

    monkeypatch.setattr(dead, "letters_of", then_another)
    assert await dead.settle(bus, conversation, cut.encode(), letters) == 4800
    assert looks == 2
    assert (await bus.stored(conversation, first.epoch)).dead_offset == 200
