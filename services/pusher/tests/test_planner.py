"""The planner: what it reads around the pure core."""

import pytest

from audiobus import Conversation
from audiostore.sealing import open_sealed
from pusher.already_stored import AlreadyStored
from pusher.cutter import Limits, Wait
from pusher.errors import NoKeyError
from pusher.maker import Maker
from pusher.planner import LookAgain, Planned, Planner, phase_of
from pusher.unstored import Unstored


@pytest.fixture
def new_planner(bus, memory_store, metrics, new_buckets):
    def make(keys):
        already_stored = AlreadyStored(new_buckets(memory_store), keys)
        return Planner(bus, already_stored, Unstored(), metrics, Limits(), Maker(keys))

    return make


@pytest.fixture
def planner(new_planner, keys):
    return new_planner(keys)


async def test_it_plans_without_writing_anything_down(device, bus, planner, clock, state_of):
    await device.open()
    await device.say(3)
    await bus.ask(device.conversation, "end")
    before = await state_of()
    planned = await planner.plan(device.conversation, before, clock())
    assert isinstance(planned, Planned)
    assert (planned.cut.reason, planned.cut.protection, planned.cut.exclude) == ("end", "standard", ())
    assert planned.cut.name.endswith(".batch.bin")
    assert planned.cut.last_id == device.session.newest
    assert await state_of() == before


async def test_a_long_buffer_is_read_as_far_as_a_batch_reaches(device, bus, planner, clock, state_of):
    await device.open()
    await device.say(100, chunk_s=0.2)
    reads = []

    class Counts:
        def __getattr__(self, name):
            if name == "read":
                reads.append(1)
            return getattr(bus, name)

    planner._bus = Counts()
    planned = await planner.plan(device.conversation, await state_of(), clock())
    assert planned.cut.reason == "size"
    assert len(reads) == 4


async def test_an_empty_buffer_waits(device, planner, clock, new_state):
    assert await planner.plan(device.conversation, new_state(), clock()) == Wait(None)


@pytest.mark.parametrize(("level", "ids"), [("enhanced", ()), ("something new", ("k1",))])
async def test_what_cannot_be_sealed_is_not_planned(
    device, bus, new_planner, new_keys, clock, state_of, level, ids
):
    planner = new_planner(new_keys(*ids))
    await device.open()
    await device.say(3)
    await bus.command("HSET", bus.keys.user(device.conversation.uid), "protection", level)
    # Nothing to cut yet: nothing to complain about.
    assert isinstance(await planner.plan(device.conversation, await state_of(), clock()), Wait)
    await bus.ask(device.conversation, "end")
    with pytest.raises(NoKeyError):
        await planner.plan(device.conversation, await state_of(), clock())


async def test_what_is_sealed_has_a_name_that_says_so(device, bus, planner, clock, state_of, ring):
    await device.open()
    await device.say(3)
    await bus.command("HSET", bus.keys.user(device.conversation.uid), "protection", "enhanced")
    await bus.ask(device.conversation, "end")
    planned = await planner.plan(device.conversation, await state_of(), clock())
    assert planned.cut.protection == "enhanced"
    assert planned.cut.name.endswith(".batch.enc")
    assert open_sealed(planned.built.data, ring, device.conversation.uid).startswith(b"OggS")


async def test_where_there_is_nothing_to_put_no_key_is_missed(
    device, bus, new_planner, new_keys, clock, state_of
):
    planner = new_planner(new_keys())
    await device.open()
    await bus.command("HSET", bus.keys.user(device.conversation.uid), "protection", "enhanced")
    await bus.ask(device.conversation, "end")
    planned = await planner.plan(device.conversation, await state_of(), clock())
    assert (planned.cut.name, planned.cut.protection) == ("", "enhanced")


async def test_what_cannot_be_built_goes_to_the_dead_letters_alone(
    device, bus, planner, clock, state_of, packets
):
    await device.open()
    device.session.source = "No Source!"
    await device.append(device.session.chunk(packets(50)))
    await bus.ask(device.conversation, "end")
    planned = await planner.plan(device.conversation, await state_of(), clock())
    # The opening before it could be cut alone.
    assert isinstance(planned, Planned)
    assert planned.cut.first == planned.cut.last
    await bus.cut(device.conversation, planned.cut, settled=None)
    await bus.finish(
        device.conversation,
        planned.cut.encode(),
        last=planned.cut.last_id,
        preroll=None,
        samples=0,
        ends={},
        now_ms=clock(),
    )
    assert await planner.plan(device.conversation, await state_of(), clock()) == LookAgain()
    assert await bus.client.hlen(bus.keys.dead(device.conversation)) == 1


def test_phases_are_spread_over_the_minute():
    phases = sorted(phase_of(Conversation("u", f"c{number}")) for number in range(1000))
    assert all(abs(phase - number / 1000) < 0.06 for number, phase in enumerate(phases))
