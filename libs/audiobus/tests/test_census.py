"""What was received is stored, waits, is dead or was deleted: all of it, once, at every moment."""

import asyncio

import msgspec
import pytest

from audiobus import Bus, Conversation, Cut, EntryId
from audiobus.census import Balance, exact, exact_totals, known, numbers, totals
from audiobus.errors import BadEntryError, MovingError

SECOND = 48_000


def balance(received: int, stored: int, waiting: int, dead: int, deleted: int = 0) -> Balance:
    """Of thousands of samples."""
    return Balance(*(48 * part for part in (received, stored, waiting, dead, deleted)))


async def drain(bus, conversation, upto: int) -> None:
    """Stores the buffer up to that offset."""
    state = await bus.state(conversation)
    entries = await bus.read(conversation, count=1_000, last=EntryId(state.newest.epoch, upto))
    cut = Cut(1, str(entries[0].id), str(entries[-1].id), "name", "standard", "size")
    await bus.cut(conversation, cut, settled=state.settled)
    assert await bus.finish(
        conversation,
        cut.encode(),
        last=cut.last_id,
        preroll=None,
        samples=sum(entry.counted_samples for entry in entries),
        ends={state.newest.epoch: upto},
        now_ms=0,
    )


async def bury(bus, conversation) -> None:
    """The first entry becomes a dead letter."""
    [poison] = await bus.read(conversation, count=1)
    samples = poison.counted_samples
    assert await bus.bury(conversation, poison, reason="x", first_offset=0, samples=samples, now_ms=0)


@pytest.fixture
async def moved(bus, recorder, conversation):
    """Of a session of 400 ms, 100 are stored, 100 dead and 200 wait."""
    await recorder.open()
    for end in (100, 200, 300, 400):
        await recorder.append(end)
    await drain(bus, conversation, 100)
    await bury(bus, conversation)


async def test_nobody_has_recorded(bus, conversation):
    assert await exact(bus, conversation) == Balance()
    assert await exact_totals(bus) == (Balance(), {})
    assert await totals(bus) == Balance()


async def test_each_sample_is_in_one_place(moved, bus, conversation):
    found = await exact(bus, conversation)
    assert found == balance(400, 100, 200, 100)
    assert found.difference == 0
    assert await numbers(bus, [conversation]) == [found]


async def test_sums_are_over_everything_that_is_known(moved, bus, recorder_for, conversation):
    other = recorder_for(Conversation("user-2", "conv-1"))
    await other.open()
    await other.append(1_000)
    await bus.command("SET", f"{bus.keys.prefix}conv:{{nobody}}", "x")  # not ours
    assert {one async for one in known(bus)} == {conversation, other.conversation}
    assert await totals(bus) == balance(1_400, 100, 1_200, 100)
    assert await exact_totals(bus) == (balance(1_400, 100, 1_200, 100), {})


async def test_what_is_missing_or_too_much_shows(moved, bus, recorder, conversation):
    await bus.command("XDEL", bus.keys.audio(conversation), str(recorder.newest))
    assert (await exact(bus, conversation)).difference == 4_800
    assert await exact_totals(bus) == (
        balance(400, 100, 100, 100),
        {conversation: balance(400, 100, 100, 100)},
    )
    await bus.command(
        "XADD", bus.keys.audio(conversation), str(recorder.newest.next()), "c", b"again", "s", 9_600
    )
    assert (await exact(bus, conversation)).difference == -4_800
    await bus.command("DEL", bus.keys.conv(conversation))
    assert (await exact(bus, conversation)).difference < 0
    assert [one async for one in known(bus)] == [conversation]


async def test_dead_letters_of_an_earlier_version_count_as_what_they_claim(moved, bus, conversation):
    [(id_, letter)] = (await letters(bus, conversation)).items()
    content = msgspec.msgpack.decode(letter)
    del content["samples"]
    await bus.command("HSET", bus.keys.dead(conversation), id_, msgspec.msgpack.encode(content))
    assert (await exact(bus, conversation)).dead == 4_800
    await bus.command("HSET", bus.keys.dead(conversation), id_, b"\xc1")
    with pytest.raises(BadEntryError, match="dead letter"):
        await exact(bus, conversation)


async def letters(bus, conversation) -> dict[bytes, bytes]:
    rows = await bus.command("HGETALL", bus.keys.dead(conversation))
    return rows if isinstance(rows, dict) else dict(zip(rows[::2], rows[1::2], strict=True))


async def test_numbers_that_are_none(bus, conversation):
    await bus.command("HSET", bus.keys.conv(conversation), "in", "many")
    with pytest.raises(BadEntryError, match="no number"):
        await exact(bus, conversation)
    with pytest.raises(BadEntryError, match="no number"):
        await numbers(bus, [conversation])


async def test_it_is_exact_while_audio_comes_and_goes(bus, recorder, conversation):
    """Pages of a buffer that is appended to, drained and buried from meanwhile."""
    await recorder.open()
    for end in range(10, 2_001, 10):
        await recorder.append(end)
    done = asyncio.Event()

    async def record() -> None:
        for end in range(2_010, 2_501, 10):
            await recorder.append(end)

    async def store() -> None:
        for end in range(100, 1_001, 100):
            await drain(bus, conversation, end)
            await bury(bus, conversation)

    async def look() -> int:
        looks = 0
        while not done.is_set():
            assert (await exact(bus, conversation)).difference == 0
            looks += 1
        return looks

    looking = asyncio.create_task(look())
    await asyncio.gather(record(), store())
    done.set()
    assert await looking > 0
    assert await exact(bus, conversation) == balance(2_500, 900 + 10, 1_490, 100)


class Restless(Bus):
    """A bus whose conversation is recorded into before each read of its buffer."""

    recorder = None

    async def read(self, conversation, **how):
        await self.recorder.append(self.recorder.newest.offset + 10)
        return await super().read(conversation, **how)


async def test_a_conversation_that_never_rests_is_given_up(redis_url, recorder_on, conversation, monkeypatch):
    monkeypatch.setattr("audiobus.census.TRIES", 3)
    async with Restless(redis_url, prefix="t-restless:") as bus:
        await bus.command("DEL", bus.keys.conv(conversation), bus.keys.audio(conversation))
        bus.recorder = recorder_on(bus)
        await bus.recorder.open()
        with pytest.raises(MovingError) as raised:
            await exact(bus, conversation)
        assert raised.value.retryable
