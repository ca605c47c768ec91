"""What was planned before an entry was taken away, or the name of an object given up, is not cut."""

import pytest

from audiobus import Bus, ConversationGone, Cut, CutStands, EntryId, SettledMoved
from audiobus import dead_letters as dead
from audiobus.answers import NameGone
from audiobus.dead_letters import OtherCut
from audiobus.deletions import discard, drop_cut, expunge, set_tombstone, unstore
from audiobus.letters_cut import LettersCut, standing

NAME = "chunks/user-1/conv-1/1.000-2.000.batch.bin"
OTHER_NAME = NAME.replace("2.000", "2.001")
HOW = {"reason": "x", "first_offset": 0, "now_ms": 7}


@pytest.fixture
async def recorded(bus, recorder, conversation):
    """Chunks that end at 100 to 500, the fourth and the fifth dead letters: those that are left, and the ids of the letters."""
    await recorder.open()
    for end in (100, 200, 300, 400, 500):
        await recorder.append(end)
    *rest, fourth, fifth = await bus.read(conversation, count=9)
    for entry in (fourth, fifth):
        assert await bus.bury(conversation, entry, samples=entry.counted_samples, **HOW)
    return rest, [fourth.id, fifth.id]


def cut_of(entries, name=NAME) -> Cut:
    return Cut(1, str(entries[0].id), str(entries[-1].id), name, "standard", "size")


async def buried(bus, conversation, entries, _letters):
    assert await bus.bury(conversation, entries[1], samples=entries[1].counted_samples, **HOW)


async def expunged(bus, conversation, entries, _letters):
    what = {"cut": None, "name": "", "preroll": False, "now_ms": 1}
    assert await expunge(bus, conversation, {entries[2].id: 4_800}, **what) == 4_800


async def preroll_expunged(bus, conversation, _entries, _letters):
    assert await expunge(bus, conversation, {}, cut=None, name="", preroll=True, now_ms=1) == 0


async def given_up(bus, conversation, entries, _letters):
    other = cut_of(entries, OTHER_NAME)
    assert await bus.cut(conversation, other, settled=None) == CutStands()
    assert await drop_cut(bus, conversation, other.encode(), OTHER_NAME, 1)


async def object_deleted(bus, conversation, _entries, _letters):
    await unstore(bus, conversation, {OTHER_NAME: 0}, 1)


async def letter_dropped(bus, conversation, _entries, letters):
    assert await discard(bus, conversation, letters[1], 1) is not None


async def letters_cut_given_up(bus, conversation, _entries, letters):
    other = LettersCut(1, (str(letters[0]),), OTHER_NAME, "standard")
    assert await dead.cut(bus, conversation, other, now_ms=5) == CutStands()
    answer = await dead.cut(bus, conversation, None, replaces=other.encode(), gone=OTHER_NAME, now_ms=5)
    assert answer == CutStands()


EVENTS = (
    buried,
    expunged,
    preroll_expunged,
    given_up,
    object_deleted,
    letter_dropped,
    letters_cut_given_up,
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
async def test_a_batch_that_was_planned_before_is_planned_anew(event, recorded, bus, conversation):
    entries, letters = recorded
    before = (await bus.state(conversation)).fence
    await event(bus, conversation, entries, letters)
    cut = cut_of(entries)
    for _ in range(2):
        assert await bus.cut(conversation, cut, settled=None, fence=before) == SettledMoved(None)
    now = (await bus.state(conversation)).fence
    assert now > before
    for _ in range(2):  # a lost reply
        assert await bus.cut(conversation, cut, settled=None, fence=now) == CutStands()
    # Somebody else has cut the same, of other entries: whoever has read more than those may not put them.
    assert await bus.cut(conversation, cut, settled=None, fence=before) == SettledMoved(None)
    assert (await bus.state(conversation)).cut == cut.encode()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
async def test_nor_is_an_object_of_dead_letters(event, recorded, bus, conversation):
    entries, letters = recorded
    before = await dead.moment(bus, conversation)
    await event(bus, conversation, entries, letters)
    cut = LettersCut(1, (str(letters[0]),), NAME, "standard")
    for _ in range(2):
        assert await dead.cut(bus, conversation, cut, since=before, now_ms=5) == OtherCut()
    assert await standing(bus, conversation) is None
    now = await dead.moment(bus, conversation)
    for _ in range(2):
        assert await dead.cut(bus, conversation, cut, since=now, now_ms=5) == CutStands()
    assert await dead.cut(bus, conversation, cut, since=before, now_ms=5) == OtherCut()


async def test_nothing_else_is_held_up(recorded, bus, recorder, conversation):
    """What is appended, asked for or stored leaves what was planned as it is."""
    entries, _ = recorded
    before = (await bus.state(conversation)).fence
    await bus.ask(conversation, "flush")
    cut = cut_of(entries)
    assert await bus.cut(conversation, cut, settled=None, fence=before) == CutStands()
    last = entries[-1].id
    assert await bus.finish(
        conversation, cut.encode(), last=last, preroll=None, samples=14_400, ends={}, now_ms=1
    )
    assert (await bus.state(conversation)).fence == before


async def test_a_name_that_must_not_stay_is_no_dead_letter_s(recorded, bus, conversation):
    _, letters = recorded
    await unstore(bus, conversation, {NAME: 0}, 1)
    cut = LettersCut(1, (str(letters[0]),), NAME, "standard")
    assert await dead.cut(bus, conversation, cut, now_ms=5) == NameGone()
    assert await standing(bus, conversation) is None
    await set_tombstone(bus, conversation, 5)
    assert await dead.cut(bus, conversation, cut, now_ms=5) == ConversationGone()


async def test_dead_letters_are_not_cut_in_another_history(redis_process, recorder_on):
    """What is stored of them by now, the one that was asked before may know, and this one have forgotten."""
    async with Bus(redis_process.url) as bus:
        recorder = recorder_on(bus)
        await recorder.open()
        await recorder.append(100)
        conversation = recorder.conversation
        [_, entry] = await bus.read(conversation, count=9)
        assert await bus.bury(conversation, entry, samples=4_800, **HOW)
        before = await dead.moment(bus, conversation)
        redis_process.kill()
        redis_process.start()
    async with Bus(redis_process.url) as bus:
        cut = LettersCut(1, (str(EntryId(entry.id.epoch, 100)),), NAME, "standard")
        assert await dead.cut(bus, conversation, cut, since=before, now_ms=5) == OtherCut()
        now = await dead.moment(bus, conversation)
        assert (now.fence, now.history != before.history) == (before.fence, True)
        assert await dead.cut(bus, conversation, cut, since=now, now_ms=5) == CutStands()
