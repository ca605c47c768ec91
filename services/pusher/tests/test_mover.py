"""The mover: when the second bucket is emptied, by whom, and what it leaves."""

import asyncio
import math

import pytest

from audiobus import Bus
from audiobus.conversation import Conversation
from audiobus.cut import Cut
from audiostore import open_store
from audiostore.errors import StoreConfigurationError, TransientStoreError
from audiostore.names import CONTENT_TYPE, BatchName
from pusher.circuit import OPENS_AFTER
from pusher.metrics import PusherMetrics
from pusher.mover import AT_ONCE, Mover
from pusher.roles import Roles
from servicekit.stop import Stop
from tapedeck_testing.free_ports import free_port


@pytest.fixture
async def first():
    return open_store("memory:")


@pytest.fixture
async def second():
    return open_store("memory:")


@pytest.fixture
def new_mover(bus, new_buckets, keys, metrics):
    def make(first, second, holder="pusher-1"):
        return Mover(bus, new_buckets(first, second), keys, metrics, holder)

    return make


async def put(store, *numbers):
    for number in numbers:
        name = BatchName("u", f"c{number}", 1000 * number, 1000 * number + 500).path
        await store.put(name, b"audio", content_type=CONTENT_TYPE, metadata={})


async def names(store, prefix="chunks/"):
    return [info.name async for info in store.list(prefix)]


class Counts:
    """A store that says how many of its puts were under way at once, and fails those of some names."""

    def __init__(self, real, fails=()) -> None:
        self._real = real
        self._fails = fails
        self._now = 0
        self.most = 0

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def put(self, name, *args, **kwargs):
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(0)
        self._now -= 1
        if any(text in name for text in self._fails):
            raise TransientStoreError("this one not")
        return await self._real.put(name, *args, **kwargs)


async def test_it_moves_everything_a_few_at_a_time(first, second, new_mover, metrics):
    await put(second, *range(50))
    await second.put("chunks/u/notes.txt", b"x", content_type="text/plain", metadata={})
    counts = Counts(first)
    mover = new_mover(counts, second)
    assert await mover.sweep(mover.buckets.second) == 0
    assert len(await names(first)) == 50
    assert await names(second, "") == ["chunks/u/notes.txt"]
    assert 1 < counts.most <= AT_ONCE
    assert metrics.moved_home["moved"]._value.get() == 50
    assert metrics.fallback_objects._value.get() == 0


async def test_one_that_cannot_move_hinders_no_other(first, second, new_mover, metrics):
    await put(second, *range(20))
    mover = new_mover(Counts(first, fails=["/c7/"]), second)
    assert await mover.sweep(mover.buckets.second) == 1
    assert len(await names(first)) == 19
    assert [name.split("/")[2] for name in await names(second)] == ["c7"]
    assert metrics.moved_home["failed"]._value.get() == 1
    assert metrics.fallback_objects._value.get() == 1


async def test_one_that_breaks_in_an_unforeseen_way_hinders_no_other(first, second, new_mover, metrics):
    await put(second, *range(40))

    class Odd:
        def __getattr__(self, name):
            return getattr(first, name)

        async def put(self, name, *args, **kwargs):
            await asyncio.sleep(0)
            if "/c5/" in name:
                raise ValueError("a library met an answer that it does not know")
            return await first.put(name, *args, **kwargs)

    mover = new_mover(Odd(), second)
    for _ in range(2 * AT_ONCE):
        assert await asyncio.wait_for(mover._turn(mover.buckets.second), 60) == 1
    assert len(await names(first)) == 39
    assert [name.split("/")[2] for name in await names(second)] == ["c5"]
    assert metrics.moved_home["failed"]._value.get() == 2 * AT_ONCE


@pytest.fixture
def unsettled(bus):
    """Writes down the cut of an object: its pusher is not done."""

    async def cut(number):
        name = BatchName("u", f"c{number}", 1000 * number, 1000 * number + 500).path
        raw = Cut(1, "1-0", "1-1", name, "standard", "size").encode()
        await bus.command("HSET", bus.keys.conv(Conversation("u", f"c{number}")), "cut", raw)

    return cut


async def test_what_is_not_settled_yet_is_left_and_counted(first, second, new_mover, metrics, unsettled):
    await put(second, *range(5))
    await unsettled(3)
    mover = new_mover(first, second)
    assert await mover._turn(mover.buckets.second) == 1
    assert [name.split("/")[2] for name in await names(second)] == ["c3"]
    assert metrics.moved_home["early"]._value.get() == 1
    assert metrics.fallback_objects._value.get() == 1


