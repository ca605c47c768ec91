"""The scheduler on a real Redis, single and cluster."""

import asyncio
import math
import uuid

import pytest

from audiobus import Bus, Conversation, EntryId, Hints
from audiobus.errors import BusUnavailableError
from audiobus.keys import GROUP
from pusher.census import Census
from pusher.letter_count import LetterCount
from pusher.metrics import PusherMetrics
from pusher.next_look import LONGEST_MS
from pusher.scheduler import MOST_READY, SPREAD_MS, Scheduler
from pusher.unstored import Unstored
from servicekit.stop import Stop


@pytest.fixture
def new_scheduler(metrics, clock):
    def make(bus, unstored=None) -> Scheduler:
        return Scheduler(bus, Hints(bus), metrics, unstored or Unstored(), 30_000, 60_000, clock)

    return make


async def tick(scheduler) -> None:
    """One look at each partition."""
    for partition in range(scheduler.bus.keys.partitions):
        await scheduler.tick(partition)


async def score(bus, conversation) -> float | None:
    key = bus.keys.due(bus.keys.partition(conversation))
    found = await bus.command("ZSCORE", key, conversation.tag)
    return None if found is None else float(found)


async def test_what_is_past_due_is_hinted_at_and_due_again(bus, hints, new_scheduler, clock, metrics):
    late, early = Conversation("u", "late"), Conversation("u", "early")
    await hints.due(late, clock() - 1)
    await hints.due(early, clock() + 1)
    scheduler = new_scheduler(bus)
    await tick(scheduler)
    await hints.make_group(0)
    taken = await hints.take(bus.client, 0, "me", count=10, block_ms=None)
    assert [hint.conversation for hint in taken] == [late]
    # Should everybody who knows of the hint die: it comes again.
    assert await score(bus, late) == clock() + 30_000
    await tick(scheduler)
    assert metrics.ready_lag._value.get() == 1


async def test_more_than_one_scripts_worth_goes_in_one_tick(bus, hints, new_scheduler, clock):
    for number in range(600):
        await hints.due(Conversation("u", f"c{number}"), clock() - 1)
    await tick(new_scheduler(bus))
    assert await bus.command("XLEN", bus.keys.ready(0)) == 600


async def test_hints_that_nobody_follows_do_not_grow_without_bound(bus, hints, new_scheduler, clock):
    pipeline = bus.client.pipeline(transaction=False)
    for _ in range(MOST_READY):
        pipeline.execute_command("XADD", bus.keys.ready(0), "*", "c", "u/c")
    await pipeline.execute()
    await hints.due(Conversation("u", "c"), clock() - 1)
    await tick(new_scheduler(bus))
    assert await bus.command("XLEN", bus.keys.ready(0)) == MOST_READY
    # It is still due: nothing is forgotten.
    assert await score(bus, Conversation("u", "c")) == clock() - 1


async def test_hints_that_were_followed_and_never_went_are_in_nobodys_way(
    bus, hints, new_scheduler, clock, metrics
):
    await hints.make_group(0)
    pipeline = bus.client.pipeline(transaction=False)
    for _ in range(MOST_READY):
        pipeline.execute_command("XADD", bus.keys.ready(0), "*", "c", "u/c")
    await pipeline.execute()
    while taken := await hints.take(bus.client, 0, "me", count=1000, block_ms=None):
        await bus.command("XACK", bus.keys.ready(0), GROUP, *[hint.id for hint in taken])
    late = Conversation("u", "late")
    await hints.due(late, clock() - 1)
    await tick(new_scheduler(bus))
    taken = await hints.take(bus.client, 0, "me", count=10, block_ms=None)
    assert [hint.conversation for hint in taken] == [late]
    assert metrics.ready_lag._value.get() == 0
    assert await bus.command("XLEN", bus.keys.ready(0)) == 1


