"""Stories 12 to 15 of docs/interleavings.md: what is deleted at any moment stays deleted, and the rest is stored once.

Pusher, scripts and store are the real ones. Whoever deletes is played in the order of docs/architecture.md: the routes that delete come with
storage-api.
"""

import itertools
from dataclasses import replace

import pytest

from audiobus import Bus
from audiobus.bus import QUIET_MS
from audiobus.census import exact
from audiobus.deletions import gone, set_tombstone, unstore
from audiocodec.span import preroll_after
from audiostore import open_store
from audiostore.batch import batch_end_ms, batch_file, batch_start_ms, read_batch
from audiostore.errors import AlreadyExistsError
from audiostore.names import CONTENT_TYPE, BatchName, conversation_prefix
from pusher.next_look import ACTIVE_MS
from pusher.service import PATIENCE
from tapedeck_testing.draining.steps import Death, Killed, Meanwhile, Stepping

LATE = 2
"""A put may land so many times its deadline after it began, and still does not stay."""


async def names(store, conversation) -> list[str]:
    return [info.name async for info in store.list(conversation_prefix(*conversation))]


async def due_ms(bus, conversation) -> float | None:
    score = await bus.command("ZSCORE", bus.keys.due(0), conversation.tag)
    return None if score is None else float(score)


@pytest.fixture
def disturbed(redis_url, prefix, new_worker, bus):
    """Drains with pusher A, which is paused before its n-th step while something happens, and then goes on."""

    async def drain(conversation, store, at: int, act) -> bool:
        async def beyond_its_lease() -> None:
            await bus.release_lease(conversation, "a")
            await act()

        meanwhile = Meanwhile(at, beyond_its_lease)
        async with Bus(redis_url, prefix=prefix) as own:
            client, own.client = own.client, meanwhile.before(own.client)
            try:
                await new_worker(meanwhile.before(store), bus=own, holder="a").drain(conversation)
            finally:
                own.client = client
        return meanwhile.happened

    return drain


@pytest.mark.parametrize("silent", [False, True], ids=["live", "silent for a day"])
async def test_12_a_conversation_is_deleted_at_any_step_of_a_pusher(
    *, silent, disturbed, bus, new_device, new_worker, clock
):
    """The tombstone comes first; then buffer and bucket are emptied, while a put may be on its way, or A is about to leave it for good."""
    for at in itertools.count(1):
        store = open_store("memory:")
        device = new_device(conversation=f"c{at}-{silent}")
        conversation = device.conversation
        await device.open()
        await device.say(5)
        await bus.ask(conversation, "flush")
        if silent:
            await new_worker(store).drain(conversation)
            clock.pass_s(QUIET_MS / 1000)

        async def delete(store=store, conversation=conversation) -> None:
            await set_tombstone(bus, conversation, clock())
            await new_worker(store, holder="b").drain(conversation)
            assert await names(store, conversation) == []

        happened = await disturbed(conversation, store, at, delete)
        if happened:
            assert await names(store, conversation) == [], f"came back at step {at}"
            balance = await exact(bus, conversation)
            assert (balance.difference, balance.deleted) == (0, balance.received)
            # A put of somebody else may still be on its way: it is swept again.
            assert await due_ms(bus, conversation) is not None, f"left at step {at}"
        await store.close()
        if not happened:
            break
    assert at > 5


