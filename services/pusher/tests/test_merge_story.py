"""Story 22 of docs/interleavings.md: a conversation is frozen before a merge compares and deletes it.

Scripts, pusher and store are the real ones, and a device records on all the while. Whoever merges is played in the order of the HTTP page:
freeze, flush, copy, compare, tombstone.
"""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from audiobus import Bus
from audiobus.answers import Appended, Replaced
from audiobus.bus import QUIET_MS
from audiobus.census import exact
from audiobus.conversation import Conversation
from audiobus.entry_id import EntryId
from audiobus.errors import ConversationDeletedError, MergingError
from audiobus.merging import bury_merged, freeze
from audiostore import open_store
from audiostore.names import conversation_prefix
from pusher.sweeper import UNTIL_MS
from tapedeck_testing.draining.steps import Death, Killed, Meanwhile


@dataclass
class Merge:
    """Moves all of a conversation into another one. It can be killed at any step and run again."""

    bus: Bus
    store: object
    source: Conversation
    target: Conversation
    drain: Callable[[Conversation], Awaitable[None]]
    now_ms: Callable[[], int]

    async def run(self) -> None:
        if await self.bus.tombstone(self.source):
            return
        frozen = await freeze(self.bus, self.source, self.target, "operation", "word", until_ms=10**14)
        await self.bus.ask(self.source, "flush")
        await self.drain(self.source)
        state = await self.bus.state(self.source)
        for name, size in await self.objects(self.source):
            copy = name.replace(conversation_prefix(*self.source), conversation_prefix(*self.target))
            if (copy, size) not in await self.objects(self.target):
                await self.store.copy(name, copy)
        assert [size for _, size in await self.objects(self.source)] == [
            size for _, size in await self.objects(self.target)
        ]
        found, now_ms = state.newest, self.now_ms()
        assert await bury_merged(
            self.bus, self.source, self.target, frozen.token, newest=found, fence=state.fence, now_ms=now_ms
        )

    async def objects(self, conversation: Conversation) -> list[tuple[str, int]]:
        return [(info.name, info.size) async for info in self.store.list(conversation_prefix(*conversation))]


@dataclass
class Recorder:
    """A device that records on: what is acked it forgets."""

    device: object
    acked: list[tuple[int, bytes]] = field(default_factory=list)
    refused: list[type] = field(default_factory=list)

    async def second(self, packets) -> None:
        """One more second, by the socket that it has, or by another."""
        session = self.device.session
        before, sent = session.newest, len(session.sent)
        chunk = session.chunk(packets)
        try:
            answer = await self.device.bus.append(self.device.request(chunk))
            if isinstance(answer, Replaced):
                fmt = f"opus:16000:1:{session.lead}"
                opened = await self.device.bus.open(
                    self.device.conversation,
                    owner=self.device.owner,
                    format=fmt,
                    now_ms=session.clock(),
                    resume=before.epoch,
                    own=True,
                )
                assert EntryId(opened.epoch, opened.offset) == before
                answer = await self.device.bus.append(self.device.request(chunk))
            assert isinstance(answer, Appended), answer
        except (MergingError, ConversationDeletedError) as error:
            # What was not acked the client keeps, and sends to the target.
            self.refused.append(type(error))
            session.newest = before
            session.next_sample -= chunk.chunk.samples
            del session.sent[sent:]
        else:
            self.acked += session.sent[sent:]


@pytest.fixture
def new_merge(bus, new_worker, clock):
    def make(source, store, *, bus=bus, to=None) -> Merge:
        async def drain(conversation) -> None:
            await new_worker(store).drain(conversation)

        return Merge(bus, to or store, source, Conversation(source.uid, f"{source.cid}-all"), drain, clock)

    return make


async def test_22_a_device_records_on_at_any_step_of_a_merge(
    redis_url, prefix, bus, new_device, new_worker, new_merge, clock, packets, packets_of
):
    refused = set()
    for at in itertools.count(1):
        store = open_store("memory:")
        device = new_device(conversation=f"c{at}")
        recorder = Recorder(device)
        await device.open()
        await recorder.second(packets(50))

        async def record(recorder=recorder) -> None:
            await recorder.second(packets(50))

        meanwhile = Meanwhile(at, record)
        async with Bus(redis_url, prefix=prefix) as own:
            client, own.client = own.client, meanwhile.before(own.client)
            merge = new_merge(device.conversation, store, bus=own, to=meanwhile.before(store))
            await merge.run()
            own.client = client
        await recorder.second(packets(50))
        refused |= set(recorder.refused)
        await new_worker(store).drain(device.conversation)
        assert await merge.objects(device.conversation) == []
        assert await packets_of(store, merge.target) == recorder.acked, f"at step {at}"
        balance = await exact(bus, device.conversation)
        assert (balance.difference, balance.waiting) == (0, 0)
        await store.close()
        if not meanwhile.happened:
            break
    assert at > 5
    assert refused == {MergingError}


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
async def test_22_a_merge_is_killed_at_any_step_and_asked_again(
    *, after, redis_url, prefix, bus, new_device, new_worker, new_merge, clock, packets, packets_of
):
    """As long as it is not done, the source stays frozen and whole."""
    for at in itertools.count(1):
        store = open_store("memory:")
        device = new_device(conversation=f"c{at}-{after}")
        recorder = Recorder(device)
        await device.open()
        await recorder.second(packets(50))
        death = Death(at, after=after)
        died = False
        async with Bus(redis_url, prefix=prefix) as own:
            client, own.client = own.client, death.of(own.client)
            try:
                await new_merge(device.conversation, store, bus=own, to=death.of(store)).run()
            except Killed:
                died = True
            finally:
                own.client = client
        await recorder.second(packets(50))
        # A day passes, and pushers look: what is frozen is not forgotten.
        clock.pass_s(2 * QUIET_MS / 1000)
        await new_worker(store).drain(device.conversation)
        if not await bus.tombstone(device.conversation):
            frozen = (await bus.state(device.conversation)).merging
            assert frozen or len(recorder.acked) == 100
            assert not frozen or not await bus.forget(device.conversation, clock())
            assert await packets_of(store, device.conversation) == recorder.acked, f"killed at step {at}"
        merge = new_merge(device.conversation, store)
        await merge.run()
        await recorder.second(packets(50))
        clock.pass_s(UNTIL_MS / 1000)
        await new_worker(store).drain(device.conversation)
        assert await packets_of(store, merge.target) == recorder.acked, f"killed at step {at}"
        assert await merge.objects(device.conversation) == []
        await store.close()
        if not died:
            break
    assert at > 5