@pytest.mark.parametrize("kind", ["redis_url", "redis_62_url", "redis_cluster_url"])
async def test_a_walk_finds_every_buffer_that_is_not_on_due(
    kind, request, new_device, new_scheduler, clock, metrics
):
    url = request.getfixturevalue(kind)
    async with Bus(url, prefix=f"t{uuid.uuid4().hex[:12]}:") as bus:
        devices = [new_device(bus=bus, conversation=f"c{number}") for number in range(30)]
        for device in devices:
            await device.open()
        known = devices[0].conversation
        await Hints(bus).due(known, clock() + LONGEST_MS)
        await bus.command("HSET", bus.keys.dead(known), "1-1", "letter")
        await bus.command("SET", f"{bus.keys.prefix}audio:{{no stream}}", "x")
        assert await new_scheduler(bus).walk() == 30
        # What is there keeps its time.
        assert await score(bus, known) == clock() + LONGEST_MS
        for device in devices[1:]:
            assert clock() <= await score(bus, device.conversation) < clock() + SPREAD_MS
        assert metrics.dead_letters.value == 1
        # On a cluster, too, what is due is hinted at.
        clock.ms += SPREAD_MS
        await tick(new_scheduler(bus))
        assert metrics.ready_lag._value.get() == 0
        await tick(new_scheduler(bus))
        assert metrics.ready_lag._value.get() == 29


async def test_the_oldest_audio_is_looked_at_again_before_it_is_shown(
    bus, new_device, new_scheduler, clock, metrics
):
    unstored = Unstored()
    stored, waits = new_device(conversation="stored"), new_device(conversation="waits")
    await stored.open()
    await stored.say(1)
    unstored.saw(stored.conversation, clock() - 900_000, clock())
    await waits.open()
    await waits.say(1)
    since = clock()
    unstored.saw(waits.conversation, since - 500_000, since)
    # Another pusher stored the one, and knows better about the other.
    later = str(EntryId(clock() * 2, 0))
    await bus.client.xtrim(bus.keys.audio(stored.conversation), minid=later, approximate=False)
    clock.pass_s(100)
    await new_scheduler(bus, unstored).look_around()
    assert metrics.oldest_unstored._value.get() == 100
    assert unstored.oldest() == (waits.conversation, since)


@pytest.mark.parametrize("openings", [5, 90])
async def test_openings_without_audio_hide_no_audio(
    openings, bus, device, new_scheduler, clock, metrics, hints
):
    """A device came back many times while the bucket was away."""
    unstored = Unstored()
    await device.open()
    for _ in range(openings):
        clock.pass_s(1)
        await device.open()
    await device.say(30)
    await hints.due(device.conversation, clock())
    clock.pass_s(3_600)
    await Census(bus, metrics.books, unstored, "one", now_ms=clock).tick()
    assert unstored.age_seconds(clock()) > 3_600
    await new_scheduler(bus, unstored).look_around()
    assert metrics.oldest_unstored._value.get() > 3_600


async def test_openings_alone_are_no_audio(bus, device, new_scheduler, clock, metrics):
    unstored = Unstored()
    for _ in range(90):
        await device.open()
    unstored.saw(device.conversation, clock() - 500_000, clock())
    await new_scheduler(bus, unstored).look_around()
    assert metrics.oldest_unstored._value.get() == 0


async def test_what_a_clock_far_ahead_put_off_is_found_by_the_next_walk(
    bus, hints, device, new_scheduler, clock
):
    await device.open()
    await device.say(5)
    await hints.push_due(device.conversation, clock() + 3_600_000)
    scheduler = new_scheduler(bus)
    await scheduler.walk()
    clock.ms += SPREAD_MS
    await tick(scheduler)
    assert await bus.command("XLEN", bus.keys.ready(0)) == 1


async def test_it_goes_on_while_redis_is_away(redis_process, new_scheduler, hints, eventually, clock):
    async with Bus(redis_process.url) as bus:
        redis_process.kill()
        stop = Stop(1)
        running = asyncio.create_task(new_scheduler(bus).run(stop))
        redis_process.start()
        await Hints(bus).due(Conversation("u", "c"), clock() - 1)

        async def hinted() -> bool:
            return await bus.command("XLEN", bus.keys.ready(0)) == 1

        await eventually(hinted, "it is hinted at")
        stop.set()
        await running


async def test_a_redis_that_is_another_is_walked_over_at_once(
    redis_process, new_device, new_scheduler, metrics
):
    async with Bus(redis_process.url) as bus:
        scheduler = new_scheduler(bus)
        assert not await scheduler.is_another()
        device = new_device(bus=bus)
        await device.open()
        await bus.command("DEL", bus.keys.due(0))
        assert not await scheduler.is_another()
        await asyncio.to_thread(redis_process.kill)
        with pytest.raises(BusUnavailableError):
            await scheduler.walk()
        assert not await scheduler.is_another()
        await asyncio.to_thread(redis_process.start)
        stop = Stop(5)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(scheduler.run(stop))
            async with asyncio.timeout(60):
                while await score(bus, device.conversation) is None:
                    await bus.ping()
            stop.set()
        assert metrics.redis_histories._value.get() == 1
        # It is the same from then on.
        assert not await scheduler.is_another()