@pytest.mark.parametrize("late_s", [0, 1, PATIENCE.deadline_s, LATE * PATIENCE.deadline_s])
async def test_13_a_put_lands_when_its_process_is_no_more(
    late_s, bus, device, hints, memory_store, new_worker, clock, conversation
):
    """A dies with its put on the way; the conversation is deleted and swept; then the put lands. Only the later sweeps can meet it."""
    await device.open()
    await device.say(5)
    await bus.ask(conversation, "flush")
    on_its_way = []

    class TakesLong:
        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def put(self, *args, **kwargs):
            on_its_way.append((args, kwargs))
            raise Killed

    with pytest.raises(Killed):
        await new_worker(TakesLong(), holder="a").drain(conversation)
    await bus.release_lease(conversation, "a")
    deleted_ms = clock()
    await set_tombstone(bus, conversation, deleted_ms)
    await hints.due(conversation, clock())
    worker = new_worker(memory_store, holder="b")
    landed = False
    for _ in range(100):
        at_ms = await due_ms(bus, conversation)
        if not landed and (at_ms is None or at_ms >= deleted_ms + late_s * 1000):
            [(args, kwargs)] = on_its_way
            await memory_store.put(*args, **kwargs)
            landed = True
        if at_ms is None:
            break
        clock.ms = max(clock.ms, int(at_ms))
        await worker.drain(conversation)
    assert await names(memory_store, conversation) == []
    assert await due_ms(bus, conversation) is None
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.deleted) == (0, balance.received)


class PartDeleter:
    """Deletes what of a live conversation was recorded before a time: flush past it, write the rest, note the names, delete them.

    It can be killed at any step and run again.
    """

    def __init__(self, bus, store, drain, clock, conversation, before_ms) -> None:
        self._bus = bus
        self._store = store
        self._drain = drain
        self._clock = clock
        self._conversation = conversation
        self._before_48k = before_ms * 48

    async def run(self) -> None:
        await self._bus.ask(self._conversation, "flush")
        await self._drain()
        noted = await gone(self._bus, self._conversation)
        for name in await names(self._store, self._conversation):
            batch = read_batch(await self._store.get(name))
            rest, dropped = self._rest(batch)
            if not dropped and name not in noted:
                continue
            if rest is not None:
                await self._put(rest)
            await unstore(self._bus, self._conversation, {name: dropped}, self._clock())
            await self._store.delete(name)

    def _rest(self, batch):
        """What of it stays, and how many samples do not."""
        kept = [span for span in batch.spans if span.end_48k > self._before_48k]
        dropped = sum(span.samples for span in batch.spans) - sum(span.samples for span in kept)
        if not kept:
            return None, dropped
        first = kept[0]
        count = sum(
            960 * (n + 1) - first.lead <= self._before_48k - first.start_48k
            for n in range(len(first.packets))
        )
        if count > 0:
            before = replace(first, packets=first.packets[:count], trim=0)
            samples = 960 * count - first.lead
            kept[0] = replace(
                first,
                first_offset=first.first_offset + 100 * count,
                first_sample=first.first_sample + samples,
                samples=first.samples - samples,
                lead=0,
                starts=False,
                packets=first.packets[count:],
            )
            return replace(
                batch, preroll=preroll_after(batch.preroll, before), spans=tuple(kept)
            ), dropped + samples
        return replace(batch, spans=tuple(kept)), dropped

    async def _put(self, batch) -> None:
        file = batch_file(batch)
        name = BatchName(*self._conversation, batch_start_ms(batch), batch_end_ms(batch))
        try:
            await self._store.put(name.path, file.data, content_type=CONTENT_TYPE, metadata=file.metadata)
        except AlreadyExistsError:
            # Written before this deleter was killed and run again.
            assert await self._store.get(name.path) == file.data


@pytest.fixture
def new_deleter(bus, new_worker, clock):
    def make(store, conversation, before_ms, *, bus=bus, to=None) -> PartDeleter:
        async def drain() -> None:
            await new_worker(store, holder="b").drain(conversation)

        return PartDeleter(bus, to or store, drain, clock, conversation, before_ms)

    return make


