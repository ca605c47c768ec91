"""A bucket that is back is noticed by each pusher, also by one that has nothing to store any more."""

import asyncio

import pytest

from audiostore.errors import AlreadyExistsError, StoreConfigurationError, TransientStoreError
from audiostore.names import ROOT, parse_name
from pusher import circuit_report, prober
from pusher.circuit import OPENS_AFTER, PAUSED_PROBE_EVERY_MS, PAUSES_AFTER, PROBES_AT_ONCE, Phase
from pusher.prober import LANDS_MS, PREFIX, STALE_MS, TIDY_MS, Prober, is_stale
from servicekit.ending import end
from servicekit.health import Health
from servicekit.stop import Stop


class Moody:
    """A bucket whose listings, puts or deletes fail, as long as they shall; one failing put may land all the same."""

    def __init__(self, real, *, put=None, list_=None, delete=None) -> None:
        self.real = real
        self.errors = {"put": put, "list": list_, "delete": delete}
        self.lands = False
        self.asked: list[str] = []

    def __getattr__(self, name):
        return getattr(self.real, name)

    def _meets(self, operation):
        self.asked.append(operation)
        if self.errors[operation] is not None:
            raise self.errors[operation]

    async def put(self, name, data, **kwargs):
        if self.lands:
            await self.real.put(name, data, **kwargs)
        self._meets("put")
        return await self.real.put(name, data, **kwargs)

    async def list(self, prefix, after=""):
        self._meets("list")
        async for info in self.real.list(prefix, after):
            yield info

    async def delete(self, name):
        self._meets("delete")
        await self.real.delete(name)


REFUSED = StoreConfigurationError("403")


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(prober, "TICK_S", 0.01)


def refuse(bucket):
    for _ in range(PAUSES_AFTER):
        bucket.circuit.failed(bucket.now_ms(), bucket.now_ms(), "403", operators=True)


async def names(store, prefix=""):
    return [info.name async for info in store.list(prefix)]


async def look(one, bucket):
    """A look, and what it began, to its end."""
    one.look(bucket)
    await asyncio.gather(*one._tasks)


async def test_all_pushers_are_ready_again_whoever_stored_what_waited(
    *, device, bus, memory_store, new_worker, packets_of, clock, eventually, monkeypatch
):
    monkeypatch.setattr(circuit_report, "TICK_S", 0.01)
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")
    moody = Moody(memory_store, put=REFUSED)
    workers = [new_worker(moody), new_worker(moody)]
    for worker in workers:
        for _ in range(PAUSES_AFTER):
            await worker.drain(device.conversation)
            clock.pass_s(PAUSED_PROBE_EVERY_MS / 1000)
        assert worker.buckets.first.circuit.phase is Phase.PAUSED
    healths, stop = [Health("store") for _ in workers], Stop(5.0)
    running = [
        asyncio.create_task(work)
        for worker, health in zip(workers, healths, strict=True)
        for work in (
            circuit_report.report(health, worker.buckets, stop),
            Prober(worker.buckets).run(stop),
        )
    ]

    async def unready() -> bool:
        return all(health.checks["store"].state == "failed" for health in healths)

    await eventually(unready, "both say so")
    moody.errors["put"] = None
    await workers[0].drain(device.conversation)
    assert await packets_of(memory_store) == device.sent

    async def ready() -> bool:
        clock.pass_s(1)
        return all(health.ready for health in healths)

    await eventually(ready, "both are ready again")
    stop.set()
    await asyncio.gather(*running)
    assert await names(memory_store, PREFIX) == []
    assert await packets_of(memory_store) == device.sent


@pytest.mark.parametrize("operation", ["put", "list"])
async def test_it_tries_as_seldom_as_anybody_and_leaves_one_object_at_most(
    memory_store, new_buckets, clock, operation
):
    moody = Moody(memory_store, **{"put" if operation == "put" else "list_": REFUSED})
    moody.lands = True
    buckets = new_buckets(moody)
    refuse(buckets.first)
    one = Prober(buckets)
    for _ in range(600):
        await look(one, buckets.first)
        assert not buckets.well or operation == "put"
        if buckets.well:
            refuse(buckets.first)
        clock.pass_s(0.5)
    assert 20 <= moody.asked.count("list") <= 45
    assert len(await names(memory_store)) <= 1
    moody.errors = dict.fromkeys(moody.errors)
    moody.lands = False
    while not buckets.well:
        clock.pass_s(1)
        await look(one, buckets.first)
    clock.pass_s((LANDS_MS + TIDY_MS) / 1000)
    await look(one, buckets.first)
    assert await names(memory_store) == []
    asked = len(moody.asked)
    clock.pass_s(3_600)
    await look(one, buckets.first)
    assert len(moody.asked) == asked


