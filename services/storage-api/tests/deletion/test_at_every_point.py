"""A conversation, or all of a user's, is deleted between any two steps of a flush or of a merge: nothing of it stays, wherever it is on its way just then."""

import dataclasses
import itertools

import msgspec
import pytest

from audiobus import Bus, Conversation, operations
from audiobus.census import exact
from audiobus.errors import BusError
from audiostore.memory_store import MemoryStore
from storage_api.bucket import Bucket
from storage_api.merging import merge
from storage_api.operations.runner import Runner
from tapedeck_testing.draining.inside import drained, drained_in_steps
from tapedeck_testing.draining.steps import Killed, Meanwhile

HEADERS = {"Authorization": "Bearer all-token"}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


class Deleting:
    """The deletion of one conversation, or of its user's audio."""

    def __init__(self, api, leaving, conversation, *, all_of_user: bool) -> None:
        self._api, self._leaving, self._conversation = api, leaving, conversation
        self._all_of_user = all_of_user
        leaving.path = f"/v1/users/{conversation.uid}/audio"
        self.operation_id = ""
        self.status = 0

    async def begin(self) -> None:
        if self._all_of_user:
            self.operation_id = await self._leaving.begin(self._api)
            await self._turn()
        else:
            path = self._api.path(self._conversation)
            self.status = (await self._api.http.delete(path, headers=HEADERS)).status_code

    async def end(self) -> None:
        """Until it is done, a while later."""
        for _ in range(4 if self.operation_id else 0):
            self._leaving.settle()
            if not (await operations.find(self._api.services.bus, self.operation_id)).done:
                await self._turn()
        if self.operation_id:
            done = await operations.find(self._api.services.bus, self.operation_id)
            assert done.done
            assert msgspec.json.decode(done.result)["kept_objects"] == 0

    async def _turn(self) -> None:
        await self._leaving.turn(self._api.services, self.operation_id)


@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "is killed then"])
@pytest.mark.parametrize("all_of_user", [False, True], ids=["conversation", "user"])
async def test_of_a_flush(api, tape_for, store, one_bus, encode, speech, leaving, names, all_of_user, dies):
    """A pusher is paused for longer than its lease while another carries on; then it goes on with what it had in hand."""
    chunks = encode(speech[: 4 * 32_000], chunk_s=0.5)
    for at in itertools.count(1):
        conversation = Conversation(f"user-{at}", "conv")
        tape = tape_for(conversation)
        await tape.open()
        await tape.append(chunks[:4])
        await one_bus.ask(conversation, "flush")
        await drained(one_bus, store, conversation)
        await tape.append(chunks[4:])
        await one_bus.ask(conversation, "flush")
        deleting = Deleting(api, leaving, conversation, all_of_user=all_of_user)
        meanwhile = Meanwhile(at, deleting.begin)

        async def step(name, meanwhile=meanwhile) -> None:
            if dies and meanwhile.taken > meanwhile.at:
                raise Killed
            await meanwhile.step(name)

        await drained_in_steps(one_bus, store, conversation, step)
        if not meanwhile.happened:
            break
        # Its user may go on recording elsewhere, but no socket of before into what is deleted.
        if not all_of_user:
            with pytest.raises(BusError):
                await tape.append(chunks[-1:])
        await drained(one_bus, store, conversation)
        await deleting.end()
        assert await names(store) == [], at
        balance = await exact(one_bus, conversation)
        assert (balance.difference, balance.deleted) == (0, balance.received), (at, balance)
    assert at > 8


@pytest.mark.parametrize("delete", [True, False], ids=["sources go", "sources stay"])
async def test_of_a_merge(api, tape_for, store, one_bus, encode, speech, leaving, names, delete, monkeypatch):
    """All of its user's: what was copied by then goes, too. Every other step, and those between them where the sources stay."""
    monkeypatch.setattr("storage_api.merging.draining.TURN_S", 0.05)
    chunks, copied = encode(speech[: 1 * 32_000], chunk_s=0.5), set()
    for at in itertools.count(1 + delete, 2):
        one, two, target = (Conversation(f"user-{at}", cid) for cid in ("a", "b", "all"))
        for source in (one, two):
            tape = tape_for(source)
            await tape.open()
            await tape.append(chunks)
            await tape.drain(0, len(chunks))
        request = merge.Request(sources=("a", "b"), target="all", delete_sources=delete)
        await operations.begin(one_bus, f"m{at}", merge.KIND, one.uid, msgspec.json.encode(request))
        deleting = Deleting(api, leaving, one, all_of_user=True)
        meanwhile = Meanwhile(at, deleting.begin)

        async def turn(services, at=at) -> operations.Operation:
            await one_bus.command("HDEL", one_bus.keys.operation(f"m{at}"), "holder", "until")
            for other in await one_bus.command("ZRANGE", one_bus.keys.operations(), 0, -1):
                await one_bus.command("ZADD", one_bus.keys.operations(), "+inf", other)
            await one_bus.command("ZADD", one_bus.keys.operations(), 0, f"m{at}")
            runner = Runner(services.bus, {merge.KIND: merge.Merge(services, grace_ms=0)})
            for taken in await runner.take_due():
                await runner.carry_out(taken)
            return await operations.find(one_bus, f"m{at}")

        async with Bus(one_bus.url, prefix=one_bus.keys.prefix) as own:
            client, own.client = own.client, meanwhile.before(own.client)
            bucket = Bucket(meanwhile.before(store), api.services.metrics, api.services.workers)
            merged = await turn(dataclasses.replace(api.services, bus=own, bucket=bucket))
            own.client = client
        if not meanwhile.happened:
            break
        while not merged.done:
            merged = await turn(api.services)
        copied.add(msgspec.json.decode(merged.result)["objects"] > 0)
        for conversation in (one, two, target):
            await drained(one_bus, store, conversation)
        await deleting.end()
        assert await names(store) == [], (at, merged)
        for conversation in (one, two, target):
            balance = await exact(one_bus, conversation)
            assert (balance.difference, balance.deleted) == (0, balance.received), (at, conversation, balance)
    assert at > 20
    assert copied == {True, False}
