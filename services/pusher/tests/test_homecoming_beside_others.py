"""Moving home while something else has the name, or is about to: nothing but the batch that moves may go."""

import dataclasses

import pytest

from audiobus import Bus, pipeline
from audiobus.deletions import drop_cut, gone, set_user_tombstone, unstore
from audiobus.errors import BusUnavailableError, NotReplicatedError
from audiostore import open_store
from audiostore.errors import ChecksumError, TransientStoreError
from audiostore.names import CONTENT_TYPE, BatchName
from pusher.batch_builder import build
from pusher.homecoming import DELETED, EARLY, FOUND, MOVED, Homecoming


class Of:
    """A store that does something of its own."""

    def __init__(self, real) -> None:
        self.real = real

    def __getattr__(self, name):
        return getattr(self.real, name)


class BadReads(Of):
    """What comes of one object has another checksum, so many times."""

    def __init__(self, real, path, times) -> None:
        super().__init__(real)
        self.path = path
        self.times = times

    async def get(self, name):
        if name == self.path and self.times:
            self.times -= 1
            raise ChecksumError("the bytes that came do not have the checksum that the bucket names")
        return await self.real.get(name)


class CannotDelete(Of):
    async def delete(self, name):
        raise TransientStoreError("503")


@pytest.fixture
async def first():
    opened = open_store("memory:")
    yield opened
    await opened.close()


@pytest.fixture
async def second():
    opened = open_store("memory:")
    yield opened
    await opened.close()


@pytest.fixture
def session(new_session, clock):
    session = new_session()
    session.begin(clock())
    return session


@pytest.fixture
def batch(session, conversation):
    """The first batch of ten seconds: its name, its bytes, its metadata."""
    return named(conversation, build(conversation.cid, list(session.speech(10)), None))


def named(conversation, built):
    start_ms, end_ms = built.batch.spans[0].start_ms, built.batch.spans[-1].end_ms
    return BatchName(*conversation, start_ms, end_ms), built.data, built.metadata


async def put(store, name, data, metadata):
    await store.put(name.path, data, content_type=CONTENT_TYPE, metadata=metadata)


async def infos(store):
    return [info async for info in store.list("chunks/")]


async def names(store):
    return [info.name for info in await infos(store)]


def later(name):
    return dataclasses.replace(name, end_ms=name.end_ms + 1)


@pytest.mark.parametrize("times", [1, 2, 100])
async def test_other_audio_that_has_the_name_stays_however_it_reads(
    bus, first, second, keys, batch, session, conversation, clock, new_session, times
):
    """Two recordings of one instant: one has the name at home, settled long ago. The other was brought beside it, and could not be deleted where it was."""
    clock.ms -= 10_000
    other = new_session()
    other.begin(clock() + 5)
    other.run_start_ms = session.run_start_ms
    theirs = named(conversation, build(conversation.cid, list(other.speech(10)), None))
    name, data, metadata = batch
    assert theirs[0] == name
    await put(first, *theirs)
    await put(second, name, data, metadata)
    [info] = await infos(second)
    with pytest.raises(TransientStoreError):
        await Homecoming(bus, first, CannotDelete(second), keys).move(info)
    assert await names(first) == [name.path, later(name).path]
    assert await Homecoming(bus, BadReads(first, name.path, times), second, keys).move(info) == FOUND
    assert await names(first) == [name.path, later(name).path]
    assert await first.get(name.path) == theirs[1]
    assert await names(second) == []


async def test_its_own_damaged_object_goes_once_its_audio_lies_beside_it(
    bus, first, second, keys, batch, packets_of, session
):
    name, data, metadata = batch
    await put(first, name, data[:2000] + bytes(len(data) - 2000), metadata)
    await put(first, later(name), data, metadata)
    await put(second, name, data, metadata)
    [info] = await infos(second)
    assert await Homecoming(bus, first, second, keys).move(info) == FOUND
    assert (await names(first), await names(second)) == ([later(name).path], [])
    assert await packets_of(first) == session.sent


class AtPut(Of):
    """Something happens just before, or just after, an object is put under another name than this, or under any."""

    def __init__(self, real, then, *, after=False, but="") -> None:
        super().__init__(real)
        self.then = then
        self.after = after
        self.but = but

    async def _now(self, name):
        if name != self.but and self.then is not None:
            then, self.then = self.then, None
            await then()

    async def put(self, name, *args, **kwargs):
        if not self.after:
            await self._now(name)
        info = await self.real.put(name, *args, **kwargs)
        if self.after:
            await self._now(name)
        return info


async def test_a_users_tombstone_of_long_ago_deletes_nothing_of_today(
    bus, first, second, keys, batch, session, conversation, clock, packets_of
):
    """Two movers, one paused after its put: the other moves the object to its end. Then everything older than 30 days is deleted."""
    await put(second, *batch)

    async def meanwhile():
        [left] = await infos(second)
        assert await Homecoming(bus, first, second, keys).move(left) == FOUND
        await set_user_tombstone(bus, conversation.uid, clock() - 30 * 86_400_000)

    [info] = await infos(second)
    assert await Homecoming(bus, AtPut(first, meanwhile, after=True), second, keys).move(info) == MOVED
    assert await packets_of(first) == session.sent