async def test_conversations_try_first(memory_store, new_buckets, clock):
    buckets = new_buckets(Moody(memory_store, put=REFUSED))
    refuse(buckets.first)
    one = Prober(buckets)
    for _ in range(200):
        clock.pass_s(1)
        await look(one, buckets.first)
        probe = buckets.first.circuit.probe(clock())
        if probe is not None:
            refuse(buckets.first)
            buckets.first.circuit.end(probe)
    assert buckets.first.untold.asked == []


async def test_a_put_that_lands_late_is_taken_away_too(memory_store, new_buckets, clock):
    moody = Moody(memory_store, put=TransientStoreError("no reply"))
    buckets = new_buckets(moody)
    refuse(buckets.first)
    one = Prober(buckets)
    clock.pass_s(60)
    await look(one, buckets.first)
    name = one._left[buckets.first].name
    buckets.first.circuit.worked(clock())
    await look(one, buckets.first)
    await memory_store.put(name, b"late", content_type="x", metadata={})
    clock.pass_s(TIDY_MS / 1000 - 1)
    await look(one, buckets.first)
    assert await names(memory_store) == [name]
    clock.pass_s(1)
    await look(one, buckets.first)
    assert await names(memory_store) == []


async def test_a_name_that_an_earlier_try_took_is_an_answer(memory_store, new_buckets, clock):
    moody = Moody(memory_store, put=AlreadyExistsError("taken"))
    buckets = new_buckets(moody)
    refuse(buckets.first)
    clock.pass_s(60)
    await look(Prober(buckets), buckets.first)
    assert buckets.well


async def test_deletes_that_are_refused_open_nothing(memory_store, new_buckets, clock):
    """Else it would be away and back again for ever."""
    moody = Moody(memory_store, delete=REFUSED)
    buckets = new_buckets(moody)
    refuse(buckets.first)
    one = Prober(buckets)
    for _ in range(1_000):
        clock.pass_s(1)
        await look(one, buckets.first)
    assert buckets.well
    assert moody.asked.count("put") == 1
    assert 10 <= moody.asked.count("delete") <= 1_000_000 / TIDY_MS + 1


async def test_what_killed_pushers_left_goes_too_and_what_others_use_stays(memory_store, new_buckets, clock):
    old, new = (f"{PREFIX}{clock() - age_ms}-a" for age_ms in (STALE_MS, 0))
    for name in (old, new, f"{PREFIX}notes.txt"):
        await memory_store.put(name, b"x", content_type="x", metadata={})
    buckets = new_buckets(memory_store)
    refuse(buckets.first)
    one = Prober(buckets)
    clock.pass_s(60)
    await look(one, buckets.first)
    assert buckets.well
    clock.pass_s(LANDS_MS / 1000)
    await look(one, buckets.first)
    assert await names(memory_store) == [new, f"{PREFIX}notes.txt"]


@pytest.mark.parametrize("name", ["", "1", "x-y", "²-y", "1700000000000-a"])
def test_only_what_says_that_it_is_old_is_stale(name):
    assert is_stale(f"{PREFIX}{name}", 1_700_000_000_000) == (name == "1")


async def test_what_nobody_foresaw_ends_no_tries(memory_store, new_buckets, clock, caplog):
    moody = Moody(memory_store, put=AttributeError("a library met an answer that it does not know"))
    buckets = new_buckets(moody)
    refuse(buckets.first)
    one = Prober(buckets)
    clock.pass_s(60)
    await look(one, buckets.first)
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    moody.errors["put"] = None
    clock.pass_s(60)
    await look(one, buckets.first)
    assert buckets.well
    moody.errors["delete"] = AttributeError("the same")
    await look(one, buckets.first)
    assert "tidying a bucket broke" in caplog.text


async def test_what_it_puts_is_no_audio_and_no_conversations(memory_store, new_buckets, clock):
    moody = Moody(memory_store, put=REFUSED)
    moody.lands = True
    buckets = new_buckets(moody)
    refuse(buckets.first)
    clock.pass_s(60)
    await look(Prober(buckets), buckets.first)
    [name] = await names(memory_store)
    assert parse_name(name) is None
    assert [folder async for folder in memory_store.list_folders(ROOT)] == []
    # What comes of it is told of the bucket: two of them pause it, whoever is stored beside.
    well = new_buckets(moody)
    well.first.circuit.worked(clock(), "u/c")
    for _ in range(PAUSES_AFTER):
        with pytest.raises(StoreConfigurationError):
            await well.first.put(name + "b", b"", content_type="x", metadata={})
        moody.lands = False
    assert not well.well


