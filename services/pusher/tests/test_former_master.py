"""A pusher that still talks to a master that is none any more: nothing that the new one has settled is deleted on its word."""

import pytest

from audiobus import Bus, pipeline
from audiobus import dead_letters as dead
from audiobus.census import exact
from audiobus.cut import decode_cut
from audiobus.deletions import discard, drop_cut
from audiobus.errors import NotReplicatedError
from audiostore.errors import ChecksumError
from pusher.maker import Maker
from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.replica_pair import replica_pair


@pytest.fixture
def pair(tmp_path):
    """A master and a replica that follows it."""
    with replica_pair(any_server(), tmp_path) as both:
        yield both


class Parted:
    """A store under whose first put the network parts; what is read of it has wrong checksums on the way."""

    def __init__(self, store, story) -> None:
        self._store, self._story = store, story

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def put(self, *args, **fields):
        if self._story is not None:
            story, self._story = self._story, None
            await story()
        return await self._store.put(*args, **fields)

    async def get(self, name):
        raise ChecksumError(f"a bad read of {name}")


async def test_it_gives_no_name_up_that_the_new_one_has_settled(
    *, pair, prefix, memory_store, new_device, conversation, new_worker, packets_of, keys, monkeypatch
):
    master, replica = pair
    async with (
        Bus(master.url, prefix=prefix, wait_replicas=1) as former,
        Bus(replica.url, prefix=prefix) as new,
    ):
        device = new_device(bus=former)
        await former.command("HSET", former.keys.user(conversation.uid), "protection", "enhanced")
        await device.open()
        await device.say(20)
        await former.ask(conversation, "flush")

        async def parts():
            await new.command("REPLICAOF", "NO", "ONE")
            monkeypatch.setattr(pipeline, "WAIT_MS", 50)
            await new.client.delete(new.keys.lease(conversation))
            await new_worker(memory_store, bus=new, holder="living", maker=Maker(keys)).drain(conversation)
            assert (await exact(new, conversation)).waiting == 0

        late = new_worker(Parted(memory_store, parts), bus=former, holder="late", maker=Maker(keys))
        # The second time it finds that the name is given up, as far as the former master knows.
        for _ in range(2):
            with pytest.raises(NotReplicatedError):
                await late.drain(conversation)
        assert await packets_of(memory_store) == device.sent


async def test_a_name_that_it_alone_knows_to_be_given_up_is_not_deleted(
    *, pair, prefix, memory_store, new_device, conversation, new_worker, packets_of, monkeypatch
):
    """Two pushers talk to it: one has given the name up there, the other was paused before its put, and finds that the cut stands no more."""
    master, replica = pair
    async with (
        Bus(master.url, prefix=prefix, wait_replicas=1) as former,
        Bus(replica.url, prefix=prefix) as new,
    ):
        device = new_device(bus=former)
        await device.open()
        await device.say(20)
        await former.ask(conversation, "flush")

        async def parts():
            await new.command("REPLICAOF", "NO", "ONE")
            monkeypatch.setattr(pipeline, "WAIT_MS", 50)
            await new.client.delete(new.keys.lease(conversation))
            await new_worker(memory_store, bus=new, holder="living").drain(conversation)
            assert (await exact(new, conversation)).waiting == 0
            cut = (await former.state(conversation)).cut
            with pytest.raises(NotReplicatedError):
                await drop_cut(former, conversation, cut, decode_cut(cut).name, 1)

        late = new_worker(Parted(memory_store, parts), bus=former, holder="late")
        with pytest.raises(NotReplicatedError):
            await late.drain(conversation)
        assert await packets_of(memory_store) == device.sent


async def test_nor_is_that_of_a_letter_that_it_alone_knows_to_be_dropped(
    *, pair, prefix, memory_store, new_device, conversation, new_worker, packets_of, monkeypatch
):
    """The new master has had the letter stored meanwhile."""
    master, replica = pair
    async with (
        Bus(master.url, prefix=prefix, wait_replicas=1) as former,
        Bus(replica.url, prefix=prefix) as new,
    ):
        device = new_device(bus=former)
        await device.open()
        await device.say(2)
        buried = await device.bury(2)
        await former.ask(conversation, "end")
        await new_worker(memory_store, bus=former, holder="early").drain(conversation)
        assert await dead.mark(former, conversation, buried, 2)

        async def parts():
            await new.command("REPLICAOF", "NO", "ONE")
            monkeypatch.setattr(pipeline, "WAIT_MS", 50)
            await new.client.delete(new.keys.lease(conversation))
            await new_worker(memory_store, bus=new, holder="living").drain(conversation)
            assert (await exact(new, conversation)).dead == 0
            with pytest.raises(NotReplicatedError):
                await discard(former, conversation, buried, 3)

        late = new_worker(Parted(memory_store, parts), bus=former, holder="late")
        with pytest.raises(NotReplicatedError):
            await late.drain(conversation)
        assert await packets_of(memory_store) == device.sent
