"""A pusher that dies at any command to Redis or the bucket while audio is deleted: the deleted never comes back, the rest is stored once."""

from dataclasses import dataclass

import pytest

from audiobus import Bus
from audiobus.census import exact
from audiobus.deletions import set_tombstone, set_user_tombstone
from pusher.sweeper import UNTIL_MS
from tapedeck_testing.draining.steps import Killed

MOST_STEPS = 120


@dataclass
class Steps:
    """Counts what is asked of Redis and the bucket, and dies at the n-th: before it is carried out, or after."""

    at: int
    after: bool
    taken: int = 0

    def wrap(self, found):
        async def step(*args, **kwargs):
            self.taken += 1
            if self.taken > self.at or (self.taken == self.at and not self.after):
                raise Killed
            answer = await found(*args, **kwargs)
            if self.taken >= self.at:
                raise Killed
            return answer

        return step


class Dying:
    """A client of Redis, or a bucket."""

    def __init__(self, real, steps: Steps) -> None:
        self._real = real
        self._steps = steps

    def __getattr__(self, name):
        found = getattr(self._real, name)
        return self._steps.wrap(found) if name in {"execute_command", "put", "delete", "head"} else found


@pytest.fixture
def dies(redis_url, prefix, bus, new_worker):
    """Drains with a worker that dies at the n-th step; False if it got to the end before."""

    async def drain(conversation, store, at: int, *, after: bool) -> bool:
        steps = Steps(at, after)
        async with Bus(redis_url, prefix=prefix) as own:
            client = own.client
            own.client = Dying(client, steps)
            try:
                await new_worker(Dying(store, steps), bus=own).drain(conversation)
            except Killed:
                return True
            finally:
                own.client = client
                # Its lease runs out.
                await bus.command("DEL", bus.keys.lease(conversation))
        return False

    return drain


async def all_steps(run) -> None:
    """Runs it for each step before and after which a worker can die."""
    for after in (False, True):
        for at in range(1, MOST_STEPS):
            if not await run(at, after=after):
                break
        else:
            pytest.fail("it never got to the end")
        assert at > 5


@pytest.mark.parametrize("first", ["put", "mark"])
async def test_what_a_user_deleted(first, dies, bus, memory_store, new_worker, new_device, clock, packets_of):
    """The tombstone is set before the worker that dies begins (mark), or when it is dead (put)."""

    async def run(at: int, *, after: bool) -> bool:
        device = new_device(conversation=f"{first}-{at}-{after}")
        conversation = device.conversation
        await device.open()
        await device.say(5)
        half = clock() + 1
        await device.say(5)
        await bus.ask(conversation, "flush")
        # The tombstone of another run of the same user would stand.
        await bus.command("DEL", bus.keys.user_tomb(conversation.uid))
        if first == "mark":
            await set_user_tombstone(bus, conversation.uid, half)
        died = await dies(conversation, memory_store, at, after=after)
        settled = (await bus.state(conversation)).stored_samples
        await set_user_tombstone(bus, conversation.uid, half)
        await new_worker(memory_store).drain(conversation)
        clock.pass_s(UNTIL_MS / 1000)
        await new_worker(memory_store).drain(conversation)
        if first == "put" and settled:
            # It lay in the bucket when the user deleted it: whoever set the tombstone deletes it there.
            assert await packets_of(memory_store, conversation) == device.sent
        else:
            assert await packets_of(memory_store, conversation) == device.sent[250:]
        balance = await exact(bus, conversation)
        assert (balance.difference, balance.waiting) == (0, 0)
        return died

    await all_steps(run)


@pytest.mark.parametrize("first", ["put", "tomb"])
async def test_a_deleted_conversation(first, dies, bus, memory_store, new_worker, new_device, clock, batches):
    """The same, of a whole conversation: nothing is left, whatever was stored before."""

    async def run(at: int, *, after: bool) -> bool:
        device = new_device(conversation=f"{first}-{at}-{after}")
        conversation = device.conversation
        await device.open()
        await device.say(5)
        await bus.ask(conversation, "flush")
        if first == "tomb":
            await set_tombstone(bus, conversation, clock())
        died = await dies(conversation, memory_store, at, after=after)
        await set_tombstone(bus, conversation, clock())
        await new_worker(memory_store).drain(conversation)
        assert await batches(memory_store, conversation) == []
        balance = await exact(bus, conversation)
        assert (balance.difference, balance.deleted) == (0, balance.received)
        assert await bus.command("ZSCORE", bus.keys.due(0), conversation.tag) is not None
        clock.pass_s(UNTIL_MS / 1000)
        await new_worker(memory_store).drain(conversation)
        assert await bus.command("ZSCORE", bus.keys.due(0), conversation.tag) is None
        return died

    await all_steps(run)
