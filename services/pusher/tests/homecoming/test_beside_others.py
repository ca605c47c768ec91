"""Moving home while something else has the name, or is about to: nothing but the batch that moves may go."""

import pytest

from audiobus import Bus, pipeline
from audiobus.deletions import drop_cut, gone, set_user_tombstone, unstore
from audiobus.errors import NotReplicatedError
from audiobus.letters_cut import LettersCut
from audiostore.errors import ChecksumError, TransientStoreError
from pusher.batch_builder import build
from pusher.homecoming import DELETED, EARLY, FOUND, MOVED, Homecoming
from tapedeck_testing.draining.moving_home import AfterPut, Of, damaged, infos, later, names, path_of, put


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


@pytest.mark.parametrize("times", [1, 2, 100])
async def test_other_audio_that_has_the_name_stays_however_it_reads(
    bus, first, second, keys, batch, session, conversation, clock, new_session, times
):
    """Two recordings of one instant: one has the name at home, settled long ago. The other was brought beside it, and could not be deleted where it was."""
    clock.ms -= 10_000
    other = new_session()
    other.begin(clock() + 5)
    other.run_start_ms = session.run_start_ms
    theirs = build(conversation.cid, list(other.speech(10)), None)
    path, data, metadata = batch
    assert path_of(conversation, theirs) == path
    await put(first, path, theirs.data, theirs.metadata)
    await put(second, path, data, metadata)
    [info] = await infos(second)
    with pytest.raises(TransientStoreError):
        await Homecoming(bus, first, CannotDelete(second), keys).move(info)
    assert await names(first) == [path, later(path)]
    assert await Homecoming(bus, BadReads(first, path, times), second, keys).move(info) == FOUND
    assert await names(first) == [path, later(path)]
    assert await first.get(path) == theirs.data
    assert await names(second) == []


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
    assert await Homecoming(bus, AfterPut(first, meanwhile), second, keys).move(info) == MOVED
    assert await packets_of(first) == session.sent


@pytest.mark.parametrize("at_home", ["nothing", "damaged"])
async def test_nothing_moves_whose_cut_stands(
    bus, first, second, keys, device, killed, conversation, new_worker, packets_of, clock, at_home
):
    """Whoever carries the cut out may find the object at home damaged, give its name up and store the audio under another, at any step of a move."""
    if at_home == "damaged":
        await put(first, killed.name, damaged(await second.get(killed.name)), killed.metadata)
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


async def test_nothing_moves_whose_dead_letters_are_being_stored(
    bus, first, second, keys, batch, conversation
):
    path = batch[0]
    await put(second, *batch)
    [info] = await infos(second)
    cut = LettersCut(1, ("1-100",), path, "standard")
    await bus.command("HSET", bus.keys.conv(conversation), "again_cut", cut.encode())
    home = Homecoming(bus, first, second, keys)
    assert await home.move(info) == EARLY
    assert (await names(first), await names(second)) == ([], [path])
    await bus.command("HDEL", bus.keys.conv(conversation), "again_cut")
    assert await home.move(info) == MOVED


async def test_a_name_that_was_given_up_says_nothing_of_the_same_audio_under_another(
    bus, first, second, keys, batch, session, conversation, clock, packets_of
):
    """Redis went back while the object was moved, and a pusher gave the name up: it may have settled by what lies under the next one."""
    path, data, metadata = batch
    await put(first, path, b"other audio of this instant", {})
    await put(second, path, data, metadata)

    async def meanwhile():
        await bus.command("HSET", bus.keys.conv(conversation), "cut", b"cut")
        assert await drop_cut(bus, conversation, b"cut", path, clock())

    [info] = await infos(second)
    assert await Homecoming(bus, AfterPut(first, meanwhile), second, keys).move(info) == MOVED
    assert await names(second) == []
    await first.delete(path)  # as everybody does who looks at the names
    assert await packets_of(first) == session.sent


async def test_what_is_deleted_while_it_is_brought_under_another_name_goes_and_that_name_is_noted(
    bus, first, second, keys, batch, conversation, clock
):
    """The other name may be a cut's by and by: nobody must rely on what is about to go."""
    path, data, metadata = batch
    await put(first, path, b"other audio of this instant", {})
    await put(second, path, data, metadata)
    noted = []

    class Notes(AfterPut):
        async def delete(self, name):
            if name.startswith("chunks/"):
                noted.append(name in await gone(bus, conversation))
            await self.real.delete(name)

    async def meanwhile():
        await unstore(bus, conversation, {path: 1}, clock())

    [info] = await infos(second)
    home = Homecoming(bus, Notes(first, meanwhile), second, keys)
    assert await home.move(info) == DELETED
    assert noted == [True]
    assert await names(second) == []
    assert await names(first) == [path]


@pytest.mark.parametrize("when", ["before", "while it moves"])
async def test_a_note_that_no_replica_has_deletes_nothing(
    *, bus, redis_url, prefix, first, second, keys, batch, conversation, clock, monkeypatch, when
):
    """The pusher talks to a former master, and the new one has settled by this very object."""
    monkeypatch.setattr(pipeline, "WAIT_MS", 50)
    await put(second, *batch)

    async def noted():
        await unstore(bus, conversation, {batch[0]: 1}, clock())

    if when == "before":
        await noted()
    [info] = await infos(second)
    async with Bus(redis_url, prefix=prefix, wait_replicas=1) as former:
        home = Homecoming(former, AfterPut(first, noted), second, keys)
        with pytest.raises(NotReplicatedError):
            await home.move(info)
    assert await names(second) == [info.name]
    assert await names(first) == ([] if when == "before" else [info.name])