async def test_a_try_that_hangs_is_ended_with_the_process(
    memory_store, new_buckets, clock, eventually, monkeypatch
):
    monkeypatch.setattr(prober, "LAST_WORD_S", 0.05)

    class Hangs(Moody):
        async def put(self, name, data, **kwargs):
            await self.real.put(name, data, **kwargs)
            self.asked.append("put")
            await asyncio.Event().wait()

    hangs = Hangs(memory_store)
    buckets = new_buckets(hangs)
    refuse(buckets.first)
    clock.pass_s(60)
    stop, one = Stop(5.0), Prober(buckets)
    running = asyncio.create_task(one.run(stop))

    async def asked() -> bool:
        return "put" in hangs.asked

    await eventually(asked, "it tries")
    tries = [*one._tasks]
    stop.set()
    await asyncio.wait_for(running, 60)
    assert tries
    assert all(task.done() for task in tries)
    assert await names(memory_store) == []


async def test_a_try_is_as_large_as_what_failed(memory_store, new_buckets, clock):
    """A disk with room for a small object but for no batch is away: what is recorded goes on to the second bucket."""

    class Full(Moody):
        room = 100 * 1024

        async def put(self, name, data, **kwargs):
            if len(data) > self.room:
                raise TransientStoreError("put: No space left on device")
            return await super().put(name, data, **kwargs)

    full = Full(memory_store)
    buckets = new_buckets(full, memory_store)
    for number in range(OPENS_AFTER):
        with pytest.raises(TransientStoreError):
            await buckets.first.put(f"{ROOT}u/c{number}/x", bytes(300 * 1024), content_type="x", metadata={})
    one = Prober(buckets)
    for _ in range(120):
        clock.pass_s(1)
        await look(one, buckets.first)
        assert not buckets.well
    assert buckets.second_serves
    assert full.asked.count("list") > 20
    full.room = 300 * 1024
    clock.pass_s(60)
    await look(one, buckets.first)
    assert buckets.well
    assert full.asked.count("put") == 1


async def test_tries_that_hang_leave_conversations_their_turns(memory_store, new_buckets, clock):
    class Hangs(Moody):
        hung = 0

        async def put(self, name, data, **kwargs):
            self.hung += 1
            await asyncio.Event().wait()

    hangs = Hangs(memory_store)
    buckets = new_buckets(hangs)
    refuse(buckets.first)
    one = Prober(buckets)
    for _ in range(300):
        clock.pass_s(1)
        one.look(buckets.first)
        await asyncio.sleep(0)
    assert hangs.hung == 1
    for _ in range(PROBES_AT_ONCE - 1):
        assert buckets.first.circuit.probe(clock()) is not None
        clock.pass_s(60)
    # It tries again once that one is over.
    await end([*one._tasks])
    one.look(buckets.first)
    await asyncio.sleep(0)
    assert hangs.hung == 2
    await end([*one._tasks])


async def test_what_is_put_while_it_is_tidied_is_taken_away_afterwards(
    memory_store, new_buckets, clock, eventually
):
    class Slow(Moody):
        def __init__(self, real) -> None:
            super().__init__(real)
            self.deleted, self.go = asyncio.Event(), asyncio.Event()

        async def delete(self, name):
            await super().delete(name)
            self.deleted.set()
            await self.go.wait()

    slow = Slow(memory_store)
    buckets = new_buckets(slow)
    refuse(buckets.first)
    one = Prober(buckets)
    clock.pass_s(60)
    await look(one, buckets.first)
    clock.pass_s(LANDS_MS / 1000)
    one.look(buckets.first)
    await slow.deleted.wait()
    clock.pass_s(2 * TIDY_MS / 1000)
    one.look(buckets.first)
    await asyncio.sleep(0)
    assert slow.asked.count("delete") == 1
    refuse(buckets.first)
    clock.pass_s(60)
    one.look(buckets.first)

    async def well() -> bool:
        return buckets.well

    await eventually(well, "it is tried again")
    assert len(await names(memory_store)) == 1
    slow.go.set()
    await asyncio.gather(*one._tasks)
    await look(one, buckets.first)
    assert await names(memory_store) == []