@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "is killed after its next step"])
async def test_14_a_part_is_deleted_at_any_step_of_a_pusher(
    *, dies, redis_url, prefix, bus, new_device, new_worker, new_deleter, clock, packets_of
):
    """Between put and finish, and at every other step; A goes on with what it had in hand: it may even put the deleted object again."""
    came_back = 0
    for at in itertools.count(1):
        store = open_store("memory:")
        device = new_device(conversation=f"c{at}-{dies}")
        conversation = device.conversation
        await device.open()
        await device.say(5)
        half_ms = device.session.run_start_ms + 5_000
        await device.say(5)
        await bus.ask(conversation, "flush")
        deleted = []

        async def delete(store=store, conversation=conversation, half_ms=half_ms, deleted=deleted) -> None:
            await bus.release_lease(conversation, "a")
            await new_deleter(store, conversation, half_ms).run()
            deleted.extend(await gone(bus, conversation))

        meanwhile = Meanwhile(at, delete)

        async def step(name, meanwhile=meanwhile) -> None:
            if dies and meanwhile.taken > meanwhile.at:
                raise Killed
            await meanwhile.step(name)

        async with Bus(redis_url, prefix=prefix) as own:
            client, own.client = own.client, Stepping(own.client, step)
            try:
                await new_worker(Stepping(store, step), bus=own, holder="a").drain(conversation)
            except Killed:
                await bus.command("DEL", bus.keys.lease(conversation))
            finally:
                own.client = client
        came_back += any(name in deleted for name in await names(store, conversation))
        # The device records on; whoever looks next finds the note, and looks soon.
        await device.say(2)
        assert await due_ms(bus, conversation) <= clock() + ACTIVE_MS
        await bus.ask(conversation, "end")
        await new_worker(store, holder="c").drain(conversation)
        if meanwhile.happened:
            assert await packets_of(store, conversation) == device.sent[250:], f"at step {at}"
            assert not set(deleted) & set(await names(store, conversation)), f"came back at step {at}"
            balance = await exact(bus, conversation)
            assert (balance.difference, balance.waiting) == (0, 0)
        await store.close()
        if not meanwhile.happened:
            break
    assert at > 8
    # The story was played: with a process that dies right then, the object lay there again for a while.
    assert came_back or not dies


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
async def test_15_whoever_deletes_a_part_is_killed_at_any_step(
    *, after, redis_url, prefix, bus, new_device, new_worker, new_deleter, packets_of
):
    """The rest is written before the old name is noted: a pusher that sweeps what is noted meanwhile destroys nothing that stays."""
    for at in itertools.count(1):
        store = open_store("memory:")
        device = new_device(conversation=f"c{at}-{after}")
        conversation = device.conversation
        await device.open()
        await device.say(5)
        half_ms = device.session.run_start_ms + 5_000
        await device.say(5)
        await bus.ask(conversation, "flush")
        await new_worker(store).drain(conversation)
        death = Death(at, after=after)
        died = False
        async with Bus(redis_url, prefix=prefix) as own:
            client, own.client = own.client, death.of(own.client)
            try:
                await new_deleter(store, conversation, half_ms, bus=own, to=death.of(store)).run()
            except Killed:
                died = True
            finally:
                own.client = client
        # A pusher looks, and sweeps what is noted.
        await device.say(2)
        await bus.ask(conversation, "flush")
        await new_worker(store).drain(conversation)
        kept = await lies_there(store, conversation)
        assert set(device.sent[250:]) <= kept, f"killed at step {at}"
        # It is asked again.
        await new_deleter(store, conversation, half_ms).run()
        await new_worker(store).drain(conversation)
        assert await packets_of(store, conversation) == device.sent[250:], f"killed at step {at}"
        balance = await exact(bus, conversation)
        assert (balance.difference, balance.waiting) == (0, 0)
        await store.close()
        if not died:
            break
    assert at > 5


async def lies_there(store, conversation) -> set[tuple[int, bytes]]:
    """(epoch, packet) of everything, be it there twice for now: readers play it once."""
    found = set()
    for name in await names(store, conversation):
        for span in read_batch(await store.get(name)).spans:
            found |= {(span.epoch, packet) for packet in span.packets}
    return found
