"""One pusher adds up what waits, since when, and whether the books add up."""

import asyncio
import math

import pytest

from audiobus import failures
from audiobus.census import Balance
from audiobus.conversation import Conversation
from audiobus.deletions import set_tombstone
from audiobus.errors import BusUnavailableError
from pusher.books import PARTS, Books
from pusher.census import LEASE_MS, OLDEST, Census, Period
from pusher.unstored import Unstored
from servicekit.metrics import Metrics
from servicekit.stop import Stop

SECOND = 48_000


class Shown:
    """A census of its own, and what it shows."""

    def __init__(self, bus, holder: str, now_ms) -> None:
        self.metrics = Metrics("pusher", "0")
        self.unstored = Unstored()
        self.s = 0.0
        self.census = Census(
            bus, Books(self.metrics), self.unstored, holder, now_s=lambda: self.s, now_ms=now_ms
        )

    def __getitem__(self, name: str) -> float:
        found = self.metrics.registry.get_sample_value(f"tapedeck_{name}")
        assert found is not None
        return found

    def balance(self) -> Balance:
        values = (
            self.metrics.registry.get_sample_value("tapedeck_audio_balance_seconds", {"part": part})
            for part in PARTS
        )
        return Balance(*(round(value * SECOND) for value in values))


@pytest.fixture
def new_shown(bus, clock):
    return lambda holder="one", bus=bus: Shown(bus, holder, clock)


@pytest.fixture
async def recorded(new_device, new_worker, hints, memory_store):
    """Ten seconds of one conversation wait, five of another are stored."""
    waits = new_device(conversation="waits")
    await waits.open()
    await hints.due(waits.conversation, 0)
    await waits.say(10)
    stored = new_device(conversation="stored")
    await stored.open()
    await stored.say(5)
    await hints.due(stored.conversation, 0)
    await stored.bus.ask(stored.conversation, "flush")
    await new_worker(memory_store).drain(stored.conversation)
    return waits


async def test_what_waits_is_shown_though_this_pusher_never_looked_at_it(recorded, new_shown, clock):
    shown = new_shown()
    await shown.census.tick()
    assert shown["audio_waiting_seconds"] == pytest.approx(10 - 312 / SECOND)
    # Its first chunk was made a second after the session began, five seconds before the end of the other.
    assert shown.unstored.age_seconds(clock.ms) == pytest.approx(9 + 5)
    waiting, stored = 10 * SECOND - 312, 5 * SECOND - 312
    assert shown.balance() == Balance(waiting + stored, stored, waiting, 0, 0)
    assert (shown["audio_dead_seconds"], shown["unbalanced_conversations"]) == (0, 0)


async def test_one_pusher_shows_it_at_a_time(recorded, new_shown, clock):
    first, second = new_shown("one"), new_shown("two")
    for shown in (first, second, first):
        await shown.census.tick()
    assert second["audio_waiting_seconds"] == 0
    assert second.balance() == Balance()
    assert (second.unstored.age_seconds(clock.ms), first.unstored.age_seconds(clock.ms) > 0) == (0, True)
    stop = Stop(5)
    stop.set()
    await first.census.run(stop)  # at its end it gives the lease back
    await second.census.tick()
    assert second["audio_waiting_seconds"] > 0
    await first.census.tick()
    assert first["audio_waiting_seconds"] == 0
    assert first.balance() == Balance()
    assert first.unstored.age_seconds(clock.ms) == 0


async def test_the_lease_is_held_over_a_long_count(recorded, new_shown, bus):
    shown, other = new_shown("one"), new_shown("two")
    await shown.census.tick()
    await bus.command("PEXPIRE", bus.keys.census_lease(), 10 * LEASE_MS)
    shown.s = LEASE_MS  # much later, as its own clock has it
    await shown.census.count_waiting()
    assert 0 < await bus.command("PTTL", bus.keys.census_lease()) <= LEASE_MS
    await other.census.tick()
    assert other["audio_waiting_seconds"] == 0


