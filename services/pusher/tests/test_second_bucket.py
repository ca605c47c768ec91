"""The second bucket: when batches go there, what is looked at before, and that each is at home once in the end."""

import asyncio

import pytest

from audiobus.deletions import set_tombstone
from audiostore import open_store
from audiostore.errors import StoreConfigurationError, TransientStoreError
from audiostore.paired_store import PairedStore
from pusher.buckets import AWAY_MS, GiveBack
from pusher.circuit import OPENS_AFTER
from pusher.comeback import APART_MS, look_again
from pusher.cutter import Limits
from pusher.mover import Mover
from pusher.sweeper import AGAIN_MS
from tapedeck_testing.switched_store import Switched


@pytest.fixture
def first(memory_store):
    return Switched(memory_store)


@pytest.fixture
def second():
    return Switched(open_store("memory:"))


@pytest.fixture
def away():
    return TransientStoreError("away")


@pytest.fixture
def record(new_device, bus):
    async def make(conversation, seconds=5):
        device = new_device(conversation=conversation)
        await device.open()
        await device.say(seconds)
        await bus.ask(device.conversation, "end")
        return device

    return make


@pytest.fixture
def go_home(bus, keys, metrics):
    async def sweep(worker) -> int:
        mover = Mover(bus, worker.buckets, keys, metrics, "pusher-1")
        if not worker.buckets.well:
            await mover.try_one(worker.buckets.second)
        return await mover.sweep(worker.buckets.second)

    return sweep


async def drain_for(worker, device, clock, seconds):
    """Drains as the schedule would, a second at a time."""
    for _ in range(seconds):
        await worker.drain(device.conversation)
        clock.pass_s(1)


async def names(store):
    return [info.name async for info in store.list("chunks/")]