async def test_what_is_not_settled_yet_does_not_keep_it_from_trying_the_first_bucket(
    first, second, new_mover, unsettled, clock
):
    await put(second, *range(5))
    for number in range(3):
        await unsettled(number)
    mover = new_mover(first, second)
    for _ in range(OPENS_AFTER):
        mover.buckets.first.circuit.failed(clock(), clock(), "away", operators=False)
    clock.pass_s(60)
    await mover.try_one(mover.buckets.second)
    assert mover.buckets.well
    assert [name.split("/")[2] for name in await names(first)] == ["c3"]


async def test_it_leaves_a_bucket_in_peace_that_is_away(first, second, new_mover):
    await put(second, *range(200))
    counts = Counts(first, fails=["/c"])
    mover = new_mover(counts, second)
    assert await mover.sweep(mover.buckets.second) > 0
    assert not mover.buckets.well
    assert len(await names(second)) == 200
    assert await mover.sweep(mover.buckets.second) > 0
    assert counts.most <= AT_ONCE


async def test_one_bucket_under_two_addresses_loses_nothing(tmp_path, new_mover):
    (tmp_path / "link").symlink_to(tmp_path / "store", target_is_directory=True)
    (tmp_path / "store").mkdir()
    one, same = open_store(f"file://{tmp_path}/store"), open_store(f"file://{tmp_path}/link")
    await put(one, 1, 2)
    mover = new_mover(one, same)
    for _ in range(2):
        with pytest.raises(StoreConfigurationError, match="mean the same bucket"):
            await mover.sweep(mover.buckets.second)
    assert len(await names(one)) == 2
    assert len(await names(one, "")) == 2
    await one.close()
    await same.close()


async def test_one_pusher_at_a_time_moves(first, second, new_mover, bus):
    await put(second, 1)
    one, other = new_mover(first, second), new_mover(first, second, "pusher-2")
    async with one._lease() as ours, other._lease() as theirs:
        assert (ours, theirs) == (True, False)
        assert (
            await other._turn(other.buckets.second) == 1
        )  # and comes again soon: that one may be cut off from the first bucket
        assert len(await names(second)) == 1
    assert await other._turn(other.buckets.second) == 0
    assert await names(second) == []


async def test_the_gauge_tells_what_lies_there_while_nothing_can_be_moved(
    first, second, new_mover, metrics, clock
):
    """An operator who takes the setting away at 0 would hide what lies there."""

    class Away:
        def __getattr__(self, name):
            async def fails(*_args, **_kwargs):
                raise TransientStoreError("away")

            return fails

    await put(second, *range(30))
    mover = new_mover(Away(), second)
    for _ in range(OPENS_AFTER):
        mover.buckets.first.circuit.failed(clock(), clock(), "away", operators=False)
    for _ in range(3):
        assert await mover._turn(mover.buckets.second) == 1
        assert metrics.fallback_objects._value.get() == 30
        clock.pass_s(60)
    assert len(await names(second)) == 30


async def test_the_gauge_says_so_where_nobody_knows(first, second, new_mover, metrics):
    class Unlisted:
        away = True

        def __getattr__(self, name):
            return getattr(second, name)

        def list(self, prefix, after=""):
            if self.away:
                raise TransientStoreError("away")
            return second.list(prefix, after)

    unlisted = Unlisted()
    mover, other = new_mover(first, unlisted), new_mover(first, second, "pusher-2")
    gauge = metrics.fallback_objects._value
    await mover._turn(mover.buckets.second)
    assert math.isnan(gauge.get())
    unlisted.away = False
    await mover._turn(mover.buckets.second)
    assert gauge.get() == 0
    unlisted.away = True
    await mover._turn(mover.buckets.second)
    assert gauge.get() == 0  # as of the last look
    async with other._lease():
        await mover._turn(mover.buckets.second)
        assert gauge.get() == 0  # the other tells
    await mover._turn(mover.buckets.second)
    assert math.isnan(gauge.get())