async def test_only_the_oldest_are_remembered(new_shown, new_device, hints, clock):
    for number in range(OLDEST + 3):
        device = new_device(conversation=f"c{number}")
        await device.open()
        await device.say(1)
        await hints.due(device.conversation, 0)
    shown = new_shown()
    await shown.census.tick()
    assert shown.unstored.oldest()[0].cid == "c0"
    assert len(shown.unstored._seen) == OLDEST


async def test_audio_from_a_clock_that_is_ahead_is_as_old_as_it_is_known(
    new_shown, new_device, hints, clock, bus
):
    """A `listen` whose clock is an hour ahead, and more older audio than is remembered."""
    clock.pass_s(3_600)
    ahead = new_device(conversation="ahead")
    await ahead.open()
    await ahead.say(1)
    await hints.due(ahead.conversation, 0)
    clock.pass_s(-3_600)
    shown = new_shown()
    await shown.census.tick()
    first_ms = clock()
    for number in range(OLDEST + 3):
        clock.pass_s(1)
        device = new_device(conversation=f"c{number}")
        await device.open()
        await device.say(1)
        await hints.due(device.conversation, 0)
    for _ in range(3):
        shown.s += 60
        await shown.census.tick()
    assert shown.unstored.oldest() == (ahead.conversation, first_ms)
    shown.unstored.saw(ahead.conversation, None, clock())
    shown.s += 60
    await shown.census.tick()
    assert shown.unstored.oldest() == (ahead.conversation, first_ms)


async def away(*_):
    """No server answers."""
    raise BusUnavailableError("away")


async def test_what_nobody_can_count_is_no_number(recorded, new_shown, clock, monkeypatch):
    shown = new_shown()
    clock.pass_s(1_000)
    with monkeypatch.context() as patch:
        patch.setattr("audiobus.script.Script.run", away)
        with pytest.raises(BusUnavailableError):
            await shown.census.tick()
        assert math.isnan(shown["audio_waiting_seconds"])
        assert math.isnan(shown["retrying_conversations"])
        assert math.isnan(shown["audio_dead_seconds"])
        assert math.isnan(shown.unstored.age_seconds(clock.ms))
    with monkeypatch.context() as patch:
        # The lease can be had, and nothing else.
        for name in ("look_each", "look"):
            patch.setattr(f"pusher.census.{name}", away)
        with pytest.raises(BusUnavailableError):
            await shown.census.tick()
        assert math.isnan(shown["audio_waiting_seconds"])
        assert math.isnan(shown["unbalanced_conversations"])
        assert math.isnan(shown.unstored.age_seconds(clock.ms))
        # But for what it has seen itself.
        shown.unstored.saw(recorded.conversation, clock() - 1_000_000, clock())
        assert shown.unstored.age_seconds(clock.ms) == 1_000
    await shown.census.tick()
    assert shown["audio_waiting_seconds"] == pytest.approx(10 - 312 / SECOND)
    assert (shown["audio_dead_seconds"], shown["unbalanced_conversations"]) == (0, 0)
    assert shown.unstored.age_seconds(clock.ms) == pytest.approx(1_000 + 9 + 5)


async def test_who_does_not_count_shows_nothing_while_redis_is_away(recorded, new_shown, clock, monkeypatch):
    first, second = new_shown("one"), new_shown("two")
    for shown in (first, second):
        await shown.census.tick()
    monkeypatch.setattr("audiobus.script.Script.run", away)
    with pytest.raises(BusUnavailableError):
        await second.census.tick()
    assert second["audio_waiting_seconds"] == 0
    assert second.unstored.age_seconds(clock.ms) == 0


async def test_books_that_do_not_add_up_are_told(recorded, new_shown, bus, caplog):
    shown = new_shown()
    await bus.command("XDEL", bus.keys.audio(recorded.conversation), str(recorded.session.newest))
    lost = Conversation("alice", "lost")
    await bus.command("HSET", bus.keys.conv(lost), "in", SECOND)
    await bus.command("HSET", bus.keys.conv(Conversation("alice", "broken")), "in", "many")
    await shown.census.tick()
    assert shown["unbalanced_conversations"] == 3
    told = [record.message for record in caplog.records if record.levelname == "CRITICAL"]
    assert sorted(told) == [
        "the books of a conversation cannot be read",
        "the books of a conversation do not add up",
        "the books of a conversation do not add up",
    ]


