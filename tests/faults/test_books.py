"""What tests of faults ask of the books at their end."""

import pytest

from audiobus import Conversation
from tapedeck_testing import books
from tapedeck_testing.books import books_close

ONE, TWO = Conversation("u", "one"), Conversation("u", "two")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(books, "WITHIN_S", 5.0)


async def count(bus, conversation, **numbers):
    fields = [part for name, number in numbers.items() for part in (name, number)]
    await bus.command("HSET", bus.keys.conv(conversation), *fields)


async def test_books_that_close_are_summed(one_bus):
    await count(one_bus, ONE, **{"in": 480, "out": 480})
    await count(one_bus, TWO, **{"in": 960, "out": 480, "deleted": 480})
    total = await books_close(one_bus, stored=True)
    assert (total.received, total.stored, total.deleted) == (1_440, 960, 480)


@pytest.mark.parametrize("out", [479, 481])
async def test_one_sample_too_few_or_too_many_in_one_conversation_is_found(one_bus, out):
    await count(one_bus, ONE, **{"in": 480, "out": out})
    await count(one_bus, TWO, **{"in": 480, "out": 480})
    with pytest.raises(AssertionError, match="u/one"):
        await books_close(one_bus)


async def test_what_still_waits_is_found_where_all_is_to_be_stored(one_bus):
    await count(one_bus, ONE, **{"in": 960, "out": 480})
    await one_bus.command("XADD", one_bus.keys.audio(ONE), "1-1", "c", b"audio", "s", 480)
    await books_close(one_bus)
    with pytest.raises(AssertionError, match="waiting=480"):
        await books_close(one_bus, stored=True)


async def test_books_in_which_nothing_was_received_prove_nothing(one_bus):
    with pytest.raises(AssertionError, match="nothing was received"):
        await books_close(one_bus)