@pytest.mark.parametrize("error", [TransientStoreError("away"), StoreConfigurationError("no such bucket")])
async def test_batches_go_there_when_the_first_has_been_away_for_a_minute_and_come_home(
    *, first, second, record, new_worker, packets_of, clock, metrics, go_home, error
):
    device = await record("one")
    first.away = error
    worker = new_worker(first, second=second)
    await drain_for(worker, device, clock, AWAY_MS // 1000 - 5)
    assert await names(second) == []
    await drain_for(worker, device, clock, 10)
    assert await packets_of(second, device.conversation) == device.sent
    assert metrics.fallback_batches._value.get() == 1
    # Conversations that this process has never seen go there too.
    other = await record("two")
    await drain_for(worker, other, clock, 3)
    assert await packets_of(second, other.conversation) == other.sent
    # The first one is tried all the while, and takes the next batch when it is back.
    first.away = None
    await device.say(5)
    await worker.bus.ask(device.conversation, "end")
    clock.pass_s(10)
    await worker.drain(device.conversation)
    assert worker.buckets.well
    assert len(await names(second)) == 2
    pair = PairedStore(first.real, second.real)
    assert await packets_of(pair, device.conversation) == device.sent
    assert await go_home(worker) == 0
    assert await names(second) == []
    for one in (device, other):
        assert await packets_of(first.real, one.conversation) == one.sent


async def test_without_a_second_bucket_all_waits(first, record, new_worker, packets_of, clock, away, bus):
    device = await record("one")
    first.away = away
    worker = new_worker(first)
    await drain_for(worker, device, clock, 200)
    assert (await bus.state(device.conversation)).waiting_samples > 0
    first.away = None
    clock.pass_s(10)
    await worker.drain(device.conversation)
    assert await packets_of(first.real, device.conversation) == device.sent


async def test_a_first_bucket_that_works_is_the_only_one_that_is_written(
    first, second, record, new_worker, packets_of
):
    worker = new_worker(first, second=second)
    device = await record("one")
    await worker.drain(device.conversation)
    assert await packets_of(first.real, device.conversation) == device.sent
    assert await names(second) == []


async def test_what_the_first_took_unheard_lies_in_both_and_is_played_once(
    first, second, record, new_worker, packets_of, clock, away, go_home
):
    device = await record("one", 70)
    first.away, first.works = away, True
    worker = new_worker(first, second=second)
    circuit = worker.buckets.first.circuit
    for _ in range(OPENS_AFTER):
        circuit.failed(clock(), clock(), "away", operators=False)
    clock.pass_s(AWAY_MS / 1000)
    await drain_for(worker, device, clock, 5)
    assert await packets_of(second, device.conversation) == device.sent
    both = set(await names(first.real)) & set(await names(second))
    assert both
    assert await packets_of(PairedStore(first.real, second.real), device.conversation) == device.sent
    first.away = None
    circuit.worked(clock())
    assert await go_home(worker) == 0
    assert await packets_of(first.real, device.conversation) == device.sent
    assert await names(second) == []


@pytest.mark.parametrize("restarted", [False, True], ids=["same process", "another process"])
async def test_what_redis_forgot_is_not_put_a_second_time_though_nobody_could_look(
    *, first, second, record, new_worker, packets_of, clock, away, go_home, bus, restarted
):
    """Redis lost what it knew of stored audio while the first bucket is away: it is cut again, otherwise, for the second bucket."""
    device = await record("one", 100)
    before = await bus.client.dump(bus.keys.audio(device.conversation))
    hash_before = await bus.client.dump(bus.keys.conv(device.conversation))
    await new_worker(first, limits=Limits(batch_ms=17_000)).drain(device.conversation)
    stored = await names(first.real)
    assert len(stored) > 4
    await bus.client.restore(bus.keys.audio(device.conversation), 0, before, replace=True)
    await bus.client.restore(bus.keys.conv(device.conversation), 0, hash_before, replace=True)
    first.away = away
    worker = new_worker(first, second=second)
    # The second one fails just when the first batch has been cut.
    second.away = away
    await drain_for(worker, device, clock, AWAY_MS // 1000 + 10)
    second.away = None
    await drain_for(worker, device, clock, 10)
    assert await names(second)
    if restarted:
        # The last batch stands as a cut when the first bucket is back, and another process finds it.
        worker = new_worker(first, second=second)
    first.away = None
    clock.pass_s(30)
    await drain_for(worker, device, clock, 30)
    assert await go_home(worker) == 0
    assert await names(second) == []
    assert await packets_of(first.real, device.conversation) == device.sent
    assert await names(first.real) == stored


async def test_a_cut_that_nobody_could_check_is_checked_before_the_first_bucket_gets_it(
    *, first, second, record, new_worker, packets_of, clock, away, bus
):
    """Cut while the first bucket was away, for the second; that one failed, and the process died. Then the first is back."""
    device = await record("one", 30)
    before = await bus.client.dump(bus.keys.audio(device.conversation))
    hash_before = await bus.client.dump(bus.keys.conv(device.conversation))
    await new_worker(first, limits=Limits(batch_ms=7_000)).drain(device.conversation)
    stored = await names(first.real)
    await bus.client.restore(bus.keys.audio(device.conversation), 0, before, replace=True)
    await bus.client.restore(bus.keys.conv(device.conversation), 0, hash_before, replace=True)

    class PutsFail:
        def __getattr__(self, name):
            return getattr(second, name)

        async def put(self, *_args, **_kwargs):
            raise away

    first.away = away
    worker = new_worker(first, second=PutsFail())
    await drain_for(worker, device, clock, AWAY_MS // 1000 + 30)
    assert (await bus.state(device.conversation)).cut is not None
    first.away = None
    await drain_for(new_worker(first, second=second), device, clock, 5)
    assert await names(first.real) == stored
    assert await packets_of(first.real, device.conversation) == device.sent
    assert (await bus.state(device.conversation)).waiting_samples == 0


async def test_a_second_bucket_that_is_away_stops_nothing(
    first, second, record, new_worker, packets_of, away, clock, go_home
):
    second.away = away
    worker = new_worker(first, second=second)
    for number in range(10):
        device = await record(f"c{number}")
        await worker.drain(device.conversation)
        assert await packets_of(first.real, device.conversation) == device.sent
    assert not worker.buckets.second.circuit.closed
    assert worker.buckets.well
    # It is no longer asked for each conversation; the mover sees that it is back.
    calls = second.calls
    device = await record("more")
    await worker.drain(device.conversation)
    assert second.calls == calls
    second.away = None
    assert await go_home(worker) == 0
    assert worker.buckets.second.circuit.closed


async def test_both_away_means_waiting(first, second, record, new_worker, packets_of, clock, away, bus):
    device = await record("one")
    first.away = second.away = away
    worker = new_worker(first, second=second)
    await drain_for(worker, device, clock, 300)
    assert not worker.buckets.second.circuit.closed
    calls = first.calls + second.calls
    await drain_for(worker, device, clock, 100)
    # Each is tried about every other second, no more.
    assert first.calls + second.calls - calls <= 200
    second.away = None
    clock.pass_s(10)
    await drain_for(worker, device, clock, 5)
    assert await packets_of(second, device.conversation) == device.sent


async def test_what_is_deleted_meanwhile_stays_nowhere(
    first, second, record, new_worker, clock, away, bus, go_home
):
    device = await record("one")
    first.away = away
    worker = new_worker(first, second=second)
    await drain_for(worker, device, clock, AWAY_MS // 1000 + 5)
    assert await names(second)
    await set_tombstone(bus, device.conversation, clock())
    first.away = None
    worker.buckets.first.circuit.worked(clock())
    assert await go_home(worker) == 0
    assert await names(second) == await names(first.real) == []


async def test_deletions_do_not_hammer_a_first_bucket_that_is_away(
    first, second, record, new_worker, clock, away, bus
):
    devices = [await record(f"c{number}") for number in range(12)]
    worker = new_worker(first, second=second)
    for device in devices[:2]:
        await worker.drain(device.conversation)
    first.away = away
    await drain_for(worker, devices[2], clock, AWAY_MS // 1000 + 5)
    assert len(await names(first.real)) == 2
    assert len(await names(second)) == 1
    asked = first.calls
    for device in devices:
        await set_tombstone(bus, device.conversation, clock())
        await worker.drain(device.conversation)
    assert first.calls <= asked + 1
    # What can be deleted is, and the rest is neither counted nor forgotten.
    assert await names(second) == []
    state = await bus.state(devices[0].conversation)
    assert state.stored_samples == state.received_samples > 0
    assert (await bus.state(devices[5].conversation)).waiting_samples == 0
    clock.pass_s(3_600)
    for device in devices:
        await worker.drain(device.conversation)
        due = await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag)
        assert due is not None
        assert float(due) <= clock() + AGAIN_MS
    first.away = None
    worker.buckets.first.circuit.worked(clock())
    clock.pass_s(300)  # one of them tried it, and failed
    for device in devices:
        await worker.drain(device.conversation)
        assert await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag) is None
    assert await names(first.real) == []
    state = await bus.state(devices[0].conversation)
    assert (state.stored_samples, state.deleted_samples) == (0, state.received_samples)


async def test_deletions_go_on_in_a_first_bucket_that_is_back_though_nobody_stores_anything(
    first, second, record, new_worker, clock, away, bus
):
    """Only a put closes the circuit: until then one after another may try it."""
    devices = [await record(f"c{number}") for number in range(4)]
    worker = new_worker(first, second=second)
    for device in devices[:3]:
        await worker.drain(device.conversation)
    first.away = away
    await drain_for(worker, devices[3], clock, AWAY_MS // 1000 + 5)
    first.away = None
    for device in devices:
        clock.pass_s(10)
        await set_tombstone(bus, device.conversation, clock())
        await worker.drain(device.conversation)
    assert not worker.buckets.well
    assert await names(first.real) == await names(second) == []


async def test_what_lies_in_a_second_bucket_that_was_away_is_deleted_when_it_is_back(
    first, second, record, new_worker, clock, away, bus
):
    """Nobody puts anything there that would show it."""
    device = await record("one")
    first.away = away
    worker = new_worker(first, second=second)
    await drain_for(worker, device, clock, AWAY_MS // 1000 + 5)
    first.away = None
    worker.buckets.first.circuit.worked(clock())
    second.away = away
    for number in range(OPENS_AFTER):
        await set_tombstone(bus, device.conversation, clock())
        await worker.drain(device.conversation)
        clock.pass_s(100 * (number + 1))
    assert not worker.buckets.second.circuit.closed
    second.away = None
    clock.pass_s(1_000)
    await worker.drain(device.conversation)
    assert await names(second) == []


async def test_a_name_that_is_taken_at_home_gets_the_next_one(
    first, second, record, new_worker, packets_of, clock, away, go_home
):
    device = await record("one")
    first.away = away
    worker = new_worker(first, second=second)
    await drain_for(worker, device, clock, AWAY_MS // 1000 + 5)
    [name] = await names(second)
    await first.real.put(name, b"other audio of this instant", content_type="audio/ogg", metadata={})
    first.away = None
    worker.buckets.first.circuit.worked(clock())
    assert await go_home(worker) == 0
    assert await first.real.get(name) == b"other audio of this instant"
    await first.real.delete(name)
    assert await packets_of(first.real, device.conversation) == device.sent


async def test_a_turn_that_ends_early_takes_nobodys_place(
    first, second, new_buckets, clock, away, conversation
):
    buckets = new_buckets(first, second)
    for _ in range(OPENS_AFTER):
        buckets.first.circuit.failed(clock(), clock(), "away", operators=False)
    clock.pass_s(2)
    with buckets.turn(conversation) as turn:
        assert not isinstance(turn, GiveBack)
        with buckets.turn(conversation._replace(cid="other")) as other:
            assert isinstance(other, GiveBack)
            assert other.until_ms > clock()
    with buckets.turn(conversation) as turn:
        assert not isinstance(turn, GiveBack)
    assert buckets.take_waiting() == [conversation._replace(cid="other")]
    assert buckets.take_waiting() == []


async def test_those_that_waited_are_looked_at_at_once_when_it_is_back(
    first, record, new_worker, clock, away, bus, hints
):
    first.away = away
    worker = new_worker(first)
    devices = [await record(f"c{number}") for number in range(30)]
    await asyncio.gather(*(worker.drain(device.conversation) for device in devices))
    assert not worker.buckets.well
    clock.pass_s(1)
    for device in devices:
        await worker.drain(device.conversation)
    first.away = None
    clock.pass_s(5)
    await worker.drain(devices[0].conversation)
    assert worker.buckets.back.is_set()
    assert await look_again(worker.buckets, worker.retries, hints, clock) >= 29
    for device in devices[1:]:
        due = float(await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag))
        assert due <= clock() + 30 * APART_MS
        assert worker.retries.not_before_ms(device.conversation, clock()) <= clock()
    assert await look_again(worker.buckets, worker.retries, hints, clock) == 0
