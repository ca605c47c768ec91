"""A pusher that dies at any step, before or after it, and the next one that picks up: nothing lost, nothing twice."""

from dataclasses import dataclass

import pytest

from audiobus.census import exact
from audiostore import open_store
from pusher.maker import Maker
from tapedeck_testing.draining.steps import Killed


@dataclass
class Steps:
    """Counts what is awaited, and dies at the n-th step: before it began, or after it was done."""

    at: int
    after: bool
    taken: int = 0

    def begin(self) -> None:
        self.taken += 1
        if self.taken > self.at or (self.taken == self.at and not self.after):
            raise Killed

    def end(self) -> None:
        if self.taken >= self.at:
            raise Killed


class Stepped:
    """A bus or a store of a process that dies."""

    def __init__(self, real, steps: Steps, methods: str) -> None:
        self._real = real
        self._steps = steps
        self._methods = frozenset(methods.split())

    def __getattr__(self, name):
        found = getattr(self._real, name)
        if name not in self._methods:
            return found

        async def step(*args, **kwargs):
            self._steps.begin()
            answer = await found(*args, **kwargs)
            self._steps.end()
            return answer

        return step


BUS = (
    "state read cut finish bury forget take_lease release_lease marks user_settings buffered "
    "note_live note_not_live used look_up_user command run"
)
STORE = "put get get_range head delete"
MOST_STEPS = 200


@pytest.fixture
def dies(bus, new_worker):
    """Drains with a worker that dies at the n-th step; False if it got to the end before."""

    async def drain(conversation, store, at: int, *, after: bool, **fields) -> bool:
        steps = Steps(at, after)
        worker = new_worker(Stepped(store, steps, STORE), bus=Stepped(bus, steps, BUS), **fields)
        try:
            await worker.drain(conversation)
        except Killed:
            return True
        return False

    return drain


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
async def test_it_may_die_at_every_step(after, bus, new_device, new_worker, dies, packets_of, state_of):
    for at in range(1, MOST_STEPS):
        store = open_store("memory:")
        device = new_device(conversation=f"c{at}-{after}")
        await device.open()
        await device.say(62)
        await device.say(8, end=True)
        await bus.ask(device.conversation, "end")
        died = await dies(device.conversation, store, at, after=after)
        # Whatever the next one finds: it makes the very same of a cut that stands.
        await new_worker(store).drain(device.conversation)
        assert await packets_of(store, device.conversation) == device.sent, f"died at step {at}"
        state = await state_of(device.conversation)
        assert state.settled == device.session.newest
        assert (state.waiting_samples, state.cut) == (0, None)
        assert state.stored_samples == sum(960 for _ in device.sent) - 312 - 240
        due = await bus.client.zscore(bus.keys.due(0), device.conversation.tag)
        assert due is not None
        await store.close()
        if not died:
            break
    else:
        pytest.fail("more steps than were tried")
    assert at > 8


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
async def test_it_may_die_at_every_step_of_a_sealed_conversation(
    *, after, bus, new_device, new_worker, new_keys, dies, packets_of, state_of, tmp_path
):
    """In a folder, which keeps no metadata; whoever picks up has other keys, and the user is no longer an enhanced one."""
    user = bus.keys.user("alice")
    for at in range(1, MOST_STEPS):
        store = open_store(f"file://{tmp_path}/store")
        device = new_device(conversation=f"c{at}-{after}")
        await bus.command("HSET", user, "protection", "enhanced")
        await device.open()
        await device.say(62)
        await device.say(3, end=True)
        await bus.ask(device.conversation, "end")
        died = await dies(device.conversation, store, at, after=after, maker=Maker(new_keys("k1")))
        stands = (await state_of(device.conversation)).cut is not None
        await bus.command("HSET", user, "protection", "standard")
        await new_worker(store, maker=Maker(new_keys("k2", "k1"))).drain(device.conversation)
        assert await packets_of(store, device.conversation) == device.sent, f"died at step {at}"
        assert (await state_of(device.conversation)).waiting_samples == 0
        names = [info.name async for info in store.list(f"chunks/alice/{device.conversation.cid}/")]
        assert not stands or any(name.endswith(".enc") for name in names)
        await store.close()
        if not died:
            assert all(name.endswith(".enc") for name in names)
            break
    else:
        pytest.fail("more steps than were tried")
    assert at > 8


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
async def test_it_may_die_again_and_again(after, bus, device, new_worker, dies, packets_of, memory_store):
    await device.open()
    await device.say(130)
    await bus.ask(device.conversation, "end")
    for at in [*range(3, 20), *range(20, 3, -1)]:
        await dies(device.conversation, memory_store, at, after=after)
    await new_worker(memory_store).drain(device.conversation)
    assert await packets_of(memory_store) == device.sent


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
async def test_it_may_die_while_it_buries(after, bus, new_device, new_worker, dies, packets_of, state_of):
    for at in range(1, MOST_STEPS):
        store = open_store("memory:")
        device = new_device(conversation=f"c{at}-{after}")
        await device.open()
        await device.say(2)
        poison = device.session.chunk((b"\x48poison",))
        device.sent.pop()
        await device.append(poison, b"no chunk")
        device.session.next_sample += 960
        await device.say(2)
        await bus.ask(device.conversation, "end")
        died = await dies(device.conversation, store, at, after=after)
        await new_worker(store).drain(device.conversation)
        assert await packets_of(store, device.conversation) == device.sent
        assert await bus.client.hlen(bus.keys.dead(device.conversation)) == 1
        assert (await state_of(device.conversation)).settled == device.session.newest
        # Dead once, and `stored` stops before it.
        balance = await exact(bus, device.conversation)
        assert (balance.difference, balance.waiting, balance.dead) == (0, 0, poison.chunk.samples)
        standing = await bus.stored(device.conversation, poison.id.epoch)
        assert standing.dead_offset == poison.chunk.first_offset
        await store.close()
        if not died:
            break
    else:
        pytest.fail("more steps than were tried")


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
async def test_it_may_die_while_it_renames(after, bus, new_device, new_worker, dies, batches, state_of):
    for at in range(1, MOST_STEPS):
        store = open_store("memory:")
        device = new_device(conversation=f"c{at}-{after}")
        await device.open()
        await device.say(2)
        await bus.ask(device.conversation, "end")
        planned = await new_worker(store)._planner.plan(
            device.conversation, await state_of(device.conversation), device.session.clock()
        )
        await store.put(planned.cut.name, b"something else", content_type="audio/ogg", metadata={})
        died = await dies(device.conversation, store, at, after=after)
        await new_worker(store).drain(device.conversation)
        found = [info.name async for info in store.list("chunks/")]
        assert len(found) == 2
        assert (await state_of(device.conversation)).settled == device.session.newest
        await store.close()
        if not died:
            break
    else:
        pytest.fail("more steps than were tried")