async def test_one_pusher_at_a_time_shows_how_many_are_left(
    *, first, second, bus, new_buckets, keys, unsettled, eventually, monkeypatch
):
    monkeypatch.setattr("pusher.mover.TICK_S", 0.02)
    monkeypatch.setattr("pusher.mover.AGAIN_S", 600.0)
    for number in (7, 8):
        await put(second, number)
        await unsettled(number)
    shown = [PusherMetrics(), PusherMetrics()]
    one, other = (
        Mover(bus, new_buckets(first, second), keys, metrics, f"pusher-{number}")
        for number, metrics in enumerate(shown)
    )
    stop = Stop(5.0)
    running = asyncio.create_task(one.run(stop))

    def gauges() -> list[float]:
        return [metrics.fallback_objects._value.get() for metrics in shown]

    async def one_told() -> bool:
        return gauges() == [2, 0]

    await eventually(one_told, "the first one shows it")

    async def other_told() -> bool:
        if other._counted_s is None:  # the first one may still be at its turn
            await other._turn(other.buckets.second)
        return gauges() == [0, 2]

    await eventually(other_told, "only the one that looked last shows it")
    await bus.command("DEL", bus.keys.homecoming_teller())  # Redis lost it: who shows it goes on
    await other._heed_others()
    assert gauges() == [0, 2]
    await one._turn(one.buckets.second)
    await other._heed_others()
    assert gauges() == [2, 0]
    stop.set()
    await running


async def test_the_gauge_says_so_where_redis_says_nothing(first, second, new_buckets, keys, metrics):
    """Not even whether another one tells: at 0 an operator may take the setting away."""
    async with Bus(f"redis://127.0.0.1:{free_port()}") as nowhere:
        mover = Mover(nowhere, new_buckets(first, second), keys, metrics, "pusher-1")
        assert await mover._turn(mover.buckets.second) == 1
    assert math.isnan(metrics.fallback_objects._value.get())


async def test_the_gauge_says_so_where_two_have_the_buckets_the_other_way_round(
    first, second, new_mover, bus, metrics
):
    assert await Roles(bus, "memory:b", "memory:a").agreed()
    mover = new_mover(first, second)
    mover.roles = Roles(bus, "memory:a", "memory:b")
    assert await mover._turn(mover.buckets.second) == 1
    assert math.isnan(metrics.fallback_objects._value.get())


async def test_a_second_bucket_that_is_away_is_looked_at_again(first, new_mover, caplog):
    class Away:
        def __getattr__(self, name):
            async def fails(*_args, **_kwargs):
                raise TransientStoreError("put chunks/alice/c1/1.000-2.000.batch.bin: away")

            return fails

    mover = new_mover(first, Away())
    assert await mover._turn(mover.buckets.second) == 1
    assert "alice" not in str([vars(record) for record in caplog.records])


async def test_it_sees_by_itself_that_the_first_bucket_is_back(
    first, second, new_mover, eventually, clock, monkeypatch
):
    """Everything went to the second one and nothing more is recorded: nobody else tries the first."""
    monkeypatch.setattr("pusher.mover.AGAIN_S", 0.1)
    monkeypatch.setattr("pusher.mover.TICK_S", 0.05)
    counts = Counts(first, fails=["/c"])
    mover = new_mover(counts, second)
    circuit = mover.buckets.first.circuit
    for _ in range(OPENS_AFTER):
        circuit.failed(clock(), clock(), "away", operators=False)
    await put(second, *range(20))
    stop = Stop(5.0)
    running = asyncio.create_task(mover.run(stop))

    async def tried() -> bool:
        clock.pass_s(1)
        return counts.most > 0

    await eventually(tried, "it tries")
    assert counts.most == 1  # one after another
    assert len(await names(second)) == 20
    counts._fails = ()

    async def home() -> bool:
        clock.pass_s(1)
        return len(await names(first)) == 20

    await eventually(home, "everything is home")
    assert circuit.closed
    stop.set()
    await asyncio.wait_for(running, 60)


async def test_an_end_need_not_wait_for_a_bucket_that_hangs(first, second, new_mover, eventually):
    class Hangs:
        calls = 0

        def __getattr__(self, name):
            return getattr(first, name)

        async def put(self, *_args, **_kwargs):
            self.calls += 1
            await asyncio.Event().wait()

    hangs = Hangs()
    await put(second, 1, 2, 3)
    mover = new_mover(hangs, second)
    stop = Stop(5.0)
    running = asyncio.create_task(mover.run(stop))

    async def under_way() -> bool:
        return hangs.calls == 3

    await eventually(under_way, "the moves are under way")
    stop.set()
    await asyncio.wait_for(running, 60)
    assert len(await names(second)) == 3


async def test_without_a_second_bucket_there_is_nothing_to_do(bus, new_buckets, first, keys, metrics):
    await asyncio.wait_for(Mover(bus, new_buckets(first), keys, metrics, "p").run(Stop(5.0)), 60)
