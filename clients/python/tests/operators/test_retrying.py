"""What another try of dead letters tells, by the books, over a real Redis."""

import pytest

from audiobus import EntryId, dead_letters
from audiobus.census import exact
from audiobus.deletions import discard, set_tombstone, sweep
from audiobus.letters_cut import LettersCut
from audiobus.masters import Masters
from tapedeck.operators.letters import dead
from tapedeck.operators.retrying import Retry, those_deleted


@pytest.fixture
def letters(record, bury):
    """Six seconds, of which the first three are dead letters."""
    recorded = record("talk", 6)
    bury(recorded, 0, 1, 2)
    return recorded


@pytest.fixture
def retried(on_redis, letters):
    """What is told of these letters after `meanwhile(bus, letters)`: those that are said to be asked for."""

    def run(meanwhile, *asked: int, within_s: float = 20):
        ids = {str(letters.ids[number]) for number in asked or (0, 1, 2)}

        async def work(bus):
            masters = Masters(bus)
            retry = Retry(masters)
            found = {one.id: one for one in await dead(masters, letters.conversation)}
            for id_ in ids:
                await retry.ask(letters.conversation, found[id_])
            await meanwhile(bus)
            return await retry.wait(within_s, lambda _: None)

        return on_redis(work)

    return run


async def settle(bus, recorded, *numbers):
    """These letters are stored, as a pusher does it."""
    ids = tuple(str(recorded.ids[number]) for number in numbers)
    found = [one.letter async for one in dead_letters.look(bus, recorded.conversation) if one.id in ids]
    cut = LettersCut(1, ids, "chunks/alice/talk/1.000-2.000.batch.bin", "standard")
    await dead_letters.cut(bus, recorded.conversation, cut, now_ms=5)
    assert await dead_letters.settle(bus, recorded.conversation, cut.encode(), found)


def came_of(told):
    return told.stored, told.deleted, told.lost, told.failed, told.waiting


@pytest.mark.parametrize(
    ("deleted", "found"),
    [(-5, ""), (0, ""), (3, "a"), (5, "b"), (8, "ab"), (13, "abc"), (4, "a"), (6, "a"), (99, "abc"), (1, "")],
)
def test_which_letters_the_books_call_deleted(deleted, found):
    assert those_deleted({"a": 3, "b": 5, "c": 5}, deleted) == set(found)


def test_what_is_dropped_meanwhile_is_not_called_stored(retried, letters):
    async def meanwhile(bus):
        await settle(bus, letters, 0)
        await discard(bus, letters.conversation, letters.ids[1], 7)
        await dead_letters.failed(bus, letters.conversation, letters.ids[2], "version 2 is unknown")

    assert came_of(retried(meanwhile)) == (1, 1, 0, 1, 0)


def test_what_else_the_conversation_stored_makes_no_letter_stored(retried, letters):
    async def meanwhile(bus):
        await settle(bus, letters, 0)
        await discard(bus, letters.conversation, letters.ids[1], 7)

    assert came_of(retried(meanwhile, 1)) == (0, 1, 0, 0, 0)


def test_a_conversation_that_is_deleted_meanwhile(retried, letters, on_redis):
    async def meanwhile(bus):
        await set_tombstone(bus, letters.conversation, 7)
        await sweep(bus, letters.conversation, 7)

    assert came_of(retried(meanwhile)) == (0, 3, 0, 0, 0)
    assert on_redis(lambda bus: exact(bus, letters.conversation)).difference == 0


def test_a_letter_that_is_gone_without_being_in_the_books_is_lost(retried, letters):
    async def meanwhile(bus):
        await bus.command("HDEL", bus.keys.dead(letters.conversation), str(letters.ids[1]))
        await settle(bus, letters, 0, 2)

    assert came_of(retried(meanwhile)) == (2, 0, 1, 0, 0)


def test_a_field_that_is_no_text_is_in_no_letters_way(retried, letters):
    async def meanwhile(bus):
        await bus.command("HSET", bus.keys.dead(letters.conversation), b"\xff\xfe", b"x")
        await settle(bus, letters, 0, 1)

    assert came_of(retried(meanwhile, within_s=0.3)) == (2, 0, 0, 0, 1)


def test_a_letter_that_was_dropped_before_it_could_be_asked_for(on_redis, letters):
    async def work(bus):
        masters = Masters(bus)
        [first, *_] = await dead(masters, letters.conversation)
        await discard(bus, letters.conversation, EntryId.parse(first.id), 7)
        retry = Retry(masters)
        await retry.ask(letters.conversation, first)
        return await retry.wait(5, lambda _: None)

    assert on_redis(work).asked == 0