async def test_what_is_deleted_and_not_swept_comes_back_on_due(
    recorded, new_shown, bus, memory_store, new_worker, clock
):
    """A failover lost that it was there; the tombstone was confirmed by a replica."""
    stored = Conversation("alice", "stored")
    await set_tombstone(bus, stored, clock())
    due = bus.keys.due(0)
    await bus.command("DEL", due)
    await new_shown().census.count_all()
    assert await bus.command("ZRANGE", due, 0, -1) == [stored.tag.encode()]
    await new_worker(memory_store).drain(stored)
    assert [info async for info in memory_store.list(f"chunks/{stored.tag}/")] == []
    await bus.command("ZADD", due, 7, stored.tag)
    await new_shown().census.count_all()
    assert await bus.command("ZSCORE", due, stored.tag) == 7


async def test_what_was_counted_stays_shown_while_redis_is_away(recorded, new_shown, clock, monkeypatch):
    shown = new_shown()
    await shown.census.tick()
    before = shown.unstored.age_seconds(clock.ms)

    async def away(*_):
        raise BusUnavailableError("away")

    monkeypatch.setattr("audiobus.script.Script.run", away)
    with pytest.raises(BusUnavailableError):
        await shown.census.tick()
    clock.pass_s(100)
    assert shown["audio_waiting_seconds"] > 0
    assert shown.unstored.age_seconds(clock.ms) == before + 100


async def test_a_count_waits_for_its_time(recorded, new_shown, bus):
    shown = new_shown()
    await shown.census.tick()
    await bus.command("DEL", bus.keys.conv(recorded.conversation))
    shown.s = 4
    await shown.census.tick()
    assert shown["audio_waiting_seconds"] > 0
    shown.s = 6
    await shown.census.tick()
    assert shown["audio_waiting_seconds"] == 0
    assert shown.balance().waiting > 0
    shown.s = 31
    await shown.census.tick()
    assert shown.balance().waiting == 0


def test_a_count_takes_a_hundredth_of_the_time():
    period = Period(5, 60)
    assert period.is_due(0)
    period.ended(900, 10)  # 45 ms
    assert (period.is_due(14.9), period.is_due(15)) == (False, True)
    period.ended(6_000, 20)  # 0.3 s
    assert (period.is_due(49.9), period.is_due(50.1)) == (False, True)
    period.ended(10**6, 100)
    assert period.is_due(160)


async def test_it_runs_until_it_is_asked_to_stop(recorded, new_shown, caplog):
    shown = new_shown()
    stop = Stop(5)
    running = asyncio.create_task(shown.census.run(stop))
    async with asyncio.timeout(60):
        while not shown["audio_waiting_seconds"]:
            await asyncio.sleep(0.01)
    stop.set()
    await running
    assert not caplog.records


async def test_what_fails_is_counted_once_and_only_while_something_is_left_to_do(
    recorded, new_shown, bus, hints, clock
):
    """Whoever tried it in vain, and whoever stored it since."""
    await failures.note(bus, recorded.conversation, "away", clock())
    others = {name: Conversation("alice", name) for name in ("letter", "deleted", "done", "away")}
    for one in others.values():
        await bus.command("HSET", bus.keys.conv(one), "fails", "many" if one.cid == "away" else 2)
        await hints.due(one, 0)
    await bus.command("HSET", bus.keys.dead(others["letter"]), "1-1", b"")
    await set_tombstone(bus, others["deleted"], clock())
    first, second = new_shown("one"), new_shown("two")
    for shown in (first, second):
        await shown.census.tick()
    assert (first["retrying_conversations"], second["retrying_conversations"]) == (3, 0)
    await failures.forget(bus, recorded.conversation)
    first.s += 60
    await first.census.tick()
    assert first["retrying_conversations"] == 2