@pytest.fixture
async def killed(bus, redis_url, prefix, device, conversation, new_worker, second):
    """A pusher put a batch into the second bucket, and was killed before it settled it. What lies in the second bucket."""
    await device.open()
    await device.say(61)
    await bus.ask(conversation, "flush")

    async def dies(*_args, **_kwargs):
        raise BusUnavailableError("killed")

    async with Bus(redis_url, prefix=prefix) as dying:
        dying.finish = dies
        with pytest.raises(BusUnavailableError):
            await new_worker(second, bus=dying, holder="dying").drain(conversation)
    await bus.client.delete(bus.keys.lease(conversation))
    [info] = await infos(second)
    return info


@pytest.mark.parametrize("at_home", ["nothing", "damaged"])
async def test_nothing_moves_whose_cut_stands(
    bus, first, second, keys, device, killed, conversation, new_worker, packets_of, clock, at_home
):
    """Whoever carries the cut out may find the object at home damaged, give its name up and store the audio under another, at any step of a move."""
    if at_home == "damaged":
        data = await second.get(killed.name)
        await put_at(first, killed.name, data[:2000] + bytes(len(data) - 2000), killed.metadata)
    home = Homecoming(bus, first, second, keys)
    assert await home.move(killed) == EARLY
    assert await names(second) == [killed.name]
    assert await names(first) == ([killed.name] if at_home == "damaged" else [])
    await new_worker(first, second=second).drain(conversation)
    assert (await bus.state(conversation)).waiting_samples == 0
    assert await home.move(killed) in (FOUND, DELETED)
    assert await names(second) == []
    for _ in range(3):
        clock.pass_s(20)
        await new_worker(first, second=second).drain(conversation)
    assert await packets_of(first) == device.sent


async def test_a_name_that_was_given_up_says_nothing_of_the_same_audio_under_another(
    bus, first, second, keys, device, killed, conversation, new_worker, packets_of, clock
):
    """Redis lost its last writes while the object was moved, the cut stands again, and a pusher settles it by what it puts under another name."""
    state = await bus.state(conversation)
    data = await second.get(killed.name)
    await put_at(first, killed.name, data[:2000] + bytes(len(data) - 2000), killed.metadata)
    await bus.command("HDEL", bus.keys.conv(conversation), "cut")  # settled, as the mover sees it

    async def meanwhile():
        await bus.command("HSET", bus.keys.conv(conversation), "cut", state.cut)
        assert await drop_cut(bus, conversation, state.cut, killed.name, clock())
        await new_worker(first).drain(conversation)
        assert (await bus.state(conversation)).waiting_samples == 0

    moving = Homecoming(bus, AtPut(first, meanwhile, but=killed.name), second, keys)
    assert await moving.move(killed) == DELETED
    assert await names(second) == []
    for _ in range(3):
        clock.pass_s(20)
        await new_worker(first, second=second).drain(conversation)
    assert await packets_of(first) == device.sent


async def test_what_is_deleted_while_it_is_brought_under_another_name_goes_and_that_name_is_noted(
    bus, first, second, keys, batch, conversation, clock
):
    """The other name may be a cut's by and by: nobody must rely on what is about to go."""
    name, data, metadata = batch
    await put(first, name, b"other audio of this instant", {})
    await put(second, name, data, metadata)
    noted = []

    class Notes(AtPut):
        async def delete(self, path):
            noted.append(path in await gone(bus, conversation))
            await self.real.delete(path)

    async def meanwhile():
        await unstore(bus, conversation, {name.path: 1}, clock())

    [info] = await infos(second)
    home = Homecoming(bus, Notes(first, meanwhile, after=True), second, keys)
    assert await home.move(info) == DELETED
    assert noted == [True]
    assert await names(second) == []
    assert await names(first) == [name.path]


@pytest.mark.parametrize("when", ["before", "while it moves"])
async def test_a_note_that_no_replica_has_deletes_nothing(
    *, bus, redis_url, prefix, first, second, keys, batch, conversation, clock, monkeypatch, when
):
    """The pusher talks to a former master, and the new one has settled by this very object."""
    monkeypatch.setattr(pipeline, "WAIT_MS", 50)
    await put(second, *batch)

    async def noted():
        await unstore(bus, conversation, {batch[0].path: 1}, clock())

    if when == "before":
        await noted()
    [info] = await infos(second)
    async with Bus(redis_url, prefix=prefix, wait_replicas=1) as former:
        home = Homecoming(former, AtPut(first, noted, after=True), second, keys)
        with pytest.raises(NotReplicatedError):
            await home.move(info)
    assert await names(second) == [info.name]
    assert await names(first) == ([] if when == "before" else [info.name])


async def put_at(store, path, data, metadata):
    await store.put(path, data, content_type=CONTENT_TYPE, metadata=metadata or {})