async def test_what_is_told_to_be_lost_is_looked_for_until_a_walk_was_finished(bus, new_scheduler):
    scheduler = new_scheduler(bus)
    scheduler.lost()
    assert await scheduler.is_another()
    assert await scheduler.is_another()


async def test_what_is_lost_during_a_walk_is_looked_for_again(bus, new_scheduler, monkeypatch):
    scheduler = new_scheduler(bus)
    walk = scheduler.walk

    async def lost_meanwhile() -> int:
        scheduler.lost()
        return await walk()

    scheduler.lost()
    monkeypatch.setattr(Scheduler, "walk", lambda _: lost_meanwhile())
    await scheduler.look_around()
    assert await scheduler.is_another()
    monkeypatch.undo()
    await scheduler.look_around()
    assert not await scheduler.is_another()


@pytest.fixture
async def counting(bus, device):
    """Two letters, and what a process of its own tells of them."""
    for name in ("1-1", "2-2"):
        await bus.command("HSET", bus.keys.dead(device.conversation), name, "letter")

    def make(own=bus):
        metrics, unstored = PusherMetrics(), Unstored()
        holder = uuid.uuid4().hex
        return (
            Census(own, metrics.books, unstored, holder),
            LetterCount(own, unstored, metrics.dead_letters),
            metrics,
        )

    return make


async def test_one_pusher_shows_the_dead_letters(bus, device, counting, monkeypatch):
    monkeypatch.setattr("pusher.letter_count.COUNT_S", (0, 0))
    (first, first_count, one), (second, second_count, two) = counting(), counting()
    for census, count in ((first, first_count), (second, second_count)):
        await census.tick()
        await count.tell()
    assert (one.dead_letters.value, two.dead_letters.value) == (2, 0)
    # What one that does not speak buries is the other's to tell.
    two.dead_letters.value += 1
    await second_count.tell()
    assert two.dead_letters.value == 0
    # A letter that is dropped is not shown until the next walk.
    await bus.command("HDEL", bus.keys.dead(device.conversation), "1-1")
    await first_count.tell()
    assert one.dead_letters.value == 1
    stop = Stop(1)
    stop.set()
    await first.run(stop)  # at its end it gives the lease back
    for census, count in ((second, second_count), (first, first_count)):
        await census.tick()
        await count.tell()
    assert (one.dead_letters.value, two.dead_letters.value) == (0, 1)


@pytest.mark.usefixtures("counting")
async def test_a_walk_of_one_that_does_not_speak_shows_no_letters(bus, new_scheduler, metrics):
    unstored = Unstored()
    scheduler = new_scheduler(bus, unstored)
    unstored.speaks = False
    await scheduler.walk()
    assert metrics.dead_letters.value == 0
    unstored.speaks = True
    await scheduler.walk()
    assert metrics.dead_letters.value == 2


async def test_letters_that_nobody_could_count_are_no_number(redis_process, counting):
    async with Bus(redis_process.url) as own:
        await own.ping()
        census, count, metrics = counting(own)
        await census.tick()  # it speaks
        await asyncio.to_thread(redis_process.kill)
        with pytest.raises(BusUnavailableError):
            await count.tell()
        assert math.isnan(metrics.dead_letters.value)
        # Nor whether another one speaks.
        census.unstored.speaks = census.unstored.known = False
        await count.tell()
        assert math.isnan(metrics.dead_letters.value)


@pytest.mark.usefixtures("counting")
async def test_a_running_scheduler_counts_the_letters_beside_its_walks(
    bus, new_scheduler, metrics, eventually
):
    stop = Stop(1)
    scheduler = new_scheduler(bus)
    scheduler.rng.uniform = lambda _low, high: 100 * high  # no walk
    running = asyncio.create_task(scheduler.run(stop))

    async def told() -> bool:
        return metrics.dead_letters.value == 2

    await eventually(told, "they are shown")
    stop.set()
    await running
